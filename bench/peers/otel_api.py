# SPDX-License-Identifier: Apache-2.0
"""The workloads for whoever implements OpenTelemetry's API: the official SDK, and ours."""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span

from common import Work

EIGHT = {
    "http.request.method": "GET",
    "http.route": "/orders/<id>",
    "http.response.status_code": 200,
    "server.address": "shop.internal",
    "server.port": 8080,
    "url.path": "/orders/17",
    "user_agent.original": "curl/8.5.0",
    "network.protocol.version": "1.1",
}


def span_works(tracer: trace.Tracer) -> dict[str, Work]:
    """Return the workloads that only need a tracer."""

    def span(count: int) -> None:
        start = tracer.start_as_current_span
        for _ in range(count):
            with start("checkout") as made:
                made.set_attribute("order.id", "A-17")
                made.set_attribute("order.items", 3)
                made.set_attribute("order.paid", True)

    def export(count: int) -> None:
        start = tracer.start_as_current_span
        for _ in range(count):
            with start("checkout", attributes=EIGHT):
                pass

    def current(count: int) -> None:
        get = trace.get_current_span
        with tracer.start_as_current_span("outer"):
            for _ in range(count):
                get()

    def set_attribute(count: int) -> None:
        with tracer.start_as_current_span("outer") as made:
            for _ in range(count):
                made.set_attribute("order.id", "A-17")

    def unsampled_child(count: int) -> None:
        start = tracer.start_as_current_span
        with use_span(unsampled()):
            for _ in range(count):
                with start("child"):
                    pass

    return {
        "span": span,
        "export": export,
        "memory": export,
        "current": current,
        "set_attribute": set_attribute,
        "unsampled_child": unsampled_child,
    }


def unsampled() -> NonRecordingSpan:
    """Return a local parent that was sampled out."""
    return NonRecordingSpan(SpanContext(0x1234, 0x5678, is_remote=False, trace_flags=TraceFlags(0)))
