# SPDX-License-Identifier: Apache-2.0
"""
What does an OTLP request say? Protobuf or JSON bytes in, plain spans out, bad ones counted.

Specification: https://opentelemetry.io/docs/specs/otlp/#otlphttp. In OTLP's JSON, ids are hex, where proto3's
own JSON mapping says base64; all else is that mapping's.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from tellwhy.viewer.model import Event, Span, Value

PROTOBUF = "application/x-protobuf"
JSON = "application/json"

_KINDS = {
    trace_pb2.Span.SPAN_KIND_SERVER: "server",
    trace_pb2.Span.SPAN_KIND_CLIENT: "client",
    trace_pb2.Span.SPAN_KIND_PRODUCER: "producer",
    trace_pb2.Span.SPAN_KIND_CONSUMER: "consumer",
}
_STATUSES = {trace_pb2.Status.STATUS_CODE_OK: "ok", trace_pb2.Status.STATUS_CODE_ERROR: "error"}
_MAX_DEPTH = 32  # of lists in lists: deeper than any honest attribute


class MalformedRequest(ValueError):
    """The bytes are not an OTLP trace request; the message says why."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one request brought: its spans, and how many could not be used (ids of a wrong length)."""

    spans: list[Span]
    rejected: int


def decode(body: bytes, content_type: str) -> Batch:
    """
    Decode the body of a ``POST /v1/traces``.

    Raises:

        MalformedRequest: if it is not an ``ExportTraceServiceRequest``.
    """
    try:
        message = _from_json(body) if content_type == JSON else ExportTraceServiceRequest.FromString(body)
    except (DecodeError, json_format.ParseError, ValueError, RecursionError, AttributeError, TypeError) as error:
        # The last two: JSON of another shape, such as a list where an object is due.
        raise MalformedRequest(f"not an OTLP trace request: {error}") from error
    spans: list[Span] = []
    rejected = 0
    for service, span in _walk(message):
        if len(span.trace_id) == 16 and len(span.span_id) == 8 and any(span.trace_id) and any(span.span_id):
            spans.append(_plain(span, service))
        else:
            rejected += 1
    return Batch(spans, rejected)


def encode_response(rejected: int, content_type: str) -> bytes:
    """Encode the reply to a request that was taken, in the request's own content type."""
    response = ExportTraceServiceResponse()
    if rejected:
        response.partial_success.rejected_spans = rejected
        response.partial_success.error_message = "trace_id must be 16 bytes, span_id 8, neither all zero"
    if content_type == JSON:
        return json_format.MessageToJson(response, indent=None).encode()
    return response.SerializeToString()


def _walk(message: ExportTraceServiceRequest) -> Iterator[tuple[str, trace_pb2.Span]]:
    for of_resource in message.resource_spans:
        service = _service(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield service, span


def _service(attributes: Iterable[KeyValue]) -> str:
    name = next((pair.value for pair in attributes if pair.key == "service.name"), None)
    return name.string_value if name is not None and name.string_value else "unknown_service"


def _plain(span: trace_pb2.Span, service: str) -> Span:
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        name=span.name,
        kind=_KINDS.get(span.kind, "internal"),
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        status=_STATUSES.get(span.status.code, "unset"),
        status_message=span.status.message,
        service=service,
        attributes=_mapping(span.attributes),
        events=tuple(Event(event.name, event.time_unix_nano, _mapping(event.attributes)) for event in span.events),
    )


def _mapping(pairs: Iterable[KeyValue], depth: int = 0) -> dict[str, Value]:
    return {pair.key: _value(pair.value, depth) for pair in pairs}


def _value(value: AnyValue, depth: int) -> Value:
    kind = value.WhichOneof("value")
    if kind is None or depth > _MAX_DEPTH:
        return None
    if kind == "array_value":
        return [_value(item, depth + 1) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _mapping(value.kvlist_value.values, depth + 1)
    plain: Value = getattr(value, kind)
    return plain


def _from_json(body: bytes) -> ExportTraceServiceRequest:
    document = json.loads(body)
    for span in _json_spans(document):
        for holder in (span, *span.get("links", ())):
            for key in ("traceId", "spanId", "parentSpanId"):
                if key in holder:
                    holder[key] = base64.b64encode(bytes.fromhex(holder[key])).decode()
    return json_format.ParseDict(document, ExportTraceServiceRequest(), ignore_unknown_fields=True)


def _json_spans(document: Any) -> Iterator[Any]:
    for of_resource in document.get("resourceSpans", ()):
        for of_scope in of_resource.get("scopeSpans", ()):
            yield from of_scope.get("spans", ())
