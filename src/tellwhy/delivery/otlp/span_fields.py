# SPDX-License-Identifier: Apache-2.0
"""
What does a span say, as plain values that every wire format can write?

For spans that are not ours (a ``ReadableSpan`` of any make), for those of ours
that hold something unusual, for truncation and for JSON. Nothing here raises:
what cannot be read is left empty, and the span goes out without it. Nor do
secrets leave here, whoever has put them there.
"""

from __future__ import annotations

from tellwhy.redaction import export

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

_UINT32 = (1 << 32) - 1
_UINT64 = (1 << 64) - 1
_UINT128 = (1 << 128) - 1

KIND_INTERNAL = 1  # OTLP counts from 1, the API from 0


class EventFields:
    """An event; the names are those of the events that it is made from."""

    __slots__ = ("attributes", "dropped_attributes", "name", "timestamp")

    def __init__(self, event: Any) -> None:
        self.name = export.text(text(read(event, "name")))
        self.timestamp = uint64(read(event, "timestamp"))
        self.attributes = dict(export.attributes(mapping(read(event, "attributes"))))
        self.dropped_attributes = uint32(read(event, "dropped_attributes"))


class LinkFields:
    """A link."""

    __slots__ = ("attributes", "dropped_attributes", "remote", "span_id", "trace_id")

    def __init__(self, link: Any) -> None:
        context = read(link, "context")
        self.trace_id = integer(read(context, "trace_id")) & _UINT128
        self.span_id = integer(read(context, "span_id")) & _UINT64
        self.remote = bool(read(context, "is_remote"))
        self.attributes = dict(export.attributes(mapping(read(link, "attributes"))))
        self.dropped_attributes = uint32(read(link, "dropped_attributes"))


class SpanFields:
    """A span; times in ns since the epoch, ids as integers, kind and status code as OTLP numbers them."""

    __slots__ = (
        "attributes",
        "dropped_attributes",
        "dropped_events",
        "dropped_links",
        "end",
        "events",
        "kind",
        "links",
        "name",
        "parent_remote",
        "parent_span_id",
        "span_id",
        "start",
        "status_code",
        "status_message",
        "trace_id",
        "trace_state",
    )

    def __init__(self, span: Any) -> None:
        context = _attempt(lambda: span.get_span_context())
        self.trace_id = integer(read(context, "trace_id")) & _UINT128
        self.span_id = integer(read(context, "span_id")) & _UINT64
        self.trace_state = trace_state(read(context, "trace_state"))
        parent = read(span, "parent")
        self.parent_span_id = integer(read(parent, "span_id")) & _UINT64 if parent else None
        self.parent_remote = bool(read(parent, "is_remote")) if parent else False
        self.name = export.text(text(read(span, "name")))
        self.kind = _kind(read(span, "kind"))
        self.start = uint64(read(span, "start_time"))
        self.end = uint64(read(span, "end_time"))
        self.attributes = dict(export.attributes(mapping(read(span, "attributes"))))
        self.dropped_attributes = uint32(read(span, "dropped_attributes"))
        self.events = [EventFields(event) for event in sequence(read(span, "events"))]
        self.dropped_events = uint32(read(span, "dropped_events"))
        self.links = [LinkFields(link) for link in sequence(read(span, "links"))]
        self.dropped_links = uint32(read(span, "dropped_links"))
        status = read(span, "status")
        code = read(read(status, "status_code"), "value")
        self.status_code = code if code in (1, 2) else 0
        self.status_message = export.message(text(read(status, "description")))


def read(thing: Any, name: str) -> Any:
    """Return an attribute; None if there is none or reading it fails."""
    return _attempt(lambda: getattr(thing, name, None))


def text(value: Any) -> str:
    """Return a string for what should be one; empty for None and for what has no text."""
    if value is None or isinstance(value, str):
        return value or ""
    return str(_attempt(lambda: str(value)) or "")


def integer(value: Any) -> int:
    """Return an int for what should be one; 0 if it is none."""
    return value if type(value) is int else _attempt(lambda: int(value)) or 0


def uint32(value: Any) -> int:
    """Return a count within 32 bits."""
    return min(max(integer(value), 0), _UINT32)


def uint64(value: Any) -> int:
    """Return a time within 64 bits."""
    return min(max(integer(value), 0), _UINT64)


def mapping(value: Any) -> dict[str, Any]:
    """Return a dict of one's own for what should be a mapping; keys as text."""
    if not value:
        return {}
    # copy() is one step for a dict and what stands before one, even while another thread writes to it
    found: Mapping[Any, Any] | None = _attempt(lambda: value.copy() if hasattr(value, "copy") else dict(value))
    return {text(key): item for key, item in (found or {}).items()}


def sequence(value: Any) -> list[Any]:
    """Return a list of one's own for what should be a sequence."""
    return _attempt(lambda: list(value)) or [] if value else []


def trace_state(state: Any) -> str:
    """Return the W3C header of a trace state."""
    if not state:
        return ""
    return _attempt(lambda: ",".join(f"{key}={value}" for key, value in state.items())) or ""


def _kind(kind: Any) -> int:
    value = read(kind, "value")
    return value + 1 if value in (0, 1, 2, 3, 4) else KIND_INTERNAL


def _attempt(look: Callable[[], Any]) -> Any:
    try:
        return look()
    except Exception:
        return None
