# SPDX-License-Identifier: Apache-2.0
"""
What can be read of a span? What the SDK's ``ReadableSpan`` shows, from the slots that a span consists of.

What costs and may never be asked for is computed when it is: span contexts,
times of the wall clock, and the SDK's own objects, which import it.
"""

from __future__ import annotations

from types import MappingProxyType

from opentelemetry.trace import Span as ApiSpan

from tellwhy.engine.spancontext import local_context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationInfo, InstrumentationScope
    from opentelemetry.trace import Link, SpanContext, SpanKind, Status, TraceState
    from opentelemetry.util import types

    from tellwhy.engine.core import Core
    from tellwhy.engine.records import Event
    from tellwhy.engine.scope import Scope
    from tellwhy.engine.values import Attributes


class SpanData(ApiSpan):
    """The slots of a span, and all that only reads them."""

    __slots__ = (
        "_anchor",  # wall clock minus performance counter, ns
        "_attributes",
        "_core",
        "_ctx",  # the SpanContext, once somebody asked for it
        "_dropped",  # None, or [attributes, events, links]
        "_end",  # performance counter, ns; None while the span is open
        "_events",  # None, or a list of Event
        "_flags",
        "_has_children",  # set once a recorded span has started below it
        "_kind",
        "_links",
        "_local_root",  # this process's entry span above it; None in that span itself
        "_name",
        "_parent",  # None; the span id of a local parent with the same flags and state; or a SpanContext
        "_record_exception",
        "_scope",
        "_set_status_on_exception",
        "_span_id",
        "_start",  # performance counter, ns
        "_status",
        "_tally",  # of an entry span: how many spans of its trace have ended; counted by delivery
        "_trace_id",
        "_trace_state",  # None for the empty one
    )

    _anchor: int
    _attributes: Attributes
    _core: Core
    _ctx: SpanContext | None
    _dropped: list[int] | None
    _end: int | None
    _events: list[Event] | None
    _flags: int
    _has_children: bool
    _kind: SpanKind
    _links: Sequence[Link]
    _local_root: Any
    _name: str
    _parent: int | SpanContext | None
    _record_exception: bool
    _scope: Scope
    _set_status_on_exception: bool
    _span_id: int
    _start: int
    _status: Status
    _tally: int
    _trace_id: int
    _trace_state: TraceState | None

    def is_recording(self) -> bool:
        """Return True until the span is ended."""
        return self._end is None

    def get_span_context(self) -> SpanContext:
        """Return what is propagated of the span."""
        context = self._ctx
        if context is None:
            context = self._ctx = local_context(self._trace_id, self._span_id, self._flags, self._trace_state)
        return context

    context = property(get_span_context)

    @property
    def name(self) -> str:
        """The span's name."""
        return self._name

    @property
    def kind(self) -> SpanKind:
        """The span's kind."""
        return self._kind

    @property
    def parent(self) -> SpanContext | None:
        """The parent's context; None for a root."""
        parent = self._parent
        if isinstance(parent, int):
            return local_context(self._trace_id, parent, self._flags, self._trace_state)
        return parent

    @property
    def start_time(self) -> int:
        """When the span started, in ns since the epoch."""
        return self._start + self._anchor

    @property
    def end_time(self) -> int | None:
        """When the span ended, in ns since the epoch; None while it is open."""
        end = self._end
        return None if end is None else end + self._anchor

    @property
    def status(self) -> Status:
        """The span's status."""
        return self._status

    @property
    def attributes(self) -> types.Attributes:
        """The attributes, read only."""
        return MappingProxyType(self._attributes)

    @property
    def events(self) -> Sequence[Any]:
        """The events, in order."""
        return tuple(self._events or ())

    @property
    def links(self) -> Sequence[Link]:
        """The links, in order."""
        return tuple(self._links)

    @property
    def dropped_attributes(self) -> int:
        """How many attributes were left out."""
        return self._dropped[0] if self._dropped else 0

    @property
    def dropped_events(self) -> int:
        """How many events were left out."""
        return self._dropped[1] if self._dropped else 0

    @property
    def dropped_links(self) -> int:
        """How many links were left out."""
        return self._dropped[2] if self._dropped else 0

    @property
    def resource(self) -> Resource:
        """The provider's resource as it is now; imports the SDK."""
        resource: Resource = self._core.sdk_resource()
        return resource

    @property
    def instrumentation_scope(self) -> InstrumentationScope:
        """The tracer's scope; imports the SDK."""
        return self._scope.sdk()

    @property
    def instrumentation_info(self) -> InstrumentationInfo:
        """The tracer's scope in the form that was replaced in 1.11; imports the SDK."""
        return self._scope.sdk_info()

    def to_json(self, indent: int | None = 4) -> str:
        """Return the span as the JSON text that the SDK writes."""
        from tellwhy.engine.readable import to_json

        return to_json(self, indent)

    def _readable_span(self) -> ReadableSpan:
        from tellwhy.engine.readable import readable_span

        return readable_span(self)

    # Names of the SDK's that are private but widely read.
    _context = context
    _resource = resource
    _start_time = start_time
    _end_time = end_time
    _instrumentation_scope = instrumentation_scope

    def __repr__(self) -> str:
        return f'{type(self).__name__}(name="{self._name}", context={self.get_span_context()})'
