# SPDX-License-Identifier: Apache-2.0
"""
What does every span of a provider share? One object that the tracer reads and ``reconfigure`` writes.

A span points at it until it is exported. So a resource that is set later holds
for spans that are already made, and after a fork the open spans of the parent
process are cut off by leaving them the old object (see ``Core.fork``).
"""

from __future__ import annotations

import sys

from tellwhy.engine.samplers import plan_of, recording
from tellwhy.engine.values import clean_attributes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from opentelemetry.sdk.resources import Resource

    from tellwhy.engine.samplers import Decider
    from tellwhy.engine.values import Attributes

_NO_LIMIT = sys.maxsize


class LeanResource:
    """A resource as a plain mapping, and as the SDK's object once somebody asks for that."""

    __slots__ = ("_sdk", "attributes", "schema_url")

    def __init__(self, attributes: Mapping[str, Any], schema_url: str = "") -> None:
        self.attributes: Attributes = {}
        clean_attributes(attributes, None, self.attributes)
        self.schema_url = schema_url
        self._sdk: Resource | None = None

    def sdk(self) -> Resource:
        """Return the SDK's ``Resource``; imports the SDK."""
        if self._sdk is None:
            from opentelemetry.sdk.resources import Resource

            self._sdk = Resource(self.attributes, self.schema_url)
        return self._sdk


class Core:
    """Decisions, limits, ids, processors and resource of a provider, ready to be read."""

    __slots__ = (
        "attend",
        "cap",
        "ids",
        "leave_out",
        "limits",
        "local_sampled",
        "local_unsampled",
        "max_attribute_length",
        "max_attributes",
        "max_event_attributes",
        "max_events",
        "max_link_attributes",
        "max_links",
        "max_value_length",
        "on_end",
        "on_ending",
        "on_start",
        "over",
        "processors",
        "queue",
        "random_flag",
        "reads_start",
        "records_unsampled",
        "remote_sampled",
        "remote_unsampled",
        "resource",
        "root",
        "sampler",
    )

    sampler: Any
    root: Decider
    remote_sampled: Decider
    remote_unsampled: Decider
    local_sampled: Decider
    local_unsampled: Decider
    limits: Any
    max_attributes: int
    max_value_length: int | None  # of a span's attributes, in characters
    max_events: int
    max_event_attributes: int
    max_links: int
    max_link_attributes: int
    max_attribute_length: int | None  # of an event's or link's attributes, in characters
    ids: Any  # None: our own random ids
    random_flag: int
    leave_out: Callable[[str, Any], bool] | None  # of spans of servers, for tracers of instrumentations
    records_unsampled: bool  # what is not sampled is recorded all the same: somebody counts it
    processors: Any  # the active span processor
    resource: Any  # LeanResource or the SDK's Resource
    on_start: Callable[[Any, Any], None] | None
    reads_start: bool  # whether on_start may look at the span, and not only note that there is one
    on_ending: Callable[[Any], None] | None
    on_end: Callable[[Any], None]
    queue: Any  # where a lone processor lets a sampled span be put without asking it; None to call on_end
    cap: int  # of the spans of one trace that are put there
    over: Callable[[Any, Any], None] | None  # … and what takes the others, with their entry span; None for no cap
    attend: Callable[[], None]  # … and what it wants to be called at once the queue has reached its ``attention``

    def __init__(self) -> None:
        self.leave_out = None

    def set_sampler(self, sampler: Any) -> None:
        """Decide by this sampler from now on."""
        plan = plan_of(sampler)
        self.sampler = sampler
        if self.records_unsampled:
            plan = recording(plan)
        self.root, self.remote_sampled, self.remote_unsampled, self.local_sampled, self.local_unsampled = plan

    def record_unsampled(self, on: bool) -> None:
        """Record what is not sampled, too, because somebody counts spans; or no longer."""
        if on != self.records_unsampled:
            self.records_unsampled = on
            self.set_sampler(self.sampler)

    def set_ids(self, generator: Any) -> None:
        """Take ids from this generator; None for our own random ids."""
        self.ids = generator
        is_random = getattr(generator, "is_trace_id_random", None)
        self.random_flag = 2 if generator is None or (is_random is not None and is_random()) else 0

    def set_limits(self, limits: Any) -> None:
        """Read the limits of a ``SpanLimits``, the SDK's or ours."""
        self.limits = limits
        self.max_attributes = _bound(limits.max_span_attributes)
        self.max_value_length = limits.max_span_attribute_length
        self.max_events = _bound(limits.max_events)
        self.max_event_attributes = _bound(limits.max_event_attributes)
        self.max_links = _bound(limits.max_links)
        self.max_link_attributes = _bound(limits.max_link_attributes)
        self.max_attribute_length = limits.max_attribute_length

    def sdk_resource(self) -> Any:
        """Return the resource as the SDK's object."""
        resource = self.resource
        return resource.sdk() if isinstance(resource, LeanResource) else resource

    def fork(self) -> Core:
        """
        Return a copy for new spans of this forked child, and stop exporting through the old one.

        Spans that were open at the fork are the parent process's: it exports
        them, and a second copy from the child would be wrong.
        """
        child = Core()
        for name in self.__slots__:
            setattr(child, name, getattr(self, name))
        self.on_ending = None
        self.on_end = ignore
        self.queue = None
        return child


def ignore(_span: object) -> None:
    """Do nothing with a finished span."""


def _bound(limit: int | None) -> int:
    return _NO_LIMIT if limit is None else limit
