# SPDX-License-Identifier: Apache-2.0
"""
Where spans begin and end: the only part of the manual API that works with a tracer.

Imported with the first span, for this is where OpenTelemetry's API is needed.
Two ways lead to a span: any tracer's ``start_span``, and with the lean engine a
short cut where the decision is known beforehand and nobody but the exporter
will look at the attributes. Both make the same spans.
"""

from __future__ import annotations

from time import perf_counter_ns

from opentelemetry.context import create_key
from opentelemetry.context.context import Context

from tellwhy import diagnostics
from tellwhy.engine import active
from tellwhy.engine.context import SPAN_KEY, get_context, leave, put, put_first, reset_context, set_context
from tellwhy.engine.samplers import DROP
from tellwhy.engine.span import Span, Unrecorded
from tellwhy.engine.tracer import Tracer
from tellwhy.manual import counts, lineage, outcome, taking, tracers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

_SILENT_KEY: Final = create_key("tellwhy-silent")
_new = object.__new__
suppressed = active.suppress.get


class Scope:
    """One span, from its start to its end, and the context in which the traced work runs."""

    __slots__ = ("context", "site", "span", "started", "token", "watch")

    context: Context
    site: Any
    span: Any
    started: int  # performance counter, ns; set only if there is a min_duration
    token: Any  # None while the work has not begun
    watch: Any  # a weak reference to what must not get lost unseen; set only if there is such a thing

    def enter(self) -> None:
        """Make the span current: the traced work runs, or runs on."""
        self.token = set_context(self.context)

    def leave(self) -> None:
        """Give the caller's context back, and keep the one of the traced work for when it runs on."""
        self.context = get_context()
        leave(self.token, self.span)

    def pause(self) -> None:
        """Leave as if never entered: the work itself is still to come."""
        self.leave()
        self.token = None

    def is_current(self) -> bool:
        """Tell whether the span is the current one here."""
        return get_context().get(SPAN_KEY) is self.span

    def done(self, result: Any) -> None:
        """The work has returned: leave its context and end the span."""
        span = self.span
        try:
            reset_context(self.token)
        except (ValueError, RuntimeError):
            leave(self.token, span)
        if type(span) is Span and self.site.is_simple:
            if span._end is None:
                span.end()
        elif type(span) is not Unrecorded:
            self.finish(result)

    def raised(self, error: BaseException) -> None:
        """The work has raised: leave its context and end the span."""
        leave(self.token, self.span)
        self.fail(error)

    def finish(self, result: Any = None, **attributes: Any) -> None:
        """End the span of work that went well."""
        site, span = self.site, self.span
        try:
            if not span.is_recording():  # sampled out, or ended by the program itself
                return
            if attributes:
                span.set_attributes(attributes)
            if site.result:
                span.set_attributes(taking.of_result(site, result))
            if site.min_duration_ns and self._is_short_leaf():
                counts.span_too_short()
                return
            span.end()
        except Exception as error:
            diagnostics.fault("the end of a span", error)

    def fail(self, error: BaseException, **attributes: Any) -> None:
        """End the span of work that raised."""
        site, span = self.site, self.span
        try:
            if not span.is_recording():
                return
            if attributes:
                span.set_attributes(attributes)
            outcome.record(span, error, site.expected, record_exception=site.record_exception)
            span.end()
        except Exception as fault:
            diagnostics.fault("the end of a failed span", fault)

    def _is_short_leaf(self) -> bool:
        # A span that never ends is never exported: OpenTelemetry has no other way to drop one.
        short = perf_counter_ns() - self.started < self.site.min_duration_ns
        return short and not lineage.has_children(self.span)


class Silent:
    """An entry of a block that makes no span, known again by a mark in the context."""

    __slots__ = ("_token",)

    def __init__(self) -> None:
        context = Context(get_context())
        put(context, _SILENT_KEY, self)
        self._token: Any = set_context(context)

    def is_current(self) -> bool:
        """Tell whether this is the latest such entry here."""
        return get_context().get(_SILENT_KEY) is self

    def done(self, _result: object) -> None:
        """The block has ended."""
        try:
            reset_context(self._token)
        except (ValueError, RuntimeError):
            return  # left in another context than entered: the mark was never here

    raised = done


