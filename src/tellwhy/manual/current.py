# SPDX-License-Identifier: Apache-2.0
"""
What can be said about the span that is current: attributes, events, failure, its ids, or silence.

All of it does nothing, at next to no cost, where there is no span. Nothing here
imports OpenTelemetry: as long as nobody else has, there is no current span.
"""

from __future__ import annotations

import sys

from tellwhy import diagnostics
from tellwhy.engine import active
from tellwhy.manual import entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextvars import Token
    from types import TracebackType
    from typing import Any

    from opentelemetry.trace import Span

    from tellwhy.manual.options import AttrValue


def annotate(attributes: Mapping[str, AttrValue | None] | None = None, /, **more: AttrValue | None) -> None:
    """
    Put attributes on the current span; nothing happens if there is none.

    ``annotate({"order.id": 7})`` or ``annotate(order_id=7)``: keywords are used
    as written. None is left out; secrets are replaced.
    """
    _annotate(_recording_span(), attributes, more)


def annotate_root(attributes: Mapping[str, AttrValue | None] | None = None, /, **more: AttrValue | None) -> None:
    """Put attributes on this process's entry span, the one people filter on, from however deep below."""
    span = _recording_span()
    if span is not None:
        _annotate(entry.local_root(span), attributes, more)


def event(name: str, /, **attributes: AttrValue | None) -> None:
    """Note on the current span that something happened now."""
    span = _recording_span()
    if span is None:
        return
    try:
        span.add_event(name, entry.cleaned(attributes))
    except Exception as error:
        diagnostics.fault("tellwhy.event", error)


def fail(reason: BaseException | str, /) -> None:
    """Mark the current span as failed, by an exception that is not raised on or by a message."""
    span = _recording_span()
    if span is None:
        return
    try:
        if isinstance(reason, BaseException):
            entry.failed(span, reason)
        else:
            entry.failed_because(span, reason)
    except Exception as error:
        diagnostics.fault("tellwhy.fail", error)


def current_trace_id() -> str | None:
    """Return the current trace id as 32 hex digits, as backends show it; None outside of a trace."""
    ids = _ids()
    return None if ids is None else f"{ids[0]:032x}"


def current_span_id() -> str | None:
    """Return the current span's id as 16 hex digits; None outside of a trace."""
    ids = _ids()
    return None if ids is None else f"{ids[1]:016x}"


class _Suppressed:
    """What ``suppressed()`` returns: a context manager for one use."""

    __slots__ = ("_context", "_ours")

    _ours: Token[bool]
    _context: Any

    def __enter__(self) -> None:
        self._ours = active.suppress.set(True)
        self._context = None
        try:
            if active.tracer is not None or active.pending is not None or "opentelemetry.context" in sys.modules:
                self._context = _suppress_instrumentations()
        except Exception as error:
            diagnostics.fault("tellwhy.suppressed", error)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            active.suppress.reset(self._ours)
            if self._context is not None:
                from tellwhy.engine.context import reset_context

                reset_context(self._context)
        except ValueError:
            return  # left in another context than entered, where nothing was suppressed


def suppressed() -> _Suppressed:
    """
    Keep a block of code free of spans: for health checks and noisy loops.

    Holds for everything of tellwhy and for instrumentations that honour
    OpenTelemetry's ``suppress_instrumentation``. The current span stays current.
    """
    return _Suppressed()


def _suppress_instrumentations() -> Any:
    # Its import builds the provider, which must not meet modules of ours that are half imported.
    import opentelemetry.trace  # noqa: F401
    from opentelemetry import context as context_api

    context = context_api.get_current()
    # Two spellings: the API's own key, and the plain one that instrumentations used before it.
    for key in (context_api._SUPPRESS_INSTRUMENTATION_KEY, "suppress_instrumentation"):
        context = context_api.set_value(key, True, context)
    return context_api.attach(context)


def _recording_span() -> Span | None:
    if "opentelemetry.trace" not in sys.modules:
        return None
    try:
        span: Any = entry.current_span()
        return span if span is not None and span.is_recording() else None
    except Exception as error:  # an API that is just being imported, a span of somebody else's making
        diagnostics.fault("the current span", error)
        return None


def _ids() -> tuple[int, int] | None:
    if "opentelemetry.trace" not in sys.modules:
        return None
    try:
        return entry.current_ids()
    except Exception as error:
        diagnostics.fault("the current span", error)
        return None


def _annotate(
    span: Span | None, attributes: Mapping[str, AttrValue | None] | None, more: Mapping[str, AttrValue | None]
) -> None:
    if span is None:
        return
    try:
        if span.is_recording():
            span.set_attributes(entry.cleaned(attributes, more))
    except Exception as error:
        diagnostics.fault("tellwhy.annotate", error)
