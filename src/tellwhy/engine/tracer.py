# SPDX-License-Identifier: Apache-2.0
"""
How does a span begin? Parent, decision, ids; and only if it is recorded, everything else.

``start_span`` and ``start_as_current_span`` are OpenTelemetry's. ``begin`` is
for tellwhy's own callers: it says None where nobody will see a span.
"""

from __future__ import annotations

from time import perf_counter_ns, time_ns

from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, get_current_span
from opentelemetry.trace import Tracer as ApiTracer

from tellwhy import diagnostics
from tellwhy.engine.carried import Carried, uncarried
from tellwhy.engine.context import SPAN_KEY, get_context
from tellwhy.engine.current import CurrentSpan
from tellwhy.engine.ids import RandomIdGenerator, made_span_id, made_trace_id, random_bits
from tellwhy.engine.leftout import LeftOut
from tellwhy.engine.records import recorded_links
from tellwhy.engine.samplers import DROP, RECORD, SAMPLE
from tellwhy.engine.span import UNSET, Span, Unrecorded, given_time, processor_name
from tellwhy.engine.values import clean_attributes, plain_copy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from opentelemetry.context import Context
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationInfo, InstrumentationScope
    from opentelemetry.trace import Link
    from opentelemetry.util import types

    from tellwhy.engine.core import Core
    from tellwhy.engine.scope import Scope

_new = object.__new__
_NoneType = type(None)
_NO_LINKS = ()
_INTERNAL = SpanKind.INTERNAL
_SAMPLED = 1  # the bit of the trace flags
_RANDOM = 2


