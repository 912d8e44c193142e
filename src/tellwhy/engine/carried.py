# SPDX-License-Identifier: Apache-2.0
"""
Who is the parent of work that was handed to another thread, or that a stranger asks for?

A ``Carried`` stands in the context for a span that was current elsewhere. Spans
below it are that span's children while the work belongs together, and from then
on roots with a link to it: a thread that a request has started and that lives
on for days must not make that request a trace of days.
"""

from __future__ import annotations

from time import perf_counter_ns

from opentelemetry.context.context import Context
from opentelemetry.trace import INVALID_SPAN, Link
from opentelemetry.trace import Span as ApiSpan

from tellwhy.engine.context import SPAN_KEY, get_context, put

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from opentelemetry.trace import SpanContext


class Carried(ApiSpan):
    """
    A span as seen from where its work was carried to. What is done to it is done to that span.

    Args:

        span: The span; None if it never is a parent here, only linked.

        until: When, on ``perf_counter_ns``, spans below cease to be children, unless the span is still open.

        about: The context to link to if there is no span; None for no link.
    """

    is_fleeting = True
    """What is read of it may differ the next time: its ids are not to be remembered."""

    def __init__(self, span: Any, until: int = 0, about: SpanContext | None = None) -> None:
        self._span = span
        self._until = until
        self._about = about

    def real(self) -> Any:
        """Return the span while work here still belongs to it, None from then on."""
        span = self._span
        if span is None or perf_counter_ns() < self._until or is_open(span):
            return span
        about = span.get_span_context()
        # Nobody has seen a span that was not sampled: a link would lead nowhere.
        self._about = about if about.is_valid and about.trace_flags & 1 else None
        self._span = None  # nor is it kept in memory any longer
        return None

    def parent(self) -> tuple[Any, Link | None]:
        """Return the parent of a span that starts now, and else the link that it gets."""
        span = self.real()
        if span is not None or self._about is None:
            return span, None
        return None, Link(self._about)

    # -- what the program may do: to the span that is meant, or to nobody ------------

    def _or_nobody(self) -> Any:
        span = self.real()
        return INVALID_SPAN if span is None else span

    def get_span_context(self) -> SpanContext:
        """Return the ids of the span, and invalid ones when it is no parent any longer."""
        context: SpanContext = self._or_nobody().get_span_context()
        return context

    def is_recording(self) -> bool:
        """Tell whether the span still takes attributes."""
        return bool(self._or_nobody().is_recording())

    def end(self, *args: Any, **kwargs: Any) -> None:
        """End the span."""
        self._or_nobody().end(*args, **kwargs)

    def set_attribute(self, *args: Any, **kwargs: Any) -> None:
        """Set an attribute of the span."""
        self._or_nobody().set_attribute(*args, **kwargs)

    def set_attributes(self, *args: Any, **kwargs: Any) -> None:
        """Set attributes of the span."""
        self._or_nobody().set_attributes(*args, **kwargs)

    def add_event(self, *args: Any, **kwargs: Any) -> None:
        """Add an event to the span."""
        self._or_nobody().add_event(*args, **kwargs)

    def add_link(self, *args: Any, **kwargs: Any) -> None:
        """Add a link to the span."""
        self._or_nobody().add_link(*args, **kwargs)

    def update_name(self, *args: Any, **kwargs: Any) -> None:
        """Rename the span."""
        self._or_nobody().update_name(*args, **kwargs)

    def set_status(self, *args: Any, **kwargs: Any) -> None:
        """Set the status of the span."""
        self._or_nobody().set_status(*args, **kwargs)

    def record_exception(self, *args: Any, **kwargs: Any) -> None:
        """Record an exception on the span."""
        self._or_nobody().record_exception(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        # What only a recorded span has: name, attributes, status …
        return getattr(self._or_nobody(), name)


def is_open(span: Any) -> bool:
    """Tell whether a span has begun and not ended; of one that is not recorded nobody knows, so no."""
    try:
        return bool(span.is_recording())
    except Exception:  # a foreign span class
        return False


def uncarried(context: Context | None, carried: Carried) -> tuple[Context, Link | None]:
    """Return the context in which a span starts below a carried one, and the link that it gets."""
    parent, link = carried.parent()
    plain = Context(get_context() if context is None else context)
    if parent is None:
        dict.pop(plain, SPAN_KEY, None)
    else:
        put(plain, SPAN_KEY, parent)
    return plain, link
