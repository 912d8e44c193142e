# SPDX-License-Identifier: Apache-2.0
"""
How is OTLP written as protobuf? Tags, lengths and values, by hand.

A field is its tag (number << 3 | wire type), and for strings and messages the
length. The numbers are those of opentelemetry-proto 1.x. Every function here
takes whatever it is given and returns bytes that decode; a value that protobuf
has no place for becomes text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tellwhy.delivery.otlp.span_fields import EventFields, LinkFields, SpanFields
    from tellwhy.engine.records import Event

pack_double = Struct("<d").pack
pack_times = Struct("<cQcQ").pack
_pack_time = Struct("<Q").pack

FLAGS_LOCAL = b"\x85\x01\x00\x01\x00\x00"  # bit 8: it is known whether the parent is remote
FLAGS_REMOTE = b"\x85\x01\x00\x03\x00\x00"  # bit 9: it is

_ONE_BYTE = tuple(bytes((number,)) for number in range(128))
_MAX_DEPTH = 24  # decoders give up at 100 nested messages, and with the value the whole batch; a level is up to 3
_UINT64 = (1 << 64) - 1


def varint(number: int) -> bytes:
    """Return an unsigned integer in base 128, lowest group first."""
    if number < 128:
        return _ONE_BYTE[number]
    groups = bytearray()
    while number > 127:
        groups.append(number & 127 | 128)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def utf8(value: str) -> bytes:
    """Return the string as UTF-8; lone surrogates, which UTF-8 cannot say, are written out."""
    try:
        return value.encode()
    except UnicodeEncodeError:
        return value.encode(errors="backslashreplace")


def delimited(tag: bytes, payload: bytes) -> bytes:
    """Return a field with a length: a string, bytes or a message."""
    return tag + varint(len(payload)) + payload


def any_value(value: Any, depth: int = 0) -> bytes:
    """Return the body of an ``AnyValue``; empty for None."""
    try:
        return _any_value(value, depth)
    except Exception:  # a container of the program's own that cannot be walked through
        return delimited(b"\x0a", utf8(_text(value)))


def _any_value(value: Any, depth: int) -> bytes:
    if value is None:
        return b""
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"
    if isinstance(value, str):
        return delimited(b"\x0a", utf8(value))
    if isinstance(value, int):
        return int_value(value)
    if isinstance(value, float):
        return b"\x21" + pack_double(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return delimited(b"\x3a", bytes(value))
    if depth >= _MAX_DEPTH:
        return delimited(b"\x0a", b"<nested too deeply>")
    if isinstance(value, Sequence):
        return delimited(b"\x2a", b"".join([delimited(b"\x0a", any_value(item, depth + 1)) for item in value]))
    if isinstance(value, Mapping):
        pairs = [delimited(b"\x0a", key_value(_text(key), item, depth + 1)) for key, item in value.items()]
        return delimited(b"\x32", b"".join(pairs))
    return delimited(b"\x0a", utf8(_text(value)))


def int_value(value: int) -> bytes:
    """Return the body of an ``AnyValue`` with an integer; beyond 64 bits, with its text."""
    if -(1 << 63) <= value < 1 << 63:
        return b"\x18" + varint(value & _UINT64)
    return delimited(b"\x0a", _text(value).encode())


def key_value(key: str, value: Any, depth: int = 0) -> bytes:
    """Return the body of a ``KeyValue``."""
    return delimited(b"\x0a", utf8(key)) + delimited(b"\x12", any_value(value, depth))


def attributes(tag: bytes, values: Mapping[str, Any]) -> bytes:
    """Return attributes as repeated ``KeyValue`` fields with this tag."""
    return b"".join([delimited(tag, key_value(key, value)) for key, value in values.items()])


def event(fields: EventFields | Event) -> bytes:
    """Return the body of a ``Span.Event``, of its fields or of an event of ours."""
    return b"".join(
        (
            b"\x09",
            _pack_time(fields.timestamp),
            delimited(b"\x12", utf8(fields.name)),
            attributes(b"\x1a", fields.attributes),
            _count(b"\x20", fields.dropped_attributes),
        )
    )


def link(fields: LinkFields) -> bytes:
    """Return the body of a ``Span.Link``."""
    return b"".join(
        (
            b"\x0a\x10",
            fields.trace_id.to_bytes(16, "big"),
            b"\x12\x08",
            fields.span_id.to_bytes(8, "big"),
            attributes(b"\x22", fields.attributes),
            _count(b"\x28", fields.dropped_attributes),
            b"\x35\x00\x03\x00\x00" if fields.remote else b"\x35\x00\x01\x00\x00",
        )
    )


def status(code: int, message: str) -> bytes:
    """Return a span's status field."""
    body = delimited(b"\x12", utf8(message)) if message else b""
    return delimited(b"\x7a", body + b"\x18" + _ONE_BYTE[code] if code else body)


def span(fields: SpanFields) -> bytes:
    """Return the body of a ``Span``."""
    parent = fields.parent_span_id
    return b"".join(
        (
            b"\x0a\x10",
            fields.trace_id.to_bytes(16, "big"),
            b"\x12\x08",
            fields.span_id.to_bytes(8, "big"),
            delimited(b"\x1a", utf8(fields.trace_state)) if fields.trace_state else b"",
            b"" if parent is None else b"\x22\x08" + parent.to_bytes(8, "big"),
            name_and_kind(fields.name, fields.kind),
            pack_times(b"\x39", fields.start, b"\x41", fields.end),
            attributes(b"\x4a", fields.attributes),
            _count(b"\x50", fields.dropped_attributes),
            b"".join([delimited(b"\x5a", event(one)) for one in fields.events]),
            _count(b"\x60", fields.dropped_events),
            b"".join([delimited(b"\x6a", link(one)) for one in fields.links]),
            _count(b"\x70", fields.dropped_links),
            status(fields.status_code, fields.status_message),
            FLAGS_REMOTE if fields.parent_remote else FLAGS_LOCAL,
        )
    )


def name_and_kind(name: str, kind: int) -> bytes:
    """Return a span's name and kind fields."""
    return delimited(b"\x2a", utf8(name)) + b"\x30" + _ONE_BYTE[kind]


def _count(tag: bytes, count: int) -> bytes:
    return tag + varint(count) if count else b""


def _text(value: Any) -> str:
    try:
        return str(value)
    except ValueError:  # an int of more digits than Python likes to print
        return hex(value) if isinstance(value, int) else "<unprintable>"
    except Exception:
        return "<unprintable>"