class Tracer(ApiTracer):
    """Makes the spans of one instrumentation scope. From ``TracerProvider.get_tracer`` only."""

    __slots__ = ("_core", "_scope")

    def __init__(self, core: Core, scope: Scope) -> None:
        self._core = core
        self._scope = scope

    def start_as_current_span(  # type: ignore[override]
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = _INTERNAL,
        attributes: types.Attributes = None,
        links: Sequence[Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> CurrentSpan:
        """Return a context manager (and decorator) that starts a span, makes it current, and ends it."""
        scope = CurrentSpan()
        scope.tracer = self
        scope.name = name
        scope.context = context
        scope.kind = kind
        scope.attributes = attributes
        scope.links = links
        scope.start_time = start_time
        scope.record_exception = record_exception
        scope.set_status_on_exception = set_status_on_exception
        scope.end_on_exit = end_on_exit
        return scope

    def begin(
        self,
        name: str,
        kind: SpanKind = _INTERNAL,
        attributes: types.Attributes = None,
        links: Sequence[Link] | None = (),
        context: Context | None = None,
    ) -> Span | Unrecorded | NonRecordingSpan | None:
        """Start a span as ``start_span`` does; None if the parent is ours, is not recorded, and nobody asks more."""
        current = get_context() if context is None else context
        if type(current.get(SPAN_KEY)) is Unrecorded and self._core.local_unsampled is DROP:
            return None
        return self.start_span(name, context, kind, attributes, links)

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = _INTERNAL,
        attributes: types.Attributes = None,
        links: Sequence[Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Span | Unrecorded | NonRecordingSpan:
        """Start a span, a child of the one in ``context`` (by default the current one); it is not made current."""
        try:
            parent: Any = (get_context() if context is None else context).get(SPAN_KEY)
        except Exception:
            parent = _current_parent(context)
            context = None
        return self.start_below(
            parent, name, context, kind, attributes, links, start_time, record_exception, set_status_on_exception
        )

    def start_below(
        self,
        parent: Any,
        name: str,
        context: Context | None,
        kind: SpanKind,
        attributes: types.Attributes,
        links: Sequence[Link] | None,
        start_time: int | None,
        record_exception: bool,
        set_status_on_exception: bool,
        /,
    ) -> Span | Unrecorded | NonRecordingSpan:
        """Do what ``start_span`` does, for a caller who has looked up the parent, which may be None, already."""
        # One long function on purpose: a call would cost as much as ten of these lines.
        core = self._core
        origin: int | SpanContext | None
        ours = type(parent)
        if ours is Span or ours is Unrecorded:
            trace_id = parent._trace_id
            flags = parent._flags
            state = parent._trace_state
            origin = parent._span_id
            decision = core.local_sampled if flags & _SAMPLED else core.local_unsampled
        elif ours is _NoneType:
            trace_id = (random_bits(128) or 1) if core.ids is None else made_trace_id(core.ids)
            flags = core.random_flag
            state = origin = None
            decision = core.root
        elif ours is Carried:
            context, link = uncarried(context, parent)
            links = links if link is None else (*(links or ()), link)
            rest = (start_time, record_exception, set_status_on_exception)
            return self.start_span(name, context, kind, attributes, links, *rest)
        elif ours is LeftOut:
            return parent.child()  # type: ignore[no-any-return]  # the parent is of any type
        else:
            trace_id, flags, state, origin, decision = _of_foreign_parent(core, parent)
        if type(decision) is not int:
            if type(origin) is int:
                origin = parent.get_span_context()  # the sampler may give the child another trace state
            decision, attributes, state = _ask(
                decision, (context, trace_id, name, kind, attributes, links), state, flags
            )
        span_id = (random_bits(64) or 1) if core.ids is None else made_span_id(core.ids)

        if decision == DROP:
            return _unrecorded(trace_id, span_id, flags & _RANDOM, state)

        span = _new(Span)
        own_flags = flags | _SAMPLED if decision == SAMPLE else flags & _RANDOM
        if own_flags != flags and type(origin) is int:
            origin = parent.get_span_context()
        span._core = core
        span._scope = self._scope
        span._name = name
        span._kind = kind
        span._trace_id = trace_id
        span._span_id = span_id
        span._flags = own_flags
        span._trace_state = state
        span._parent = origin
        span._ctx = None
        span._events = None
        span._links = ()
        span._dropped = None
        span._status = UNSET
        span._tally = 0
        span._end = None
        span._record_exception = record_exception
        span._set_status_on_exception = set_status_on_exception
        if attributes is None:
            span._attributes = {}
        else:
            kept = plain_copy(attributes) if core.max_value_length is None else None
            if kept is None:
                kept = {}
                dropped = clean_attributes(attributes, core.max_value_length, kept)
                if dropped:
                    span._count_dropped(0, dropped)
            span._attributes = kept
            if len(kept) > core.max_attributes:
                span._drop_oldest_attributes()
        if links is not None and links is not _NO_LINKS:
            span._links = recorded_links(links, core.max_link_attributes, core.max_attribute_length)
            span._drop_oldest_links()
        if ours is Span:
            parent._has_children = True
            # After a fork the parent has another core: what is above it belongs to the other process.
            span._local_root = (parent._local_root or parent) if parent._core is core else None
            span._anchor = parent._anchor
            span._start = perf_counter_ns()
        else:
            span._local_root = None
            span._start = start = perf_counter_ns()
            span._anchor = time_ns() - start
        if start_time is not None:
            span._start = given_time(start_time, span._anchor, "start_time")
        if core.on_start is not None:
            try:
                core.on_start(span, context)
            except Exception as error:
                diagnostics.fault(processor_name(core.on_start), error)
        return span

    def dropped_root(self) -> Unrecorded:
        """Return what ``start_span`` returns without a parent while every root is dropped: for who knows that it is."""
        core = self._core
        ids = core.ids
        span = _new(Unrecorded)
        span._trace_id = (random_bits(128) or 1) if ids is None else made_trace_id(ids)
        span._span_id = (random_bits(64) or 1) if ids is None else made_span_id(ids)
        span._flags = core.random_flag
        span._trace_state = span._ctx = None
        return span

    # -- what the SDK's tracer lets be read -----------------------------------

    @property
    def sampler(self) -> Any:
        """The provider's sampler."""
        return self._core.sampler

    @property
    def resource(self) -> Resource:
        """The provider's resource; imports the SDK."""
        resource: Resource = self._core.sdk_resource()
        return resource

    @property
    def span_processor(self) -> Any:
        """What the provider hands its spans to."""
        return self._core.processors

    @property
    def id_generator(self) -> Any:
        """The provider's id generator."""
        return self._core.ids or RandomIdGenerator()

    @property
    def instrumentation_info(self) -> InstrumentationInfo:
        """The scope in the form that was replaced in 1.11; imports the SDK."""
        return self._scope.sdk_info()

    @property
    def _instrumentation_scope(self) -> InstrumentationScope:
        return self._scope.sdk()

    @property
    def _span_limits(self) -> Any:
        return self._core.limits


class DisabledTracer(Tracer):
    """A tracer that a tracer configurator switched off: it passes the parent on."""

    __slots__ = ()

    def start_below(self, _parent: Any, _name: str, context: Context | None, /, *_: Any) -> NonRecordingSpan:
        """Return a span that is not recorded and has the parent's context."""
        return NonRecordingSpan(get_current_span(context).get_span_context())

    def begin(self, *_: Any, **__: Any) -> None:
        """Return None: nobody will see a span."""


def _unrecorded(trace_id: int, span_id: int, flags: int, state: Any) -> Unrecorded:
    span = _new(Unrecorded)
    span._trace_id = trace_id
    span._span_id = span_id
    span._flags = flags
    span._trace_state = state
    span._ctx = None
    return span


def _current_parent(context: object) -> Any:
    """Return the current span, where the program has given something as context that is none."""
    diagnostics.warn(
        f"context of type {type(context).__name__}, expected a Context; using the current one", key="context"
    )
    return get_context().get(SPAN_KEY)


def _of_foreign_parent(core: Core, parent: Any) -> tuple[int, int, Any, SpanContext | None, Any]:
    """Return trace id, flags, trace state, origin and decider for a parent that is not a span of ours."""
    context: Any = None
    try:
        context = parent.get_span_context()
    except Exception as error:
        diagnostics.warn(f"parent span without a usable context ({type(error).__name__}); starting a new trace")
    if not isinstance(context, SpanContext) or not context.is_valid:
        trace_id = (random_bits(128) or 1) if core.ids is None else made_trace_id(core.ids)
        return trace_id, core.random_flag, None, None, core.root
    flags = context.trace_flags
    if context.is_remote:
        decider = core.remote_sampled if flags & _SAMPLED else core.remote_unsampled
    else:
        decider = core.local_sampled if flags & _SAMPLED else core.local_unsampled
    return context.trace_id, flags & (_SAMPLED | _RANDOM), context.trace_state, context, decider


def _ask(decider: Any, question: tuple[Any, ...], state: Any, flags: int) -> tuple[int, Any, Any]:
    """Ask a sampler that is no constant; returns decision, attributes and trace state."""
    *about, attributes, links = question
    try:
        result = decider(*about, attributes, links or ())
        if isinstance(result, int):
            return result, attributes, state
        decision = SAMPLE if result.decision.is_sampled() else RECORD if result.decision.is_recording() else DROP
        return decision, result.attributes, result.trace_state
    except Exception as error:
        diagnostics.fault("the sampler", error)
        return (SAMPLE if flags & _SAMPLED else DROP), attributes, state
