# SPDX-License-Identifier: Apache-2.0
"""
The propagators that OpenTelemetry's instrumentations ask: its own classes, with our reading of what comes in.

They are used in place of OpenTelemetry's wherever ``OTEL_PROPAGATORS`` names
``tracecontext`` and ``baggage``, which is the default.
"""

from __future__ import annotations

from opentelemetry import context as context_api
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import default_getter
from opentelemetry.trace import NonRecordingSpan
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tellwhy import diagnostics
from tellwhy.engine.context import SPAN_KEY, put
from tellwhy.propagation import trust
from tellwhy.propagation.baggage import with_baggage
from tellwhy.propagation.w3c import span_context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from opentelemetry.propagators.textmap import TextMapPropagator


class TraceContext(TraceContextTextMapPropagator):
    """W3C Trace Context, read as the specification's own tests want it."""

    def extract(self, carrier: Any, context: Context | None = None, getter: Any = default_getter) -> Context:
        """Return the context with the caller's span in it, if there is one."""
        context = Context() if context is None else context
        parents = getter.get(carrier, "traceparent")
        if not parents:
            return context
        states = getter.get(carrier, "tracestate")
        about = span_context(",".join(parents), ",".join(states) if states else None)
        if about is None:
            return context
        inner = Context(context)
        put(inner, SPAN_KEY, NonRecordingSpan(about))
        return inner


class Baggage(W3CBaggagePropagator):
    """W3C Baggage, read without a word about what is left out."""

    def extract(self, carrier: Any, context: Context | None = None, getter: Any = default_getter) -> Context:
        """Return the context with the caller's baggage in it, if there is any."""
        context = context_api.get_current() if context is None else context
        headers = getter.get(carrier, "baggage")
        return with_baggage(context, ",".join(headers)) if headers else context


class Propagators(CompositePropagator):
    """Several propagators; what a request brings is taken if its sender is believed (``TELLWHY_TRUST_INCOMING``)."""

    def extract(self, carrier: Any, context: Context | None = None, getter: Any = default_getter) -> Context:
        """Return the context with everything in it that the propagators find."""
        if trust.rules is None:
            return super().extract(carrier, context, getter)
        before = context_api.get_current() if context is None else context
        return trust.judged(before, super().extract(carrier, before, getter), carrier)


OURS = {TraceContextTextMapPropagator: TraceContext, W3CBaggagePropagator: Baggage}


def improved(textmap: TextMapPropagator) -> TextMapPropagator | None:
    """Return a global propagator with our own parts in place of OpenTelemetry's; None if it is of another kind."""
    parts = getattr(textmap, "_propagators", None)
    if type(textmap) is not CompositePropagator or not parts:
        return None
    try:
        return Propagators([OURS.get(type(part), lambda part=part: part)() for part in parts])
    except Exception as error:
        diagnostics.fault("the propagators", error)
        return None
