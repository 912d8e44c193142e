# SPDX-License-Identifier: Apache-2.0
"""
How do spans become an OTLP ``ExportTraceServiceRequest``? Written by hand, most of it copied from a cache.

``encode(spans)`` makes one request, ``split(spans, max_bytes)`` as many as the
size asks for. Runs on the worker's thread; a span of ours is read from its slots.

What is cached is constant: resources, scopes, names, and for every attribute
key the bytes before a value of a given type and length. A span that holds
anything out of the ordinary takes the long way through ``span_fields`` and
``wire``, which take everything; so one bad value never loses a batch.
"""

from __future__ import annotations

from tellwhy import diagnostics, redaction
from tellwhy.delivery.otlp import wire
from tellwhy.delivery.otlp.batches import Heads, batches
from tellwhy.delivery.otlp.span_fields import EventFields, LinkFields, SpanFields, mapping, read, text
from tellwhy.delivery.otlp.truncation import truncate
from tellwhy.delivery.otlp.wire import FLAGS_LOCAL, FLAGS_REMOTE, delimited, pack_double, pack_times, varint
from tellwhy.engine.span import Span
from tellwhy.redaction import export

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from tellwhy.delivery.otlp.batches import Group, Head

MAX_BYTES = 3_500_000
"""A request's usual bound: below the 4 MiB that gRPC servers take, and a proxy's usual 4 or 5 MB."""

_FRAME = (6, 12)  # a tag and a length of at most five bytes; for a resource and a scope, two of them

_MOST_KEYS = 2_000  # bounds on the caches' memory; a program that makes up keys or names starts them anew
_MOST_NAMES = 2_000
_MOST_INTS = 4_096
_LONGEST_CACHED = 128  # bytes of a string value that is kept, and its head
_MOST_VALUES = 256  # of one key; one that has more is not expected to repeat itself
_MOST_KEPT = 8_192  # values of all keys: some 3 MB

# Under an attribute key, heads are kept by the length of a string (from 0), by
# the length of an encoded integer (-2 … -11), and for the other types here:
_TRUE, _FALSE, _DOUBLE = -20, -21, -22
_ORDINARY = -30  # is there if the key says nothing of what is below it
_VARIES = -31  # is there if the key has had so many values that none is kept

_NO_STATUS_LOCAL = b"\x7a\x00" + FLAGS_LOCAL
_NO_STATUS_REMOTE = b"\x7a\x00" + FLAGS_REMOTE

_heads: dict[str, dict[Any, bytes]] = {}
_kept = 0  # about how many values are in there
_watched: set[str] = set(export.STATEMENTS)  # keys that ask for a look at the attributes together, or at any value
_ints: dict[int, bytes] = {}
_names: tuple[dict[str, bytes], ...] = ({}, {}, {}, {}, {})  # by kind, as the API numbers it


def encode(spans: Sequence[Any]) -> bytes:
    """Return one request with all the spans; a span that is no span at all is told of and left out."""
    return b"".join([payload for payload, _ in split(spans, None)])


def split(spans: Sequence[Any], max_bytes: int | None = MAX_BYTES) -> Iterator[tuple[bytes, Sequence[Any]]]:
    """
    Yield requests of at most ``max_bytes`` each, and the spans that each of them holds.

    A single span that is larger is cut, its largest values first, and marked
    with the attribute ``tellwhy.truncated``; it is never left out.

    Args:

        spans: Finished spans: ours, or any ``ReadableSpan``.

        max_bytes: The bound, in bytes; None for one request, however large.
    """
    for groups, held in batches(spans, max_bytes, body, _cut, heads_around.of, _FRAME):
        yield request(groups), held


def body(span: Any) -> bytes:
    """Return the body of one ``Span`` message."""
    if type(span) is Span:
        try:
            return _lean_body(span)
        except Exception as error:
            # Surrogates, times before 1970, a dict that is still being written: nothing that wire cannot do.
            diagnostics.debug(f"a span takes the long way to the wire: {type(error).__name__}", key="long-way")
    return wire.span(SpanFields(span))


