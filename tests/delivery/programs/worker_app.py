# SPDX-License-Identifier: Apache-2.0
"""A WSGI application that traces by hand, for servers that fork."""

from __future__ import annotations

import os
import time

from traced_program import lifecycle, processor, span, tracer  # noqa: F401  # the lifecycle is installed by now

if os.environ.get("SPAN_AT_IMPORT"):
    span("at import")


def stream():
    with tracer.start_as_current_span("GET /stream"):
        for _ in range(8):
            yield b"."
            time.sleep(0.2)


def app(environ, start_response):
    if environ["PATH_INFO"] == "/stream":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return stream()
    with tracer.start_as_current_span(f"GET {environ['PATH_INFO']}", attributes={"pid": os.getpid()}):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(os.getpid()).encode()]
