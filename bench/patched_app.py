# SPDX-License-Identifier: Apache-2.0
"""
The program that ``bench/patchers.py`` starts bare and under each peer: five operations, done on request.

Nothing here knows who traces it, but for the business spans, which every
library has its own way to make, and sentry, which has no wrapper. Reads
``operation count`` from stdin and answers with the CPU seconds of all threads
for one of them, everything delivered.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

PEER = os.environ["BENCH_PEER"]

if PEER == "sentry":
    import sentry_sdk

    sentry_sdk.init(os.environ["BENCH_SENTRY_DSN"], traces_sample_rate=float(os.environ["BENCH_RATE"]))

import flask  # noqa: E402  # sentry must be there before them
import psycopg2  # noqa: E402
import redis  # noqa: E402
import requests  # noqa: E402

app = flask.Flask(__name__)
store = redis.Redis.from_url(os.environ["BENCH_REDIS"])
session = requests.Session()
session.trust_env = False  # a look at the environment and .netrc for every request is not what is measured
connection = psycopg2.connect(os.environ["BENCH_POSTGRES"])
connection.autocommit = True
cursor = connection.cursor()
URL = os.environ["BENCH_URL"]


@contextmanager
def _no_span(_name: str) -> Iterator[None]:
    yield


def _business() -> tuple[Callable[[str], Any], Callable[[], object]]:
    """Return what makes a span of the program's own, and what delivers all spans."""
    if PEER == "tellwhy":
        import tellwhy

        return tellwhy.span, lambda: tellwhy.flush(30)
    if PEER == "opentelemetry":
        from opentelemetry import trace

        provider: Any = trace.get_tracer_provider()
        return trace.get_tracer(__name__).start_as_current_span, provider.force_flush
    if PEER == "ddtrace":
        from ddtrace.trace import tracer

        return tracer.trace, tracer.flush
    if PEER == "sentry":
        return lambda name: sentry_sdk.start_span(name=name), sentry_sdk.flush
    return _no_span, lambda: None


@app.get("/hello")
def hello() -> str:
    return "hello"


@app.get("/healthz")
def healthz() -> str:
    return "ok"


@app.get("/shop")
def shop() -> str:
    for _ in range(2):
        with span("price"):
            for _ in range(4):
                sql()
                cache()
            http()
    return "done"


def sql() -> None:
    cursor.execute("SELECT 1")
    cursor.fetchone()


def cache() -> None:
    store.get("user:1")


def http() -> None:
    session.get(URL).close()


def _request(path: str) -> Callable[[], None]:
    environ = {
        "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": "", "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000", "HTTP_HOST": "127.0.0.1:8000", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": "50000", "HTTP_USER_AGENT": "bench", "HTTP_ACCEPT": "*/*", "wsgi.url_scheme": "http",
        "wsgi.version": (1, 0), "wsgi.input": sys.stdin.buffer, "wsgi.errors": sys.stderr, "wsgi.multithread": False,
        "wsgi.multiprocess": False, "wsgi.run_once": False,
    }  # fmt: skip

    def start_response(_status: str, _headers: Any, _exc_info: Any = None) -> Any:
        return None

    def request() -> None:
        body = app(dict(environ), start_response)
        for _ in body:
            pass
        close = getattr(body, "close", None)
        if close is not None:
            close()

    return request


OPERATIONS = {
    "flask": _request("/hello"),
    "excluded": _request("/healthz"),
    "sql": sql,
    "redis": cache,
    "http": http,
    "shop": _request("/shop"),
}


def _seconds(operation: Callable[[], None], count: int) -> float:
    gc.collect()
    started = time.process_time()
    for _ in range(count):
        operation()
    flush()
    return (time.process_time() - started) / count


def _rss() -> float:
    """Return the resident memory in bytes."""
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a peer prints is no answer
    print(json.dumps("ready"), file=answers, flush=True)
    for line in sys.stdin:
        name, count = line.split()
        figure = _rss() if name == "rss" else _seconds(OPERATIONS[name], int(count))
        print(json.dumps(figure), file=answers, flush=True)
    if PEER == "tellwhy":
        import tellwhy

        print(json.dumps(tellwhy.stats()), file=answers, flush=True)
    os._exit(0)


span, flush = _business()

if __name__ == "__main__":
    main()
