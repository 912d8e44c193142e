# SPDX-License-Identifier: Apache-2.0
"""
How do spans become OTLP/JSON, for ``http/json``? Through ``span_fields`` and the standard ``json``.

As the specification of OTLP asks: ids in hex, enums as numbers, 64-bit
integers as strings, bytes in base64, and no field that has its default.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from math import isfinite, isnan

from tellwhy.delivery.otlp.batches import Heads, batches
from tellwhy.delivery.otlp.encoder import MAX_BYTES
from tellwhy.delivery.otlp.span_fields import SpanFields, mapping, read, text
from tellwhy.delivery.otlp.truncation import truncate
from tellwhy.redaction import export

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from tellwhy.delivery.otlp.batches import Group, Head
    from tellwhy.delivery.otlp.span_fields import EventFields, LinkFields

_OF_SPANS = (b"resourceSpans", b"scopeSpans", b"spans")
FRAME = (1, 120)  # a comma; for a request, a resource and a scope, their names and braces
_MAX_DEPTH = 24  # as in protobuf: whoever receives it may be limited

dump = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def encode(spans: Sequence[Any]) -> bytes:
    """Return one request with all the spans."""
    return b"".join([payload for payload, _ in split(spans, None)])


def split(spans: Sequence[Any], max_bytes: int | None = MAX_BYTES) -> Iterator[tuple[bytes, Sequence[Any]]]:
    """Yield requests of at most ``max_bytes`` each, and the spans that each holds; as ``encoder.split`` does."""
    for groups, held in batches(spans, max_bytes, _body, _cut, heads_around.of, FRAME):
        yield request(groups), held


def _body(span: Any) -> bytes:
    return _body_of(SpanFields(span))


def _cut(span: Any, max_bytes: int) -> bytes:
    return truncate(SpanFields(span), max_bytes, _body_of)


def _body_of(fields: SpanFields) -> bytes:
    return dump(_span(fields)).encode()


def _around(resource: Any, scope: Any) -> Head:
    of_resource = without_defaults(attributes=attributes_of(export.attributes(mapping(read(resource, "attributes")))))
    of_scope = without_defaults(
        name=text(read(scope, "name")),
        version=text(read(scope, "version")),
        attributes=attributes_of(export.attributes(mapping(read(scope, "attributes")))),
    )
    return (
        dump(of_resource).encode(),
        dump(text(read(resource, "schema_url"))).encode(),
        dump(of_scope).encode(),
        dump(text(read(scope, "schema_url"))).encode(),
    )


heads_around = Heads(_around)


def request(groups: Iterable[Group], names: tuple[bytes, bytes, bytes] = _OF_SPANS) -> bytes:
    """Return a request; the names are those of its three lists, from the outermost one."""
    outer, middle, inner = names
    tree: dict[tuple[bytes, bytes], list[bytes]] = {}
    for (resource, resource_url, scope, scope_url), bodies in groups:
        of_scope = b'{"scope":%b,"%b":[%b]%b}' % (scope, inner, b",".join(bodies), _url(scope_url))
        tree.setdefault((resource, resource_url), []).append(of_scope)
    of_resources = [
        b'{"resource":%b,"%b":[%b]%b}' % (resource, middle, b",".join(scopes), _url(resource_url))
        for (resource, resource_url), scopes in tree.items()
    ]
    return b'{"%b":[%b]}' % (outer, b",".join(of_resources))


def _url(url: bytes) -> bytes:
    return b"" if url == b'""' else b',"schemaUrl":' + url


def _span(fields: SpanFields) -> dict[str, Any]:
    parent = fields.parent_span_id
    return without_defaults(
        traceId=f"{fields.trace_id:032x}",
        spanId=f"{fields.span_id:016x}",
        traceState=fields.trace_state,
        parentSpanId="" if parent is None else f"{parent:016x}",
        name=fields.name,
        kind=fields.kind,
        startTimeUnixNano=str(fields.start),
        endTimeUnixNano=str(fields.end),
        attributes=attributes_of(fields.attributes),
        droppedAttributesCount=fields.dropped_attributes,
        events=[_event(event) for event in fields.events],
        droppedEventsCount=fields.dropped_events,
        links=[_link(link) for link in fields.links],
        droppedLinksCount=fields.dropped_links,
        flags=_flags(fields.parent_remote),
    ) | {"status": without_defaults(message=fields.status_message, code=fields.status_code)}


def _event(event: EventFields) -> dict[str, Any]:
    return without_defaults(
        timeUnixNano=str(event.timestamp),
        name=event.name,
        attributes=attributes_of(event.attributes),
        droppedAttributesCount=event.dropped_attributes,
    )


def _link(link: LinkFields) -> dict[str, Any]:
    return without_defaults(
        traceId=f"{link.trace_id:032x}",
        spanId=f"{link.span_id:016x}",
        attributes=attributes_of(link.attributes),
        droppedAttributesCount=link.dropped_attributes,
        flags=_flags(link.remote),
    )


def _flags(remote: bool) -> int:
    return 0x300 if remote else 0x100


def without_defaults(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def attributes_of(attributes: Mapping[str, Any], depth: int = 0) -> list[dict[str, Any]]:
    return [{"key": text(key), "value": value_of(value, depth)} for key, value in attributes.items()]


def value_of(value: Any, depth: int) -> dict[str, Any]:
    try:
        return _any_value(value, depth)
    except Exception:  # a container of the program's own that cannot be walked through
        return {"stringValue": _unicode(text(value)) or "<unprintable>"}


def _any_value(value: Any, depth: int) -> dict[str, Any]:
    if value is None:
        return {}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, str):
        return {"stringValue": _unicode(value)}
    if isinstance(value, int):
        if -(1 << 63) <= value < 1 << 63:
            return {"intValue": int.__repr__(value)}
        return {"stringValue": text(value) or hex(value)}
    if isinstance(value, float):
        return {"doubleValue": float(value) if isfinite(value) else _not_finite(value)}
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"bytesValue": b64encode(bytes(value)).decode()}
    if depth >= _MAX_DEPTH:
        return {"stringValue": "<nested too deeply>"}
    if isinstance(value, Sequence):
        return {"arrayValue": {"values": [value_of(item, depth + 1) for item in value]}}
    if isinstance(value, Mapping):
        return {"kvlistValue": {"values": attributes_of(value, depth + 1)}}
    return {"stringValue": _unicode(text(value)) or "<unprintable>"}


def _not_finite(value: float) -> str:
    return "NaN" if isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _unicode(value: str) -> str:
    """Return the string with lone surrogates, which no receiver must take, written out."""
    return value if value.isascii() else value.encode(errors="backslashreplace").decode()