def _cut(span: Any, max_bytes: int) -> bytes:
    return truncate(SpanFields(span), max_bytes, wire.span)


def request(groups: Iterable[Group]) -> bytes:
    """Return a request: resources, in them scopes, in them spans, in the order in which they came."""
    tree: dict[tuple[bytes, bytes], dict[tuple[bytes, bytes], list[bytes]]] = {}
    for (resource, resource_url, scope, scope_url), bodies in groups:
        tree.setdefault((resource, resource_url), {})[scope, scope_url] = bodies
    request = []
    for (resource, resource_url), scopes in tree.items():
        parts = [resource]
        for (scope, scope_url), bodies in scopes.items():
            fields = [scope]
            for one in bodies:
                fields += (b"\x12", varint(len(one)), one)
            fields.append(scope_url)
            parts.append(delimited(b"\x12", b"".join(fields)))
        parts.append(resource_url)
        request.append(delimited(b"\x0a", b"".join(parts)))
    return b"".join(request)


# -- a span of ours, the short way ---------------------------------------------


def _lean_body(span: Span) -> bytes:
    anchor = span._anchor
    parent: Any = span._parent
    kind = span._kind._value_
    name = span._name
    end: Any = span._end
    parts = [
        b"\x0a\x10",
        span._trace_id.to_bytes(16, "big"),
        b"\x12\x08",
        span._span_id.to_bytes(8, "big"),
        b"",  # the trace state
        b"",  # the parent
        _names[kind].get(name) or _name(name, kind),
        pack_times(b"\x39", span._start + anchor, b"\x41", end + anchor),
    ]
    flags = _NO_STATUS_LOCAL
    if type(parent) is int:
        parts[5] = b"\x22\x08" + parent.to_bytes(8, "big")
    elif parent is not None:
        parts[5] = b"\x22\x08" + parent.span_id.to_bytes(8, "big")
        if parent.is_remote:
            flags = _NO_STATUS_REMOTE
    if span._trace_state:
        parts[4] = delimited(b"\x1a", span._trace_state.to_header().encode())
    _add_attributes(parts, span._attributes)
    if span._dropped or span._events or span._links:
        _add_lists(parts, span)
    status = span._status
    code = status.status_code._value_
    if code:
        parts.append(wire.status(code, export.message(status.description or "")))
        flags = flags[2:]
    parts.append(flags)
    return b"".join(parts)


def _add_attributes(parts: list[bytes], attributes: Mapping[str, Any]) -> None:
    add = parts.append
    if not _watched.isdisjoint(attributes):
        attributes = export.watched(attributes, _watched.intersection(attributes))
    known = _heads
    for key, value in attributes.items():
        heads = known.get(key) or _learn(key)
        kind = type(value)
        if kind is str:
            add(heads.get(value) or _string(heads, key, value))
        elif kind is int:
            encoded = _ints.get(value) or _int(value)
            add(heads.get(-len(encoded)) or _head(key, len(encoded), b""))
            add(encoded)
        elif kind is bool:
            add(heads[_TRUE if value else _FALSE])
        elif kind is float:
            add(heads[_DOUBLE])
            add(pack_double(value))
        else:
            add(delimited(b"\x4a", wire.key_value(key, export.value(key, value))))


def _add_lists(parts: list[bytes], span: Span) -> None:
    dropped = span._dropped or (0, 0, 0)
    if dropped[0]:
        parts.append(b"\x50" + varint(dropped[0]))
    parts += [delimited(b"\x5a", wire.event(EventFields(event))) for event in span._events or ()]
    if dropped[1]:
        parts.append(b"\x60" + varint(dropped[1]))
    parts += [delimited(b"\x6a", wire.link(LinkFields(link))) for link in span._links]
    if dropped[2]:
        parts.append(b"\x70" + varint(dropped[2]))


