# SPDX-License-Identifier: Apache-2.0
"""
How many spans were started, and how many are open? The SDK's own two metrics, for who asks for them.

``OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED=true`` makes a provider use these
tracers. They count with the SDK's instruments; nobody else pays for it.
"""

from __future__ import annotations

from opentelemetry.trace import get_current_span

from tellwhy import diagnostics
from tellwhy.engine.samplers import DROP
from tellwhy.engine.tracer import Tracer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from opentelemetry.context import Context


def metrics(meter_provider: Any) -> Any:
    """Return what the SDK counts its spans with, imported from there; None if this SDK does not count them so."""
    try:
        from opentelemetry.metrics import get_meter_provider
        from opentelemetry.sdk.trace._tracer_metrics import create_tracer_metrics

        return create_tracer_metrics(meter_provider or get_meter_provider(), True)
    except Exception as error:
        diagnostics.fault("the metrics of spans", error)
        return None


def drop_seen(*_: Any) -> int:
    """Decide DROP, but as an answer to a question: a constant would let spans pass that are to be counted."""
    return DROP


def tracer_class(counts: Any) -> type[Tracer]:
    """Return the class of the tracers that count with these instruments."""
    from opentelemetry.sdk.trace.sampling import Decision

    class MeteredTracer(Tracer):
        __slots__ = ()

        def start_below(self, parent: Any, name: str, context: Context | None, /, *args: Any) -> Any:
            span: Any = super().start_below(parent, name, context, *args)
            try:
                parent = get_current_span(context).get_span_context()
                sampled = span.get_span_context().trace_flags & 1
                recorded = Decision.RECORD_AND_SAMPLE if sampled else Decision.RECORD_ONLY
                decision = recorded if span.is_recording() else Decision.DROP
                ended = counts.start_span(parent if parent.is_valid else None, decision)
                if span.is_recording():
                    span.__dict__["_count_end"] = ended
            except Exception as error:
                diagnostics.fault("the metrics of spans", error)
            return span

    return MeteredTracer


class SpanCounter:
    """A span processor that counts the end of a metered span."""

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """Nothing: the tracer has counted the start."""

    def on_end(self, span: Any) -> None:
        """Count the end."""
        ended = span.__dict__.pop("_count_end", None)
        if ended is not None:
            ended()

    def shutdown(self) -> None:
        """Nothing is held."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:  # noqa: ARG002
        """Nothing is held."""
        return True
