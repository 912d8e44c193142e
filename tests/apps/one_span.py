"""Makes one span with OpenTelemetry's API, and has no other line of tracing."""

from opentelemetry import trace

with trace.get_tracer("one_span").start_as_current_span("work"):
    pass
