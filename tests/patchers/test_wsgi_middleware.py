# SPDX-License-Identifier: Apache-2.0
"""What is traced of a plain WSGI application: its requests, until their last chunk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import flask
import pytest
from opentelemetry.trace import SpanKind, StatusCode
from werkzeug.test import Client, EnvironBuilder

from support.recording import Recorder
from tellwhy.patchers.flask import FlaskInstrumentor
from tellwhy.patchers.middleware import Middleware


def test_a_request_is_a_server_span(recorder: Recorder) -> None:
    """Named by its method, for nobody knows a route; hooks see it."""
    seen: list[Any] = []

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("503 Busy", [("Content-Type", "text/plain")])
        return [b"busy"]

    traced = Middleware(
        application,
        request_hook=lambda span, environ: seen.append(environ["PATH_INFO"]),
        response_hook=lambda span, environ, status, headers: seen.append(status),
        tracer_provider=recorder.provider,
    )

    assert Client(traced).get("/any").status_code == 503

    span = recorder.only()
    assert (span.name, span.kind, span.status.status_code) == ("GET", SpanKind.SERVER, StatusCode.ERROR)
    assert seen == ["/any", "503 Busy"]


def test_a_generator_is_traced_to_its_end(recorder: Recorder) -> None:
    """An application that starts its response with the first chunk, and fails with the second."""

    def application(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"one"
        raise RuntimeError("two")

    body: Any = Middleware(application, tracer_provider=recorder.provider)(
        EnvironBuilder().get_environ(), lambda status, headers, exc_info=None: None
    )
    assert next(iter(body)) == b"one"
    assert recorder.names() == []
    with pytest.raises(RuntimeError):
        next(body)
    body.close()

    span = recorder.only()
    assert (span.attributes["http.response.status_code"], span.attributes["error.type"]) == (200, "RuntimeError")


def test_around_a_traced_application_it_is_the_same_request(recorder: Recorder) -> None:
    """Two layers that trace make one span."""
    app = flask.Flask("inside")
    app.add_url_rule("/<name>", view_func=lambda name: name)
    FlaskInstrumentor().instrument(tracer_provider=recorder.provider)

    Client(Middleware(app, tracer_provider=recorder.provider)).get("/x")

    assert recorder.names() == ["GET /<name>"]
