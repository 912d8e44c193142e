# SPDX-License-Identifier: Apache-2.0
"""What is read from OTLP bytes: protobuf and JSON, honest and hostile."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from tellwhy.viewer.model import build_trace
from tellwhy.viewer.otlp import JSON, PROTOBUF, MalformedRequest, decode, encode_response

TRACE, SPAN, PARENT = bytes(range(1, 17)), bytes(range(1, 9)), bytes(range(11, 19))
DOCUMENT = {
    "resourceSpans": [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
            "scopeSpans": [
                {
                    "spans": [
                        {
                            "traceId": TRACE.hex(),
                            "spanId": SPAN.hex().upper(),
                            "parentSpanId": PARENT.hex(),
                            "name": "GET /",
                            "kind": 2,
                            "startTimeUnixNano": "1700000000000000000",
                            "endTimeUnixNano": 1700000000000000005,
                            "attributes": [{"key": "n", "value": {"intValue": "7"}}],
                            "links": [{"traceId": TRACE.hex(), "spanId": PARENT.hex()}],
                            "status": {"code": 2, "message": "broken"},
                            "unknownField": {"of": "a later version"},
                        }
                    ]
                }
            ],
        }
    ]
}


def make_request(**fields: object) -> ExportTraceServiceRequest:
    """Make a request with one span."""
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id, span.name = TRACE, SPAN, "GET /"
    for name, value in fields.items():
        setattr(span, name, value)
    return request


def test_a_span_comes_out_as_plain_values() -> None:
    """Ids in hex, kinds and statuses in words, the resource's service on it, the events with their attributes."""
    request = make_request(parent_span_id=PARENT, kind=3, start_time_unix_nano=5, end_time_unix_nano=9)
    attributes = request.resource_spans[0].resource.attributes
    attributes.append(KeyValue(key="service.name", value=AnyValue(string_value="shop")))
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.status.code, span.status.message = 2, "broken"
    values = ArrayValue(values=[AnyValue(int_value=1), AnyValue(bool_value=True), AnyValue()])
    nested = KeyValueList(values=[KeyValue(key="k", value=AnyValue(double_value=0.5))])
    span.attributes.append(KeyValue(key="list", value=AnyValue(array_value=values)))
    span.events.add(name="e", time_unix_nano=7).attributes.append(
        KeyValue(key="map", value=AnyValue(kvlist_value=nested))
    )

    (plain,) = decode(request.SerializeToString(), PROTOBUF).spans

    assert (plain.trace_id, plain.span_id, plain.parent_id) == (TRACE.hex(), SPAN.hex(), PARENT.hex())
    assert (plain.service, plain.kind, plain.status, plain.status_message) == ("shop", "client", "error", "broken")
    assert (plain.start_ns, plain.end_ns, plain.duration_ns) == (5, 9, 4)
    assert plain.attributes == {"list": [1, True, None]}
    assert [(event.name, event.time_ns, event.attributes) for event in plain.events] == [("e", 7, {"map": {"k": 0.5}})]


def test_json_says_the_same_as_protobuf() -> None:
    """With ids in hex, as OTLP has them, and fields of later versions passed over."""
    (plain,) = decode(json.dumps(DOCUMENT).encode(), JSON).spans

    assert (plain.trace_id, plain.span_id, plain.parent_id) == (TRACE.hex(), SPAN.hex(), PARENT.hex())
    assert (plain.service, plain.kind, plain.status, plain.duration_ns) == ("shop", "server", "error", 5)
    assert plain.attributes == {"n": 7}


@pytest.mark.parametrize(
    "fields",
    [{"trace_id": b""}, {"trace_id": b"x"}, {"trace_id": bytes(16)}, {"span_id": b""}, {"span_id": bytes(8)}],
)
def test_spans_without_a_valid_id_are_counted_and_left_out(fields: dict[str, bytes]) -> None:
    """And the sender is told how many, in its own content type."""
    batch = decode(make_request(**fields).SerializeToString(), PROTOBUF)

    assert (batch.spans, batch.rejected) == ([], 1)
    reply = ExportTraceServiceResponse.FromString(encode_response(batch.rejected, PROTOBUF))
    assert reply.partial_success.rejected_spans == 1
    assert json.loads(encode_response(1, JSON))["partialSuccess"]["rejectedSpans"] == "1"


def test_an_accepted_request_is_answered_with_nothing() -> None:
    """An empty message, or an empty object."""
    assert encode_response(0, PROTOBUF) == b""
    assert json.loads(encode_response(0, JSON)) == {}


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_decoded_or_refused(body: bytes) -> None:
    """No other exception gets out, and what is decoded can be built into trees."""
    for content_type in (PROTOBUF, JSON):
        try:
            batch = decode(body, content_type)
        except MalformedRequest:
            continue
        for span in batch.spans:
            build_trace([span])


_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just("ab" * 16)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["resourceSpans", "scopeSpans", "spans", "traceId", "spanId", "links", "name", "kind",
                             "startTimeUnixNano", "attributes", "key", "value", "events", "status", "intValue"]),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(st.one_of(_json, _json.map(lambda spans: {"resourceSpans": [{"scopeSpans": [{"spans": [spans]}]}]})))
def test_any_json_is_decoded_or_refused(document: object) -> None:
    """Objects where lists are due, numbers too large, names with no place."""
    try:
        decode(json.dumps(document).encode(), JSON)
    except MalformedRequest:
        return


def test_json_nested_without_end_is_refused() -> None:
    """Instead of running out of stack."""
    with pytest.raises(MalformedRequest):
        decode(b"[" * 100_000, JSON)


def test_values_nested_deeper_than_any_honest_one_are_cut() -> None:
    """Lists in lists in lists."""
    value = AnyValue(int_value=1)
    for _ in range(40):
        value = AnyValue(array_value=ArrayValue(values=[value]))
    request = make_request()
    request.resource_spans[0].scope_spans[0].spans[0].attributes.append(KeyValue(key="deep", value=value))

    (plain,) = decode(request.SerializeToString(), PROTOBUF).spans

    inner, depth = plain.attributes["deep"], 0
    while isinstance(inner, list):
        inner, depth = inner[0], depth + 1
    assert (inner, depth) == (None, 33)
