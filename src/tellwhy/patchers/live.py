# SPDX-License-Identifier: Apache-2.0
"""
What patched functions do with OpenTelemetry: loaded when there is a first span to make.

Everything that knows the API stands here and in ``propagation.py``; the
patchers themselves know their libraries.
"""

from __future__ import annotations

from opentelemetry import context as _context_api
from opentelemetry.trace import SpanKind, Status, StatusCode

from tellwhy import diagnostics
from tellwhy.engine.active import suppress
from tellwhy.engine.context import SPAN_KEY
from tellwhy.engine.span import Span
from tellwhy.manual import outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from opentelemetry.context.context import Context

    from tellwhy.patchers.spans import Spans

CLIENT = SpanKind.CLIENT
SERVER = SpanKind.SERVER
INTERNAL = SpanKind.INTERNAL
ERROR = Status(StatusCode.ERROR)

# OpenTelemetry's own ways of asking for silence; exporters of the SDK use them.
_SILENT = _context_api._SUPPRESS_INSTRUMENTATION_KEY
_SILENT_PLAIN = "suppress_instrumentation"
SILENT_HTTP = _context_api._SUPPRESS_HTTP_INSTRUMENTATION_KEY

_suppressed = suppress.get


def is_silenced(context: Context) -> Any:
    """Tell whether no spans are wanted here: ``tellwhy.suppressed()``, or OpenTelemetry's own way."""
    return _suppressed() or (context and (context.get(_SILENT) or context.get(_SILENT_PLAIN)))


def begin(
    spans: Spans, tracer: Any, name: str, kind: SpanKind, attributes: dict[str, Any] | None, context: Context
) -> Any:
    """
    Start a span; None if nobody will see it and its parent can stand for it.

    Attributes that were not given are to be set by the caller, if the span is recording.
    """
    if spans.lean:
        return tracer.begin(name, kind, attributes, (), context)
    return tracer.start_span(name, context, kind, attributes)


def fill(span: Any, attributes: dict[str, Any]) -> None:
    """Set attributes that are known to be plain, on a span that has just begun."""
    if type(span) is Span:
        core = span._core
        if core.max_value_length is None and len(attributes) <= core.max_attributes:
            span._attributes.update(attributes)
            return
    span.set_attributes(attributes)


def describe(span: Any, name: str, attributes: dict[str, Any]) -> None:
    """Name a span that has just begun, and give it attributes that are known to be plain and nobody else's."""
    if type(span) is Span:
        core = span._core
        if core.max_value_length is None and len(attributes) <= core.max_attributes:
            span._name = name
            span._attributes = attributes
            return
    span.update_name(name)
    span.set_attributes(attributes)


def is_sampled_out(context: Context) -> bool:
    """Tell whether the current span is one that is not recorded: its ids still go to the next service."""
    span: Any = context.get(SPAN_KEY)
    return span is not None and not span.is_recording() and span.get_span_context().is_valid


def fail(span: Any, error: BaseException) -> None:
    """Record what was raised: in full where it is new to the trace, as status and type above that."""
    try:
        if span.is_recording():
            outcome.record(span, error)
    except Exception as fault:
        diagnostics.fault("the recording of an exception", fault)


def end(span: Any) -> None:
    """End a span; a processor of the program's own that fails does not reach its caller."""
    try:
        span.end()
    except Exception as error:
        diagnostics.fault("the end of a span", error)


def call_hook(hook: Callable[..., Any], *args: Any) -> None:
    """Call a hook of the program's own; if it raises, that is said once and the program goes on."""
    try:
        hook(*args)
    except Exception as error:
        name = getattr(hook, "__qualname__", repr(hook))
        diagnostics.warn(f"the hook {name} raised {type(error).__name__}: {error}; going on without it")
