# SPDX-License-Identifier: Apache-2.0
"""Does our OTLP/JSON say what our protobuf says, in the spelling of the specification?"""

from __future__ import annotations

import base64
import json
import math
from typing import Any

from google.protobuf import json_format
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, SpanKind, StatusCode

from support.engines import Engine
from tellwhy.delivery.otlp import encoder, encoder_json
from tellwhy.engine import TracerProvider

texts = st.text(max_size=10)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.just(math.nan)
    | texts
    | st.binary(max_size=20)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)
attributes = st.dictionaries(texts.filter(bool), values, max_size=5)


def parsed(payload: bytes) -> ExportTraceServiceRequest:
    """Read OTLP/JSON with protobuf's parser, which wants base64 where OTLP has hex ids."""
    told = json.loads(payload)
    for of_resource in told["resourceSpans"]:
        for of_scope in of_resource["scopeSpans"]:
            for span in of_scope["spans"]:
                for holder in (span, *span.get("links", ())):
                    for name in ("traceId", "spanId", "parentSpanId"):
                        if name in holder:
                            holder[name] = base64.b64encode(bytes.fromhex(holder[name])).decode()
    return json_format.ParseDict(told, ExportTraceServiceRequest())


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    name=texts,
    kind=st.sampled_from(SpanKind),
    given_attributes=attributes,
    resource=attributes,
    scope=st.tuples(texts, texts, st.sampled_from(["", "https://x"]), attributes),
    events=st.lists(st.tuples(texts, attributes, st.integers(0, 2**64 - 1)), max_size=2),
    status=st.tuples(st.sampled_from(StatusCode), texts),
)
def test_says_what_protobuf_says(
    name: str, kind: SpanKind, given_attributes: Any, resource: Any, scope: Any, events: Any, status: Any
) -> None:
    """The same spans, written as JSON and read by protobuf's own parser, are the same messages."""
    engine = Engine(TracerProvider.lean(resource, schema_url=scope[2]))
    tracer = engine.provider.get_tracer(*scope)
    with tracer.start_as_current_span("above"):
        span = tracer.start_span(name, kind=kind, attributes=given_attributes)
        for event in events:
            span.add_event(*event)
        span.add_link(SpanContext(5, 6, True), given_attributes)
        span.set_status(*status)
        span.end()

    expected = ExportTraceServiceRequest.FromString(encoder.encode(engine.spans))
    actual = parsed(encoder_json.encode(engine.spans))
    assert (str(expected), expected.SerializeToString()) == (str(actual), actual.SerializeToString())


def test_spells_as_the_specification_does() -> None:
    """Ids in lower-case hex, enums as numbers, 64-bit integers as strings, bytes in base64, no default values."""
    parent = SpanContext(0xABCDEF, 0xFE, is_remote=True)
    span = ReadableSpan(
        "x",
        SpanContext(0xABCDEF, 0x12, False),
        parent=parent,
        kind=SpanKind.SERVER,
        start_time=2**60,
        end_time=2**60 + 1,
        attributes={"i": 5, "b": b"\x00\xff", "f": float("nan"), "n": None, "l": [True]},
    )
    told = json.loads(encoder_json.encode([span]))
    (sent,) = told["resourceSpans"][0]["scopeSpans"][0]["spans"]

    assert sent == {
        "traceId": "00000000000000000000000000abcdef",
        "spanId": "0000000000000012",
        "parentSpanId": "00000000000000fe",
        "name": "x",
        "kind": 2,
        "startTimeUnixNano": str(2**60),
        "endTimeUnixNano": str(2**60 + 1),
        "attributes": [
            {"key": "i", "value": {"intValue": "5"}},
            {"key": "b", "value": {"bytesValue": "AP8="}},
            {"key": "f", "value": {"doubleValue": "NaN"}},
            {"key": "n", "value": {}},
            {"key": "l", "value": {"arrayValue": {"values": [{"boolValue": True}]}}},
        ],
        "flags": 0x300,
        "status": {},
    }