def current_span() -> Any:
    """Return the current span; None if there is none."""
    return get_context().get(SPAN_KEY)


def current_ids() -> tuple[int, int] | None:
    """Return trace id and span id of the current span; None if there is none."""
    span: Any = get_context().get(SPAN_KEY)
    if span is None:
        return None
    if type(span) is Span or type(span) is Unrecorded:
        return span._trace_id, span._span_id
    about = span.get_span_context()
    return (about.trace_id, about.span_id) if about.is_valid else None


def begin(site: Any, args: tuple[Any, ...], kwargs: dict[str, Any], enter: bool = True) -> Scope | None:
    """
    Start the span of a call, and make it current at once or not; None if this call makes no span.

    Args:

        site: What is known about the traced function (``Site``) or block (``SpanScope``).

        args: The call's positional arguments.

        kwargs: The call's keyword arguments.

        enter: Whether the work runs now; a generator's runs step by step.
    """
    try:
        context = get_context()
        parent: Any = context.get(SPAN_KEY)
        tracer: Any = active.tracer
        if type(tracer) is not Tracer:
            tracer = tracers.find(parent, site.new_trace)
            if tracer is None:
                return None
        elif type(parent) is Unrecorded and tracer._core.local_unsampled is DROP and not site.new_trace:
            return None
        if suppressed():
            return None
        if not site.prepared:
            site.prepare(taking.kind)
        if site.is_simple and type(tracer) is Tracer:
            span = _short_cut(site, args, kwargs, tracer, context, parent)
        elif site.when is not None and not taking.allowed(site, args, kwargs):
            return None
        else:
            span = _by_the_api(site, args, kwargs, tracer, context, parent)
    except Exception as error:
        diagnostics.fault("the start of a span", error)
        return None
    scope = _new(Scope)
    scope.site = site
    scope.span = span
    if len(context) > 1 or (parent is None and len(context)):  # more than the span that is replaced
        scope.context = inner = Context(context)
        put(inner, SPAN_KEY, span)
    else:
        scope.context = inner = Context()
        put_first(inner, SPAN_KEY, span)
    scope.token = set_context(inner) if enter else None
    if site.min_duration_ns:
        scope.started = perf_counter_ns()
    return scope


def _short_cut(
    site: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracer: Any, context: Context, parent: Any
) -> Any:
    """
    Start a span of the lean engine, attributes last.

    Where the engine decides without looking at attributes and nobody listens to
    the start, they wait until it is known that they are wanted; and ours, which
    are clean, are stored as they are.
    """
    core = tracer._core
    if parent is None:
        decider = core.root
    elif type(parent) is Span and parent._flags & 1:
        decider = core.local_sampled
    else:
        return _by_the_api(site, args, kwargs, tracer, context, parent)
    if type(decider) is not int or core.reads_start or core.max_value_length is not None:
        return _by_the_api(site, args, kwargs, tracer, context, parent)
    if decider == DROP and parent is None:
        return tracer.dropped_root()
    span = tracer.start_below(parent, site.name, None, site.kind, None, (), None, True, True)
    if type(span) is Span:
        if site.start is None:
            kept = site.constants.copy()
        else:
            try:
                kept = site.start(*args, **kwargs)
            except Exception:  # arguments that do not fit: the function itself will say so, in Python's words
                kept = site.constants.copy()
        span._attributes = kept
        if len(kept) > core.max_attributes:
            span._drop_oldest_attributes()
    return span


def _by_the_api(
    site: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tracer: Any, context: Context, parent: Any
) -> Any:
    """Start a span by OpenTelemetry's API alone, with all that can be asked for."""
    attributes = site.constants
    if site.start is not None:
        attributes = taking.arguments(site.start, args, kwargs) or attributes
    links = taking.links(site, args, kwargs, parent)
    if site.new_trace and parent is not None:
        context = Context({key: value for key, value in context.items() if key != SPAN_KEY})
    span = tracer.start_span(site.name, context, site.kind, attributes, links)
    if site.late is not None and span.is_recording():
        span.set_attributes(taking.arguments(site.late, args, kwargs))
    return span
