# SPDX-License-Identifier: Apache-2.0
"""What does ``with tracer.start_as_current_span(...)`` do? Start, make current; and on the way out the reverse."""

from __future__ import annotations

from opentelemetry.context import Context

from tellwhy.engine.context import (
    SPAN_KEY,
    fill,
    get_context,
    leave_elsewhere,
    put,
    put_first,
    reset_context,
    set_context,
)
from tellwhy.engine.samplers import DROP
from tellwhy.engine.span import Span, Unrecorded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextvars import Token
    from types import TracebackType
    from typing import Any, TypeVar

    from opentelemetry.trace import Link, SpanKind
    from opentelemetry.trace import Span as ApiSpan
    from opentelemetry.util import types

    from tellwhy.engine.tracer import Tracer

    F = TypeVar("F", bound=Callable[..., Any])


class CurrentSpan(Context):
    """
    A span to come: a context manager, and a decorator of functions and coroutine functions.

    The span starts when the ``with`` block (or the decorated function) does, so
    parent and sampling are those of that moment. Filled by the tracer.

    Within the block it is also the context in which the span is current: one
    object less to make, which is a twentieth of a span's price.
    """

    __slots__ = (
        "attributes",
        "context",
        "end_on_exit",
        "kind",
        "links",
        "name",
        "record_exception",
        "set_status_on_exception",
        "span",
        "start_time",
        "token",
        "tracer",
    )

    attributes: types.Attributes
    context: Context | None
    end_on_exit: bool
    kind: SpanKind
    links: Sequence[Link] | None
    name: str
    record_exception: bool
    set_status_on_exception: bool
    span: Any
    start_time: int | None
    token: Token[Context]
    tracer: Tracer

    def __enter__(self) -> ApiSpan:
        tracer = self.tracer
        outer = get_context()
        given = self.context
        if given is None:
            parent = outer.get(SPAN_KEY)
            if type(parent) is Unrecorded and tracer._core.local_unsampled is DROP:
                # Nobody will see this span: its parent stands for it, and stays current.
                self.span = None
                return parent
            span: ApiSpan = tracer.start_below(
                parent,
                self.name,
                None,
                self.kind,
                self.attributes,
                self.links,
                self.start_time,
                self.record_exception,
                self.set_status_on_exception,
            )
        else:
            parent = None
            span = self._start_in(given)
        self.span = span
        inner = Context() if len(self) else self  # entered before: that context may live on elsewhere
        if len(outer) > 1 or (parent is None and len(outer)):  # more than the span that is replaced
            fill(inner, outer)
            put(inner, SPAN_KEY, span)
        else:
            put_first(inner, SPAN_KEY, span)
        self.token = set_context(inner)
        return span

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        span = self.span
        if span is None:
            return
        try:
            reset_context(self.token)
        except (ValueError, RuntimeError):
            leave_elsewhere(self.token, span)
        if type(span) is not Span:
            return
        # An exception that is no Exception (GeneratorExit, CancelledError) is no error:
        # open-telemetry/opentelemetry-python#4484.
        if exc_val is not None and span._end is None and isinstance(exc_val, Exception):
            span.fail(exc_val, self.record_exception, self.set_status_on_exception)
        if self.end_on_exit:
            span.end()

    # A dict is empty and unhashable; a context manager is neither.
    __hash__ = object.__hash__  # type: ignore[assignment]

    def __bool__(self) -> bool:
        return True

    def __call__(self, function: F) -> F:
        """Decorate a function: every call of it is a span of its own."""
        import functools
        import inspect

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def traced_coroutine(*args: Any, **kwargs: Any) -> Any:
                with self._again():
                    return await function(*args, **kwargs)

            return traced_coroutine  # type: ignore[return-value]

        @functools.wraps(function)
        def traced_function(*args: Any, **kwargs: Any) -> Any:
            with self._again():
                return function(*args, **kwargs)

        return traced_function  # type: ignore[return-value]

    def _start_in(self, context: Context) -> ApiSpan:
        return self.tracer.start_span(
            self.name,
            context,
            self.kind,
            self.attributes,
            self.links,
            self.start_time,
            self.record_exception,
            self.set_status_on_exception,
        )

    def _again(self) -> CurrentSpan:
        return self.tracer.start_as_current_span(
            self.name,
            self.context,
            self.kind,
            self.attributes,
            self.links,
            self.start_time,
            self.record_exception,
            self.set_status_on_exception,
            self.end_on_exit,
        )
