# SPDX-License-Identifier: Apache-2.0
"""
Which span is current, in the words of a log record?

Asked for every record of the program, so the answer is one tuple for each span,
made when the first record asks for it. Nothing of OpenTelemetry is imported for
it: while the program has not imported it, there is no span.
"""

from __future__ import annotations

import sys

from tellwhy import diagnostics

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

    from opentelemetry.trace import SpanContext

    Ids = tuple[str, str, str, str, str, bool, str]

NAMES: Final = ("trace_id", "span_id", "trace_flags")
"""The names that OpenTelemetry asks for in logs that are not OTLP (specification: logging_trace_context)."""

FIELDS: Final = (*NAMES, "otelTraceID", "otelSpanID", "otelTraceSampled", "otelServiceName")
"""What a record gets, in the order of `current`; the latter as opentelemetry-instrumentation-logging names them."""

_TWO_HEX: Final = tuple(f"{flags:02x}" for flags in range(256))

_NO_CONTEXT: Final[dict[str, Any]] = {}

_outside: Ids
_latest: tuple[object, Ids]
_span_key = ""


def name_service(name: str) -> None:
    """Set what ``otelServiceName`` says from now on; "" if it is not known."""
    global _outside, _latest
    # "0" and False are what opentelemetry-instrumentation-logging writes outside a span.
    _outside = ("", "", "", "0", "0", False, name)
    _latest = (None, _outside)


def current() -> Ids:
    """Return the values of `FIELDS` for the current span, or the empty ones."""
    span = _context().get(_span_key)
    if span is None:
        return _outside
    latest = _latest  # read once: another thread may replace it meanwhile
    return latest[1] if span is latest[0] else _remember(span)


def _remember(span: object) -> Ids:
    """Keep the latest span only: its lines mostly come together, and more would keep more spans in memory."""
    global _latest
    try:
        ids = _describe(span)
    except Exception as error:  # a span class of the program's own: its faults are not the line's
        diagnostics.fault("logs: reading the current span", error)
        ids = _outside
    if not getattr(span, "is_fleeting", False):
        _latest = (span, ids)
    return ids


def _describe(span: Any) -> Ids:
    trace_number = getattr(span, "_trace_id", None)
    if trace_number is not None:
        # Read from a span of our engine, not asked for: who is asked for its context was handed on to
        # somebody, and delivery takes care that such a span arrives singly.
        span_number, flags = span._span_id, span._flags
    else:
        context: SpanContext | None = span.get_span_context()
        if context is None:
            return _outside
        # Unpacked, and bytes.hex() for format(): 0.5 µs where properties and formats take 1.9.
        trace_number, span_number, _, flags, _, is_valid = context
        if not is_valid:
            return _outside
    trace_id = trace_number.to_bytes(16, "big").hex()
    span_id = span_number.to_bytes(8, "big").hex()
    return (trace_id, span_id, _TWO_HEX[flags & 0xFF], trace_id, span_id, flags & 1 == 1, _outside[-1])


def _context_if_imported() -> Any:
    """Stand in for the context until the program has imported OpenTelemetry, then step aside."""
    global _context, _span_key
    modules = sys.modules
    if "opentelemetry.trace" not in modules:
        return _NO_CONTEXT
    runtime: Any = getattr(modules.get("opentelemetry.context"), "_RUNTIME_CONTEXT", None)
    key = getattr(modules.get("opentelemetry.trace.propagation"), "_SPAN_KEY", None)
    get_current_span = getattr(modules.get("opentelemetry.trace"), "get_current_span", None)
    if get_current_span is None:  # not imported, or another thread is just at it
        return _NO_CONTEXT
    if runtime is None or key is None:  # private names, gone one day: the public way is slower
        _context = lambda: {_span_key: get_current_span()}  # noqa: E731
        return _context()
    from contextvars import ContextVar  # here it is imported already

    # The ContextVar itself, where the context is kept in one: it saves two calls a record.
    variable = getattr(runtime, "_current_context", None)
    _span_key = key
    _context = variable.get if isinstance(variable, ContextVar) else runtime.get_current
    return _context()


_context: Callable[[], Any] = _context_if_imported

name_service("")
