# SPDX-License-Identifier: Apache-2.0
"""
The same traffic for whoever instruments it: ``library_traffic.py contrib|tellwhy UPSTREAM POSTGRES REDIS``.

Prints one JSON object: for each step of each library the spans that it made,
through OpenTelemetry's own SDK in both cases.
"""

from __future__ import annotations

import asyncio
import importlib
import io
import json
import sys
from collections.abc import Callable
from typing import Any

import flask
import psycopg2
import psycopg2.extras
import psycopg2.sql
import redis
import requests
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

CLASSES = {
    "flask": "FlaskInstrumentor",
    "requests": "RequestsInstrumentor",
    "psycopg2": "Psycopg2Instrumentor",
    "redis": "RedisInstrumentor",
}
EXPORTER = InMemorySpanExporter()
PROVIDER = TracerProvider()
PROVIDER.add_span_processor(SimpleSpanProcessor(EXPORTER))
TRACEPARENT = f"00-{'a' * 32}-{'b' * 16}-01"


def instrumentor(who: str, library: str) -> Any:
    home = "opentelemetry.instrumentation" if who == "contrib" else "tellwhy.patchers"
    return getattr(importlib.import_module(f"{home}.{library}"), CLASSES[library])()


def taken() -> list[dict[str, Any]]:
    """Return the spans since the last call, as plain data, in order of their start."""
    spans = sorted(EXPORTER.get_finished_spans(), key=lambda span: span.start_time)
    EXPORTER.clear()
    return [
        {
            "name": span.name,
            "kind": span.kind.name,
            "status": span.status.status_code.name,
            "description": span.status.description,
            "attributes": dict(span.attributes),
            "events": [event.name for event in span.events],
            "parent": None if span.parent is None else ("remote" if span.parent.is_remote else "local"),
        }
        for span in spans
    ]


def flask_steps() -> dict[str, Callable[[], Any]]:
    app = flask.Flask("shop")

    @app.get("/hello/<name>")
    def hello(name: str) -> str:
        return f"hello {name}"

    @app.get("/boom")
    def boom() -> str:
        raise ValueError("boom")

    @app.get("/gone")
    def gone() -> Any:
        flask.abort(410)

    @app.get("/unavailable")
    def unavailable() -> Any:
        flask.abort(503)

    @app.get("/stream")
    def stream() -> Any:
        return flask.Response(iter([b"one", b"two"]))

    part = flask.Blueprint("part", "part", url_prefix="/part")

    @part.before_request
    def check() -> None:
        if "refuse" in flask.request.args:
            raise PermissionError("refused")

    @part.route("/items/<int:key>", methods=["GET", "POST"])
    def item(key: int) -> str:
        return str(key)

    app.register_blueprint(part)
    client = app.test_client()

    def get(path: str, **kwargs: Any) -> Callable[[], Any]:
        return lambda: client.get(path, **kwargs).data

    return {
        "a route": get("/hello/bob?page=2"),
        "a secret in the query": get("/hello/bob?token=hush"),
        "under a caller": get("/hello/bob", headers={"traceparent": TRACEPARENT}),
        "behind a proxy": get("/hello/bob", headers={"Host": "shop.example:8443"}),
        "a robot": get("/hello/bob", headers={"User-Agent": "Googlebot/2.1"}),
        "captured headers": get("/hello/bob", headers={"X-Request-Id": "r1", "Authorization": "Bearer hush"}),
        "no route": get("/nothing"),
        "an exception": get("/boom"),
        "a client's error": get("/gone"),
        "a server's error": get("/unavailable"),
        "an unknown method": lambda: client.open("/hello/bob", method="BREW").data,
        "a stream": get("/stream"),
        "a blueprint": get("/part/items/7"),
        "a post": lambda: client.post("/part/items/7", data={"a": "hush"}).data,
        "a head": lambda: client.head("/hello/bob").data,
        "a wrong method": lambda: client.put("/part/items/7").data,
        "refused before the view": get("/part/items/7?refuse=1"),
        "below a prefix": get("/hello/bob", base_url="http://localhost/prefix/"),
        "a path with umlauts": get("/hello/j%C3%BCrgen"),
        "over https": get("/hello/bob", base_url="https://shop.example/"),
    }


def requests_steps(upstream: str) -> dict[str, Callable[[], Any]]:
    session = requests.Session()

    def failing() -> None:
        try:
            session.get("http://127.0.0.1:9/closed", timeout=2)
        except requests.ConnectionError:
            return

    def slow() -> None:
        try:
            session.get(f"{upstream}/slow", timeout=0.05)
        except requests.Timeout:
            return

    return {
        "ok": lambda: session.get(f"{upstream}/ok"),
        "a timeout": slow,
        "credentials in the URL": lambda: session.get(f"{upstream.replace('://', '://us:hush@')}/ok"),
        "an unknown method": lambda: session.request("PURGE", f"{upstream}/ok"),
        "a robot": lambda: session.get(f"{upstream}/ok", headers={"User-Agent": "Googlebot/2.1"}),
        "a streamed body": lambda: list(session.get(f"{upstream}/ok", stream=True).iter_content(1)),
        "two redirects": lambda: session.get(f"{upstream}/redirect2"),
        "a secret in the query": lambda: session.get(f"{upstream}/ok?token=hush"),
        "post": lambda: session.post(f"{upstream}/ok", json={"a": 1}),
        "not found": lambda: session.get(f"{upstream}/missing"),
        "a redirect": lambda: session.get(f"{upstream}/redirect"),
        "refused": failing,
        "captured headers": lambda: session.get(f"{upstream}/ok", headers={"X-Request-Id": "r1"}),
    }


