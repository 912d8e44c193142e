# SPDX-License-Identifier: Apache-2.0
"""
How is a span made to fit that is larger than a request may be? Largest values first, and it says so.

A string or bytes value is cut at its end; another value gives way to a note;
when values are not enough, the oldest events and links go, then attributes,
and are counted as dropped. The span is marked ``tellwhy.truncated`` = true.
"""

from __future__ import annotations

from functools import partial

from tellwhy import diagnostics

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from tellwhy.delivery.otlp.span_fields import SpanFields

MARK = "tellwhy.truncated"
_NOTE = "<too large>"
_SHORTEST = 64  # characters: a value is not cut below


def truncate(span: SpanFields, max_bytes: int, encode: Callable[[SpanFields], bytes]) -> bytes:
    """
    Cut a span until it fits, and return it encoded; if not even its bones fit, these.

    Args:

        span: The fields; changed in place.

        max_bytes: What the encoded span may have.

        encode: Encodes the fields.
    """
    diagnostics.warn(
        f"span {span.name!r:.80} is larger than the {max_bytes} bytes of a request; sent with its largest values cut",
        key="truncated",
    )
    span.attributes[MARK] = True
    encoded = encode(span)
    for shorten in (_shorten_values, _drop_events_and_links, _drop_attributes):
        for _ in range(64):  # each round takes at least what is too much, or half of what there is
            excess = len(encoded) - max_bytes
            if excess <= 0:
                return encoded
            if not shorten(span, excess, len(encoded)):
                break
            encoded = encode(span)
    return encoded


def _values(span: SpanFields) -> Iterator[tuple[int, Any, Callable[[Any], None]]]:
    """Yield every value's size, the value, and what sets another in its place."""
    for name in ("name", "status_message", "trace_state"):
        yield _size(getattr(span, name)), getattr(span, name), partial(setattr, span, name)
    holders: list[Any] = [span, *span.events, *span.links]
    for holder in holders:
        for key, value in holder.attributes.items():
            yield _size(value), value, partial(holder.attributes.__setitem__, key)
    for event in span.events:
        yield _size(event.name), event.name, partial(setattr, event, "name")


def _shorten_values(span: SpanFields, excess: int, encoded: int) -> bool:
    """Cut the largest values by so many encoded bytes; False if there is nothing left to cut."""
    values = sorted(_values(span), key=lambda one: -one[0])
    # Base64 and JSON's escapes make more bytes of a value than it has.
    swelling = max(1.0, encoded / (1 + sum(size for size, _, _ in values)))
    excess = before = int(excess / swelling) + 1
    for size, value, replace in values:
        if excess <= 0 or size <= _SHORTEST:
            break
        shorter = _cut(value, excess) if isinstance(value, (str, bytes)) else _NOTE
        replace(shorter)
        excess -= size - _size(shorter)
    return excess < before


def _drop_events_and_links(span: SpanFields, *_: int) -> bool:
    events, links = (len(span.events) + 1) // 2, (len(span.links) + 1) // 2
    del span.events[:events], span.links[:links]
    span.dropped_events += events
    span.dropped_links += links
    return bool(events or links)


def _drop_attributes(span: SpanFields, *_: int) -> bool:
    keys = [key for key in span.attributes if key != MARK]
    dropped = keys[: (len(keys) + 1) // 2]
    for key in dropped:
        del span.attributes[key]
    span.dropped_attributes += len(dropped)
    return bool(dropped)


def _cut(value: Any, excess: int) -> Any:
    """Return a string or bytes without so many bytes at its end, but not below the shortest."""
    if isinstance(value, bytes):
        return value[: max(_SHORTEST, len(value) - excess)]
    encoded = value.encode(errors="backslashreplace")
    return encoded[: max(_SHORTEST, len(encoded) - excess)].decode(errors="ignore")


def _size(value: Any) -> int:
    """Return about how many bytes a value takes."""
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode(errors="backslashreplace"))
    if isinstance(value, (bytes, bytearray)):
        return len(value)
    if isinstance(value, (list, tuple)):
        return sum(_size(item) + 4 for item in value)
    if isinstance(value, dict):
        return sum(_size(key) + _size(item) + 8 for key, item in value.items())
    return 8
