# SPDX-License-Identifier: Apache-2.0
"""Is Flask's company undisturbed? WebSockets, other WSGI middleware, and a real server under both."""

from __future__ import annotations

import gzip
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import flask
import pytest
from flask_sock import Sock
from simple_websocket import Client as WebSocket
from simple_websocket import ConnectionClosed
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.serving import make_server

from support.recording import Recorder
from tellwhy.patchers.flask import FlaskInstrumentor


@contextmanager
def served(app: Any) -> Iterator[str]:
    """Serve an application with threads; yields ``host:port``."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def _hello() -> flask.Flask:
    app = flask.Flask("company")

    @app.get("/hello")
    def hello() -> str:
        return f"hello {flask.request.remote_addr} {flask.request.scheme}"

    return app


def test_a_websocket_is_one_request_from_its_handshake_to_its_close(recorder: Recorder) -> None:
    """Messages go both ways as without us, and what is done for them is below the request."""
    FlaskInstrumentor().instrument(tracer_provider=recorder.provider)
    app = flask.Flask("sockets")
    done = threading.Event()

    @Sock(app).route("/echo")
    def echo(socket: Any) -> None:
        try:
            while True:
                message = socket.receive()
                with recorder.tracer.start_as_current_span("message"):
                    socket.send(message[::-1])
        finally:
            done.set()

    with served(app) as address:
        client = WebSocket(f"ws://{address}/echo")
        client.send("abc")
        assert client.receive(5) == "cba"
        client.send(b"\x00\xff")
        assert client.receive(5) == b"\xff\x00"
        assert "GET /echo" not in recorder.names()  # the request is still open
        client.close()
        with pytest.raises(ConnectionClosed):
            client.receive(5)
        assert done.wait(10)

    first, second, request = recorder.take()
    assert request.name == "GET /echo"
    assert {first.parent.span_id, second.parent.span_id} == {request.context.span_id}


def test_proxy_fix(recorder: Recorder) -> None:
    """The most used middleware of all works as without us; the request is one span."""
    app = _hello()
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    FlaskInstrumentor().instrument(tracer_provider=recorder.provider)
    headers = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}

    with served(app) as address:
        with urllib.request.urlopen(urllib.request.Request(f"http://{address}/hello", headers=headers)) as response:
            assert response.read() == b"hello 203.0.113.7 https"

    span = recorder.only()
    assert (span.name, span.attributes["http.response.status_code"]) == ("GET /hello", 200)


def test_middleware_that_answers_itself(recorder: Recorder) -> None:
    """A request that never reaches Flask is a span without a route, with the middleware's status."""
    app = _hello()

    def closed(environ: Any, start_response: Any) -> Any:
        start_response("503 Service Unavailable", [("Content-Type", "text/plain"), ("Content-Length", "6")])
        return [b"closed"]

    app.wsgi_app = closed  # type: ignore[method-assign]
    FlaskInstrumentor().instrument(tracer_provider=recorder.provider)

    with served(app) as address, pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(f"http://{address}/hello")

    assert (raised.value.code, raised.value.read()) == (503, b"closed")
    span = recorder.only()
    assert (span.name, span.attributes["http.response.status_code"]) == ("GET", 503)


def test_middleware_that_changes_the_response(recorder: Recorder) -> None:
    """One that reads the body, uses ``write()`` and starts the response twice, as PEP 3333 allows."""
    app = _hello()
    inner = app.wsgi_app

    def zipped(environ: Any, start_response: Any) -> Any:
        kept: list[Any] = []
        body = inner(environ, lambda status, headers, exc_info=None: kept.append((status, headers)))
        try:
            data = gzip.compress(b"".join(body))
        finally:
            body.close()  # type: ignore[attr-defined]
        status, headers = kept[-1]
        start_response("500 Not Yet", [])
        try:
            raise ValueError("changed my mind")
        except ValueError:
            write = start_response(
                status,
                [*(pair for pair in headers if pair[0] != "Content-Length"), ("Content-Encoding", "gzip")],
                sys.exc_info(),
            )
        write(data)
        return []

    app.wsgi_app = zipped  # type: ignore[method-assign]
    FlaskInstrumentor().instrument(tracer_provider=recorder.provider)

    with served(app) as address, urllib.request.urlopen(f"http://{address}/hello") as response:
        assert response.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(response.read()) == b"hello 127.0.0.1 http"

    span = recorder.only()
    assert (span.name, span.attributes["http.response.status_code"]) == ("GET /hello", 200)