# -- what is kept ----------------------------------------------------------------


def _name(name: str, kind: int) -> bytes:
    known = _names[kind]
    if len(known) >= _MOST_NAMES:
        known.clear()
    known[name] = field = wire.name_and_kind(export.text(name), kind + 1)
    return field


def _learn(key: str) -> dict[Any, bytes]:
    if len(_heads) >= _MOST_KEYS:
        _forget()
    if key not in _watched and export.is_secret(key):
        _watched.add(key)
        raise _Watched  # this span takes the long way; the next ones are looked at first
    heads = {-length: _head(key, length, b"") for length in range(2, 12)}
    heads[_TRUE] = _head(key, 2, b"\x10\x01")
    heads[_FALSE] = _head(key, 2, b"\x10\x00")
    heads[_DOUBLE] = _head(key, 9, b"\x21")
    if export.is_ordinary(key):
        heads[_ORDINARY] = b""
    _heads[key] = heads
    return heads


def _forget() -> None:
    global _kept
    _kept = 0
    _heads.clear()
    _watched.clear()
    _watched.update(export.STATEMENTS)


redaction.when_configured(_forget)


class _Watched(Exception):
    """A key is a secret's."""


def _head(key: str, length: int, start: bytes) -> bytes:
    """Return an attribute up to its AnyValue of that length, and the start of that."""
    before = delimited(b"\x0a", wire.utf8(key)) + b"\x12" + varint(length)
    return b"\x4a" + varint(len(before) + length) + before + start


def _string(heads: dict[Any, bytes], key: str, value: str) -> bytes:
    """Return a string attribute without its secrets, and remember it: most values come again."""
    encoded = (export.text(value) if _ORDINARY in heads else export.string(key, value)).encode()
    length = len(encoded)
    head = heads.get(length)
    if head is None:
        start = b"\x0a" + varint(length)
        head = _head(key, len(start) + length, start)
        if length <= _LONGEST_CACHED:
            heads[length] = head
    field = head + encoded
    if len(value) <= _LONGEST_CACHED and _VARIES not in heads:
        _keep(heads, key, value, field)
    return field


def _keep(heads: dict[Any, bytes], key: str, value: str, field: bytes) -> None:
    """Remember an attribute, within bounds: of one key, and of all together."""
    global _kept
    if len(heads) >= _MOST_VALUES:
        _kept -= _MOST_VALUES
        _learn(key)[_VARIES] = b""
    elif _kept >= _MOST_KEPT:
        _forget()
    else:
        _kept += 1
        heads[value] = field


def _int(value: int) -> bytes:
    encoded = wire.int_value(value)
    if value >= 0 and len(encoded) <= 4 and len(_ints) < _MOST_INTS:
        _ints[value] = encoded
    return encoded


def _around(resource: Any, scope: Any) -> Head:
    return (*_resource(resource), *_scope(scope))


heads_around = Heads(_around)
"""What stands around the items of any signal: resource and scope."""


def _resource(resource: Any) -> tuple[bytes, bytes]:
    attributes = wire.attributes(b"\x0a", export.attributes(mapping(read(resource, "attributes"))))
    return delimited(b"\x0a", attributes), _schema_url(resource)


def _scope(scope: Any) -> tuple[bytes, bytes]:
    if scope is None:
        return b"\x0a\x00", b""
    parts = [
        delimited(b"\x0a", wire.utf8(text(read(scope, "name")))),
        delimited(b"\x12", wire.utf8(text(read(scope, "version")))),
        wire.attributes(b"\x1a", export.attributes(mapping(read(scope, "attributes")))),
    ]
    return delimited(b"\x0a", b"".join(parts)), _schema_url(scope)


def _schema_url(thing: Any) -> bytes:
    url = text(read(thing, "schema_url"))
    return delimited(b"\x1a", wire.utf8(url)) if url else b""
