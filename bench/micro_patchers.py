# SPDX-License-Identifier: Apache-2.0
"""
What do our patchers add to one call? ``python bench/micro_patchers.py``: best of many rounds, µs, no network.

The library's own work is replaced by nothing, so what is left is ours: the span
made, named, described and ended, without its export. Below a sampled span,
below an unsampled one, and with tracing off.
"""

from __future__ import annotations

import timeit
from collections.abc import Callable
from typing import Any

import redis
import requests

from tellwhy.engine import TracerProvider, active, samplers
from tellwhy.engine.context import enter, leave
from tellwhy.patchers import RedisInstrumentor, RequestsInstrumentor, psycopg2, queries, wsgi
from tellwhy.patchers.options import Options
from tellwhy.patchers.server import Server
from tellwhy.patchers.spans import Spans

OPTIONS = Options(("http", "database"), dict.fromkeys(("server_request", "server_response", "client_request",
                  "client_response", "sanitize_fields"), ()), {}, "scrubbed", None)  # fmt: skip
ENVIRON = {
    "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/hello/bob", "QUERY_STRING": "", "SERVER_PORT": "80",
    "HTTP_HOST": "localhost", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1", "HTTP_USER_AGENT": "curl/8",
    "wsgi.url_scheme": "http",
}  # fmt: skip


class _Drop:
    """Takes finished spans and forgets them."""

    def on_end(self, span: Any) -> None:
        pass


def _best(call: Callable[[], Any], number: int = 2000) -> float:
    return min(timeit.repeat(call, number=number, repeat=25)) / number * 1e6


def report(name: str, bare: Callable[[], Any], traced: Callable[[], Any]) -> None:
    """Print what tracing adds to one call."""
    floor = _best(bare)
    added = {}
    for mode, sampler in (("sampled", None), ("unsampled", samplers.ParentBased(samplers.ALWAYS_OFF))):
        provider = TracerProvider.lean({"service.name": "bench"}, sampler=sampler)
        provider.add_span_processor(_Drop())
        active.activate(provider)
        traced()
        parent = active.tracer.start_span("parent")  # type: ignore[union-attr]
        token = enter(parent)
        added[mode] = _best(traced) - floor
        leave(token, parent)
        added[f"{mode} root"] = _best(traced) - floor
    active.deactivate()
    added["off"] = _best(traced) - floor
    print(f"{name:20}", "  ".join(f"{mode} +{micros:.2f}" for mode, micros in added.items()))


def main() -> None:
    """Report on each patcher."""
    redis.Redis.execute_command = lambda self, *args, **options: b"x"  # type: ignore[method-assign]
    plain, client = redis.Redis.execute_command, redis.Redis()
    RedisInstrumentor().instrument()
    report("redis GET", lambda: plain(client, "GET", "user:1"), lambda: client.execute_command("GET", "user:1"))

    response = requests.Response()
    response.status_code = 200
    requests.Session.send = lambda self, request, **kwargs: response  # type: ignore[method-assign]
    send, session = requests.Session.send, requests.Session()
    request = requests.Request("GET", "http://127.0.0.1:8000/ok?x=1", headers={"User-Agent": "bench"}).prepare()
    RequestsInstrumentor().instrument()
    report("requests GET", lambda: send(session, request), lambda: session.send(request))

    class Connection:
        class info:
            dbname, user, host, port = "shop", "shop", "127.0.0.1", 5432

    class Cursor:
        connection, description, rowcount = Connection(), ("one",), 1

    def execute(self: Any, *args: Any) -> None:
        return None

    database, cursor = psycopg2.Database(OPTIONS), Cursor()
    report(
        "psycopg2 SELECT 1",
        lambda: execute(cursor, "SELECT 1"),
        lambda: queries.run(database, cursor, execute, ("SELECT 1",), {}),
    )

    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"x"]

    def start_response(status: str, headers: Any, exc_info: Any = None) -> None:
        return None

    server = Server(Spans("bench"), OPTIONS, "health")
    report(
        "WSGI request",
        lambda: application(ENVIRON, start_response),
        lambda: wsgi.serve(server, application, ENVIRON, start_response),
    )
    health = {**ENVIRON, "PATH_INFO": "/health"}
    report(
        "WSGI, excluded path",
        lambda: application(health, start_response),
        lambda: wsgi.serve(server, application, health, start_response),
    )


if __name__ == "__main__":
    main()
