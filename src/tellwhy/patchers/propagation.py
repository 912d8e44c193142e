# SPDX-License-Identifier: Apache-2.0
"""
How does the trace get in from a caller, and on to the next service?

W3C Trace Context is read and written here directly while the propagators are
OpenTelemetry's default ones; whatever else is configured (``OTEL_PROPAGATORS``,
``set_global_textmap()``) is asked as it wants to be.
https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

from opentelemetry import propagate
from opentelemetry.baggage import _BAGGAGE_KEY
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import Getter
from opentelemetry.trace import NonRecordingSpan

from tellwhy import diagnostics
from tellwhy.engine.context import SPAN_KEY, put
from tellwhy.engine.span import Span, Unrecorded
from tellwhy.propagation import trust
from tellwhy.propagation.baggage import with_baggage
from tellwhy.propagation.propagators import OURS, Propagators
from tellwhy.propagation.w3c import span_context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping
    from typing import Any

_ours = (Span, Unrecorded)

_judged: Any = None
_is_default = False
_baggage = W3CBaggagePropagator()  # writes it


class _Environ(Getter):  # type: ignore[type-arg]  # its subscript would be evaluated
    """Reads headers from a WSGI environ."""

    def get(self, carrier: Mapping[str, Any], key: str) -> list[str] | None:
        value = carrier.get("HTTP_" + key.upper().replace("-", "_"))
        return None if value is None else [value]

    def keys(self, carrier: Mapping[str, Any]) -> list[str]:
        return [key[5:].lower().replace("_", "-") for key in carrier if key.startswith("HTTP_")]


_environ = _Environ()


def extract(environ: Mapping[str, Any], context: Context) -> Context:
    """Return the context that a WSGI request brings, on top of another; that one itself if it brings none."""
    try:
        textmap = propagate.get_global_textmap()
        if not (_is_default if textmap is _judged else _judge(textmap)):
            before = Context(context)
            return trust.judged(before, textmap.extract(environ, before, getter=_environ), environ)
        found = context
        header = environ.get("HTTP_TRACEPARENT")
        if header:
            about = span_context(header, environ.get("HTTP_TRACESTATE"))
            if about is not None:
                found = Context(context)
                put(found, SPAN_KEY, NonRecordingSpan(about))
        header = environ.get("HTTP_BAGGAGE")
        if header:
            found = with_baggage(found, header)
        return found if trust.rules is None else trust.judged(context, found, environ)
    except Exception as error:
        diagnostics.fault("the propagator", error)
        return context


def inject(headers: MutableMapping[Any, Any], context: Context) -> None:
    """Write the context's span, and its baggage, into the headers of a request."""
    try:
        textmap = propagate.get_global_textmap()
        if not (_is_default if textmap is _judged else _judge(textmap)):
            textmap.inject(headers, context)
            return
        span: Any = context.get(SPAN_KEY)
        if span is not None:
            write_trace(headers, span)
        if _BAGGAGE_KEY in context:
            _baggage.inject(headers, context)
    except Exception as error:
        diagnostics.fault("the propagator", error)


def write_trace(headers: MutableMapping[Any, Any], span: Any) -> None:
    """Write ``traceparent``, and ``tracestate`` if there is any."""
    if type(span) in _ours:
        headers["traceparent"] = f"00-{span._trace_id:032x}-{span._span_id:016x}-{span._flags:02x}"
        state = span._trace_state
    else:
        about = span.get_span_context()
        if not about.is_valid:
            return
        headers["traceparent"] = f"00-{about.trace_id:032x}-{about.span_id:016x}-{about.trace_flags:02x}"
        state = about.trace_state
    if state:
        headers["tracestate"] = state.to_header()


def _judge(textmap: Any) -> bool:
    """Find out whether these propagators are the default ones, whose work is done here."""
    global _judged, _is_default
    parts = getattr(textmap, "_propagators", ()) if type(textmap) in (CompositePropagator, Propagators) else ()
    _is_default = [type(part) for part in parts] in (list(OURS), list(OURS.values()))
    _judged = textmap
    return _is_default
