# SPDX-License-Identifier: Apache-2.0
"""Do batches stay within the bytes a receiver takes, with every span in them and the largest one cut?"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, StatusCode

from support.engines import Engine
from support.otlp import decode_attributes
from tellwhy import diagnostics
from tellwhy.delivery.otlp import encoder, encoder_json
from tellwhy.engine import SpanLimits, TracerProvider

CODECS = [encoder, encoder_json]
LIMIT = 400_000


@pytest.fixture(autouse=True)
def _fresh_diagnostics() -> Iterator[None]:
    diagnostics.reset()
    yield
    diagnostics.reset()


def engine() -> Engine:
    unlimited = SpanLimits(max_attributes=SpanLimits.UNSET, max_events=SpanLimits.UNSET, max_span_attributes=100_000)
    return Engine(TracerProvider.lean({"service.name": "x"}, limits=unlimited))


def spans_of(codec: ModuleType, payload: bytes) -> list[Span]:
    if codec is encoder:
        request = ExportTraceServiceRequest.FromString(payload)
    else:
        request = ExportTraceServiceRequest()
        json_format.Parse(payload, request)
    return [span for of_resource in request.resource_spans for scope in of_resource.scope_spans for span in scope.spans]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    sizes=st.lists(st.integers(0, 3000), max_size=30),
    scopes=st.lists(st.sampled_from(["a", "b", "c" * 100]), min_size=30, max_size=30),
    max_bytes=st.integers(700, 6000),
    codec=st.sampled_from(CODECS),
)
def test_every_span_arrives_once_in_order_within_the_bound(
    sizes: list[int], scopes: list[str], max_bytes: int, codec: ModuleType
) -> None:
    """Whatever the sizes: no request is larger, none is empty, the spans named with it are those in it."""
    diagnostics.configure("quiet")
    made = engine()
    for number, size in enumerate(sizes):
        tracer = made.provider.get_tracer(scopes[number])
        tracer.start_span(str(number), attributes={"big": "x" * size, "n": number}).end()

    arrived = []
    for payload, held in codec.split(made.spans, max_bytes):
        sent = spans_of(codec, payload)
        assert len(payload) <= max_bytes
        assert sorted(span.name for span in sent) == sorted(span.name for span in held)
        arrived += [span.name for span in held]
    assert arrived == [str(number) for number in range(len(sizes))]


@pytest.mark.parametrize("codec", CODECS)
def test_a_batch_is_not_cut_smaller_than_needed(codec: ModuleType) -> None:
    """A hundred equal spans under a bound of ten and a bit go into some ten requests, not a hundred."""
    made = engine()
    for _ in range(100):
        made.tracer.start_span("x", attributes={"big": "x" * 1000}).end()
    ten = len(codec.encode(made.spans[:10]))

    assert len(list(codec.split(made.spans, ten + 400))) == 10


def _huge(made: Engine, kind: str) -> None:
    large = "é" * 2_000_000
    span: Any = made.tracer.start_span("x" if kind != "name" else "n" * 2_000_000, attributes={"small": "kept"})
    if kind == "value":
        span.set_attribute("big", large)
    elif kind == "bytes":
        span.set_attribute("big", b"x" * 2_000_000)
    elif kind == "list":
        span.set_attribute("big", ["y" * 1000] * 2000)
    elif kind == "many":
        span.set_attributes({f"k{number}": "v" * 500 for number in range(3_000)})
    elif kind == "short":
        span.set_attributes({f"key number {number}": number for number in range(20_000)})
    elif kind == "events":
        for _ in range(8_000):
            span.add_event("e" * 50, {"a": "v" * 50})
    elif kind == "event":
        span.add_event("e", {"exception.stacktrace": large})
    elif kind == "link":
        span.add_link(span.get_span_context(), {"big": large})
    elif kind == "status":
        span.set_status(StatusCode.ERROR, large)
    elif kind == "key":
        span.set_attribute("k" * 2_000_000, 1)
    span.end()


KINDS = ["value", "bytes", "list", "many", "short", "events", "event", "link", "status", "name", "key"]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_single_huge_span_is_cut_and_marked(kind: str, codec: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    """Whatever makes a span larger than a request may be, it arrives within the bound and says what happened."""
    made = engine()
    _huge(made, kind)
    (payload, held) = next(codec.split(made.spans, LIMIT))
    (sent,) = spans_of(codec, payload)
    attributes = decode_attributes(sent.attributes)

    assert len(payload) <= LIMIT
    assert held == made.spans
    assert attributes["tellwhy.truncated"] is True
    if kind in ("value", "bytes", "event", "link", "status", "name"):
        assert attributes["small"] == "kept"
        assert len(payload) > 0.9 * LIMIT, "cut more than needed"
    if kind == "events":
        assert sent.dropped_events_count + len(sent.events) == 8_000 and sent.events
    assert capfd.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("codec", CODECS)
def test_the_largest_value_is_cut_first(codec: ModuleType) -> None:
    """Of several values the larger one pays; the neighbours of a large span go out whole."""
    made = engine()
    made.tracer.start_span("before", attributes={"a": "x" * 3000}).end()
    made.tracer.start_span("large", attributes={"a": "x" * 3000, "b": "y" * 30_000, "c": 5}).end()
    made.tracer.start_span("after", attributes={"a": "x" * 3000}).end()
    sent = [span for payload, _ in codec.split(made.spans, 10_000) for span in spans_of(codec, payload)]
    told = {span.name: decode_attributes(span.attributes) for span in sent}

    assert told["before"] == told["after"] == {"a": "x" * 3000}
    assert (len(told["large"]["a"]), told["large"]["c"]) == (3000, 5)
    assert 5000 < len(told["large"]["b"]) < 7000


def test_other_peoples_spans_are_cut_too() -> None:
    """A ReadableSpan of any make is cut as ours is, and is not changed itself."""
    theirs = ReadableSpan("x", SpanContext(1, 2, False), resource=Resource({}), attributes={"big": "x" * 10_000})
    ((payload, held),) = encoder.split([theirs], 2000)

    assert len(payload) <= 2000 and held == [theirs]
    assert len(str(dict(theirs.attributes or {})["big"])) == 10_000


@pytest.mark.parametrize("codec", CODECS)
def test_not_even_an_impossible_bound_loses_a_span(codec: ModuleType) -> None:
    """With a bound below the smallest request each span goes alone, as small as it can be."""
    made = engine()
    for number in range(3):
        made.tracer.start_span("x", attributes={"k": "v" * 1000, "n": number}).end()
    requests = list(codec.split(made.spans, 1))

    assert [len(held) for _, held in requests] == [1, 1, 1]
    assert all(len(spans_of(codec, payload)) == 1 and len(payload) < 600 for payload, _ in requests)