def psycopg2_steps(dsn: str) -> dict[str, Callable[[], Any]]:
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    cursor = connection.cursor()

    def failing() -> None:
        try:
            cursor.execute("SELECT nothing FROM t_difference")
        except psycopg2.Error:
            return

    def real_dict() -> None:
        with connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as one:
            one.execute("SELECT 1 AS a")

    def named() -> None:
        with psycopg2.connect(dsn) as other, other.cursor("named") as one:
            one.execute("SELECT 1 AS a")
            one.fetchall()
        other.close()

    composed = psycopg2.sql.SQL("SELECT a FROM {} WHERE b = %s").format(psycopg2.sql.Identifier("t_difference"))
    return {
        "create": lambda: cursor.execute("CREATE TEMP TABLE t_difference (a int, b text)"),
        "many": lambda: cursor.executemany("INSERT INTO t_difference VALUES (%s, %s)", [(1, "x"), (2, "y")]),
        "select": lambda: cursor.execute("SELECT a FROM t_difference WHERE b = %s", ("x",)),
        "a literal": lambda: cursor.execute("SELECT a FROM t_difference WHERE b = 'hush'"),
        "a cursor of its own class": real_dict,
        "a composed statement": lambda: cursor.execute(composed, ("x",)),
        "a statement of bytes": lambda: cursor.execute(b"SELECT 1"),
        "two statements": lambda: cursor.execute("SELECT 1; SELECT 2"),
        "a comment": lambda: cursor.execute("/* hush */ SELECT a FROM t_difference -- hush"),
        "a join": lambda: cursor.execute("SELECT 1 FROM t_difference x JOIN t_difference y ON x.a = y.a"),
        "a block": lambda: cursor.execute("DO $$ BEGIN PERFORM 1; END $$"),
        "a helper": lambda: psycopg2.extras.execute_values(cursor, "INSERT INTO t_difference VALUES %s", [(3, "z")]),
        "a named cursor": named,
        "copy from": lambda: cursor.copy_from(io.StringIO("4\tw\n"), "t_difference"),
        "a procedure": lambda: cursor.callproc("lower", ["X"]),
        "copy": lambda: cursor.copy_expert("COPY t_difference TO STDOUT", io.StringIO()),
        "failing": failing,
    }


def redis_steps(url: str) -> dict[str, Callable[[], Any]]:
    client = redis.Redis.from_url(url)

    def failing() -> None:
        client.set("word", "x")
        try:
            client.incr("word")
        except redis.ResponseError:
            return

    def pipeline() -> None:
        with client.pipeline() as pipe:
            for number in range(3):
                pipe.set(f"item:{number}", number)
            pipe.execute()

    def mixed() -> None:
        with client.pipeline(transaction=False) as pipe:
            pipe.set("word", "x").incr("word").execute(raise_on_error=False)

    def script() -> None:
        client.eval("return 1", 0)

    async def awaited() -> None:
        asynchronous = redis.asyncio.Redis.from_url(url)
        await asynchronous.get("user:1")
        await asynchronous.aclose()

    def subscribed() -> None:
        with client.pubsub() as pubsub:
            pubsub.subscribe("news")

    return {
        "set": lambda: client.set("user:12", "hush"),
        "get": lambda: client.get("plain"),
        "failing": failing,
        "a pipeline": pipeline,
        "a mixed pipeline": mixed,
        "a script": script,
        "a binary key": lambda: client.set(b"\xff\x00", b"\x00"),
        "a command of a command": lambda: client.config_get("maxmemory"),
        "a wait": lambda: client.blpop("nothing:here", timeout=0.01),
        "a long command": lambda: client.mset({f"many:{number}": number for number in range(200)}),
        "an empty pipeline": lambda: client.pipeline().execute(),
        "a transaction": lambda: client.transaction(lambda pipe: pipe.multi() or pipe.set("word", "x"), "word"),
        "asyncio": lambda: asyncio.run(awaited()),
        "pub/sub": subscribed,
    }


def main(who: str, upstream: str, dsn: str, url: str) -> None:
    made: dict[str, dict[str, Any]] = {}
    steps: dict[str, Callable[[], dict[str, Callable[[], Any]]]] = {
        "flask": flask_steps,
        "requests": lambda: requests_steps(upstream),
        "psycopg2": lambda: psycopg2_steps(dsn),
        "redis": lambda: redis_steps(url),
    }
    for library, prepare in steps.items():
        tracing = instrumentor(who, library)
        tracing.instrument(tracer_provider=PROVIDER)
        made[library] = {}
        for label, step in prepare().items():
            taken()
            step()
            made[library][label] = taken()
        tracing.uninstrument()
    print(json.dumps(made, default=repr))


if __name__ == "__main__":
    main(*sys.argv[1:])
