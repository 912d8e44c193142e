# SPDX-License-Identifier: Apache-2.0
"""Do OpenTelemetry's own instrumentors, propagators and samplers work with our provider as with the SDK's?"""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from typing import Any

import flask
import pytest
import requests
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor

from support.engines import Engine, ours, sdks


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.seen.append(dict(self.headers))  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: Any) -> None:
        """Silence."""


@pytest.fixture
def server() -> Iterator[Any]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as running:
        running.seen = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def _request(engine: Engine, server: Any, headers: dict[str, str]) -> list[Any]:
    """Serve a request with contrib's Flask that calls another service with contrib's requests."""
    app = flask.Flask("app")
    url = f"http://127.0.0.1:{server.server_port}/downstream"

    @app.get("/hello/<name>")
    def hello(name: str) -> str:
        return requests.get(url, timeout=10).text

    @app.get("/fail")
    def fail() -> str:
        raise ValueError("failed")

    FlaskInstrumentor().instrument_app(app, tracer_provider=engine.provider)
    RequestsInstrumentor().instrument(tracer_provider=engine.provider)
    try:
        client = app.test_client()
        assert client.get("/hello/you", headers=headers).text == "ok"
        assert client.get("/fail", headers=headers).status_code == 500
    finally:
        RequestsInstrumentor().uninstrument()
        FlaskInstrumentor().uninstrument_app(app)
    told = [
        (
            span.name,
            span.kind,
            span.get_span_context(),
            span.parent,
            dict(span.attributes),
            [(event.name, sorted(event.attributes)) for event in span.events],
            (span.status.status_code, span.status.description),
        )
        for span in engine.spans
    ]
    return [told, [seen.get("traceparent") for seen in server.seen]]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "a=1"},
        {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"},
    ],
    ids=["no parent", "sampled", "not sampled"],
)
def test_contribs_flask_and_requests_make_the_same_spans(server: Any, headers: dict[str, str]) -> None:
    """Names, kinds, ids, attributes, events, status and what is propagated are those of the SDK's provider."""
    expected = _request(sdks(), server, headers)
    server.seen.clear()
    actual = _request(ours(), server, headers)

    if headers.get("traceparent", "").endswith("-00"):
        # Below a span that is not sampled ours makes no ids of its own: the entry span's is propagated.
        assert expected[0] == actual[0] == []
        assert [sent[:36] + sent[-3:] for sent in expected[1]] == [sent[:36] + sent[-3:] for sent in actual[1]]
    else:
        assert expected == actual
