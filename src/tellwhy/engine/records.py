# SPDX-License-Identifier: Apache-2.0
"""What is recorded inside a span: events and links, with their cleaned attributes."""

from __future__ import annotations

from types import MappingProxyType

from opentelemetry.trace import Link as ApiLink

from tellwhy import diagnostics
from tellwhy.engine.values import clean_attributes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from opentelemetry.trace import SpanContext

    from tellwhy.engine.values import Attributes


class Event:
    """Something that happened during a span; reads like the SDK's ``Event``."""

    __slots__ = ("_attributes", "dropped_attributes", "name", "timestamp")

    def __init__(self, name: str, attributes: Attributes, timestamp: int, dropped_attributes: int = 0) -> None:
        self.name = name
        self._attributes = attributes
        self.timestamp = timestamp
        self.dropped_attributes = dropped_attributes

    @property
    def attributes(self) -> Mapping[str, Any]:
        """The event's attributes, read only."""
        return MappingProxyType(self._attributes)

    def __repr__(self) -> str:
        return f"Event(name={self.name!r}, timestamp={self.timestamp}, attributes={self._attributes})"


class Link(ApiLink):
    """A link as it was recorded: attributes cleaned and read only."""

    _attributes: Attributes

    def __init__(self, context: SpanContext, attributes: Attributes, dropped_attributes: int) -> None:
        super().__init__(context, attributes)
        self._dropped = dropped_attributes

    @property
    def attributes(self) -> Mapping[str, Any]:
        """The link's attributes, read only."""
        return MappingProxyType(self._attributes)

    @property
    def dropped_attributes(self) -> int:
        """How many attributes were left out."""
        return self._dropped


def bounded(attributes: Any, most: int, limit: int | None) -> tuple[Attributes, int]:
    """
    Clean the attributes of an event or a link.

    Args:

        attributes: A mapping of the user's, or None.

        most: The most that are kept; the last ones, as in the SDK.

        limit: The most characters of a string; None for no limit.

    Returns:

        The attributes, and how many were dropped.
    """
    if attributes is None:
        return {}, 0
    kept: Attributes = {}
    dropped = clean_attributes(attributes, limit, kept)
    while len(kept) > most:
        del kept[next(iter(kept))]
        dropped += 1
    return kept, dropped


def is_worth_recording(context: SpanContext | None, attributes: Any) -> bool:
    """Return whether a link says anything: a valid target, attributes or a trace state."""
    return bool(context and (context.is_valid or attributes or context.trace_state))


def recorded_links(links: Iterable[Any], most: int, limit: int | None) -> list[ApiLink]:
    """Return the links of ``start_span`` as they are recorded; what is no link is told of and left out."""
    try:
        found = [_recorded(link, most, limit) for link in links]
    except Exception as error:
        diagnostics.warn(f"links={type(links).__name__}: {type(error).__name__}; ignored", key="links-unreadable")
        return []
    return [link for link in found if link is not None]


def _recorded(link: Any, most: int, limit: int | None) -> Link | None:
    try:
        if link and is_worth_recording(link.context, link.attributes):
            return Link(link.context, *bounded(link.attributes, most, limit))
    except Exception as error:
        diagnostics.warn(f"a link could not be read ({type(error).__name__}); left out", key="link-unreadable")
    return None
