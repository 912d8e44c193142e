# SPDX-License-Identifier: Apache-2.0
"""
How do log records become an OTLP ``ExportLogsServiceRequest``, as protobuf or as JSON?

A log record is whatever has ``fields()`` (see ``tellwhy.logs.entries``),
``resource`` and ``instrumentation_scope``. Runs on the worker's thread.
"""

from __future__ import annotations

from struct import Struct

from tellwhy import diagnostics
from tellwhy.delivery.otlp import encoder, encoder_json, wire
from tellwhy.delivery.otlp.batches import batches
from tellwhy.delivery.otlp.encoder import MAX_BYTES
from tellwhy.delivery.otlp.truncation import MARK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

_FRAME = (6, 12)  # a tag and a length of at most five bytes; for a resource and a scope, two of them
_pack_time = Struct("<cQ").pack
_NAMES = (b"resourceLogs", b"scopeLogs", b"logRecords")


def split(entries: Sequence[Any], max_bytes: int | None = MAX_BYTES) -> Iterator[tuple[bytes, Sequence[Any]]]:
    """Yield protobuf requests of at most ``max_bytes`` each, and the records that each holds."""
    around = encoder.heads_around.of
    for groups, held in batches(entries, max_bytes, _body, _cut(_body_of), around, _FRAME):
        yield encoder.request(groups), held


class Json:
    """The same as JSON."""

    @staticmethod
    def split(entries: Sequence[Any], max_bytes: int | None = MAX_BYTES) -> Iterator[tuple[bytes, Sequence[Any]]]:
        """Yield JSON requests of at most ``max_bytes`` each, and the records that each holds."""
        around = encoder_json.heads_around.of
        for groups, held in batches(entries, max_bytes, _json, _cut(_json_of), around, encoder_json.FRAME):
            yield encoder_json.request(groups, _NAMES), held


def _body(entry: Any) -> bytes:
    return _body_of(entry.fields())


def _body_of(fields: Any) -> bytes:
    parts = [
        _pack_time(b"\x09", fields.time),
        b"\x10" + wire.varint(fields.severity_number) if fields.severity_number else b"",
        wire.delimited(b"\x1a", wire.utf8(fields.severity_text)),
        wire.delimited(b"\x2a", wire.any_value(fields.body)),
        wire.attributes(b"\x32", fields.attributes),
        b"\x38" + wire.varint(fields.dropped_attributes) if fields.dropped_attributes else b"",
        b"\x45" + fields.flags.to_bytes(4, "little") if fields.flags else b"",
        b"\x4a\x10" + fields.trace_id + b"\x52\x08" + fields.span_id if fields.trace_id else b"",
        _pack_time(b"\x59", fields.observed_time),
        wire.delimited(b"\x62", wire.utf8(fields.event_name)) if fields.event_name else b"",
    ]
    return b"".join(parts)


def _json(entry: Any) -> bytes:
    return _json_of(entry.fields())


def _json_of(fields: Any) -> bytes:
    record = encoder_json.without_defaults(
        timeUnixNano=str(fields.time),
        observedTimeUnixNano=str(fields.observed_time),
        severityNumber=fields.severity_number,
        severityText=fields.severity_text,
        body=encoder_json.value_of(fields.body, 0),
        attributes=encoder_json.attributes_of(fields.attributes),
        droppedAttributesCount=fields.dropped_attributes,
        flags=fields.flags,
        traceId=fields.trace_id.hex(),
        spanId=fields.span_id.hex(),
        eventName=fields.event_name,
    )
    return encoder_json.dump(record).encode()


def _cut(encode: Callable[[Any], bytes]) -> Callable[[Any, int], bytes]:
    """Return what encodes a record that is larger than a request: its attributes go, then the end of its body."""

    def cut(entry: Any, max_bytes: int) -> bytes:
        diagnostics.warn(
            f"a log record of {entry.name!r:.80} is larger than the {max_bytes} bytes of a request; sent cut",
            key="truncated-log",
        )
        fields = entry.fields()
        fields.dropped_attributes += len(fields.attributes)
        fields.attributes = {MARK: True}
        encoded = encode(fields)
        if len(encoded) > max_bytes:
            body = fields.body if isinstance(fields.body, str) else "<too large>"
            fields.body = body[: max(0, (max_bytes - 512) // 6)]  # a character takes six bytes at most, escaped
            encoded = encode(fields)
        return encoded

    return cut
