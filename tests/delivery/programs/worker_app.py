# SPDX-License-Identifier: Apache-2.0
"""A WSGI application that traces by hand, for servers that fork."""

from __future__ import annotations

import os

from traced_program import lifecycle, processor, span, tracer  # noqa: F401  # the lifecycle is installed by now

if os.environ.get("SPAN_AT_IMPORT"):
    span("at import")


def app(environ, start_response):
    with tracer.start_as_current_span(f"GET {environ['PATH_INFO']}", attributes={"pid": os.getpid()}):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(os.getpid()).encode()]
