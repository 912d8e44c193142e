# SPDX-License-Identifier: Apache-2.0
"""Do our bytes say what the official encoder's say, for every span that can be built?"""

from __future__ import annotations

import collections
import logging
import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from support.engines import Engine
from tellwhy import diagnostics
from tellwhy.delivery.otlp import encoder
from tellwhy.engine import SpanLimits, TracerProvider
from tellwhy.engine.samplers import ALWAYS_ON
from tellwhy.redaction import export


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
    diagnostics.reset()


def official(spans: list[Any]) -> ExportTraceServiceRequest:
    return encode_spans(spans)


def exact(request: ExportTraceServiceRequest) -> tuple[str, bytes]:
    """Return what compares by every bit (NaN is not NaN to protobuf), and what a reader can compare."""
    return str(request), request.SerializeToString()


def mine(spans: list[Any]) -> ExportTraceServiceRequest:
    return ExportTraceServiceRequest.FromString(encoder.encode(spans))


# What the official encoder can encode: no lone surrogates, no integers beyond 64 bits, times within 64 bits.
# And no secrets, which it lets pass: hypothesis picks words out of the code that it tests, our list of them too.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=10).filter(
    lambda text: export.text(text) == text
) | st.sampled_from(["GET", "ä€😀", "x" * 127, "x" * 128, "é" * 64, "y" * 16_500])
keys = st.sampled_from(["a", "http.request.method", "ключ", "k" * 130]) | texts.filter(
    lambda text: text and export.is_ordinary(text)
)
int64s = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0, 1, 127, 128, 16_383, 16_384, -1, 2**31, 2**63 - 1])
scalars = st.none() | st.booleans() | int64s | st.floats() | texts | st.binary(max_size=200)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=6,
)
attributes = st.none() | st.dictionaries(keys, scalars, max_size=6) | st.dictionaries(keys, values, max_size=3)
times = st.integers(0, 2**64 - 1)
states = st.sampled_from([TraceState(), TraceState([("a", "1"), ("b@c", "x y")])])
contexts = st.builds(
    SpanContext,
    st.integers(0, 2**128 - 1),
    st.integers(0, 2**64 - 1),
    st.booleans(),
    st.sampled_from([TraceFlags(0), TraceFlags(1), TraceFlags(3)]),
    states,
)
statuses = st.builds(Status, st.sampled_from(StatusCode), st.none() | texts)
urls = st.sampled_from(["", "https://opentelemetry.io/schemas/1.21.0"])
small = st.none() | st.integers(0, 3)


# -- spans of ours ----------------------------------------------------------------

our_spans = st.fixed_dictionaries(
    {
        "name": texts,
        "kind": st.sampled_from(SpanKind),
        "attributes": attributes,
        "links": st.lists(st.tuples(contexts, attributes), max_size=3),
        "events": st.lists(st.tuples(texts, attributes, times), max_size=3),
        "status": statuses,
        "parent": st.none() | contexts,
        "start": st.none() | times,
        "end": times,
        "late": attributes,
        "nested": st.booleans(),
    }
)
scopes = st.tuples(texts, st.none() | texts, st.none() | urls, attributes)


def _record(tracer: Any, told: dict[str, Any]) -> None:
    context = None if told["parent"] is None else set_span_in_context(NonRecordingSpan(told["parent"]))
    with tracer.start_as_current_span("above"):
        span = tracer.start_span(
            told["name"],
            context=None if told["nested"] else context,
            kind=told["kind"],
            attributes=told["attributes"],
            links=[Link(*link) for link in told["links"]],
            start_time=told["start"],
        )
        span.set_attributes(told["late"] or {})
        for event in told["events"]:
            span.add_event(*event)
        span.set_status(told["status"])
        span.end(told["end"])


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    spans=st.lists(st.tuples(our_spans, scopes), min_size=1, max_size=4),
    resource=st.tuples(attributes, urls),
    limits=st.fixed_dictionaries(
        dict.fromkeys(
            ("max_events", "max_links", "max_span_attributes", "max_event_attributes", "max_link_attributes"), small
        )
    ),
)
def test_our_spans_say_what_the_official_encoder_says(
    spans: list[tuple[dict[str, Any], Any]], resource: tuple[Any, str], limits: dict[str, int | None]
) -> None:
    """Names, ids, kinds, attributes, events, links, status, flags, state, limits, resource, scopes, schema URLs."""
    given_limits = {name: SpanLimits.UNSET if limit is None else limit for name, limit in limits.items()}
    engine = Engine(
        TracerProvider.lean(
            resource[0] or {}, schema_url=resource[1], limits=SpanLimits(**given_limits), sampler=ALWAYS_ON
        )
    )
    for told, scope in spans:
        _record(engine.provider.get_tracer(*scope), told)

    assert len(engine.spans) == 2 * len(spans)
    assert exact(official(engine.spans)) == exact(mine(engine.spans))


# -- spans of any make ---------------------------------------------------------------


def _bounded(values: Any, dropped: int) -> BoundedAttributes:
    bounded = BoundedAttributes(attributes=values)
    bounded.dropped = dropped
    return bounded


def _list(items: list[Any], dropped: int) -> Any:
    bounded = BoundedList.from_seq(None, items)
    bounded.dropped = dropped
    return bounded


counts = st.sampled_from([0, 0, 1, 300])
bounded = st.builds(_bounded, attributes, counts)
readable_spans = st.builds(
    ReadableSpan,
    name=texts,
    context=contexts,
    parent=st.none() | contexts,
    resource=st.builds(Resource, attributes.map(lambda given: given or {}), urls),
    attributes=bounded | attributes,
    events=st.builds(_list, st.lists(st.builds(Event, texts, bounded | attributes, times), max_size=2), counts),
    links=st.builds(_list, st.lists(st.builds(Link, contexts, bounded | attributes), max_size=2), counts),
    kind=st.sampled_from(SpanKind),
    status=statuses,
    start_time=st.none() | times,
    end_time=st.none() | times,
    instrumentation_scope=st.none() | st.builds(InstrumentationScope, texts, st.none() | texts, urls, attributes),
)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(spans=st.lists(readable_spans, min_size=1, max_size=4))
def test_any_readable_span_says_what_the_official_encoder_says(spans: list[ReadableSpan]) -> None:
    """Spans that somebody else made, the SDK's own included, are read by their public attributes."""
    assert exact(official(spans)) == exact(mine(spans))


def test_the_bytes_are_the_official_ones_too() -> None:
    """For spans of ours even the order of fields is that of protobuf, so the same input is the same bytes."""
    engine = Engine(TracerProvider.lean({"service.name": "x"}, schema_url="https://x"))
    with engine.tracer.start_as_current_span("a", attributes={"s": "v", "i": 5, "b": True, "f": 1.5}) as span:
        span.add_event("e", {"k": 1})
        span.add_link(span.get_span_context(), {"k": (1, "2")})
        span.set_status(StatusCode.ERROR, "why")

    assert encoder.encode(engine.spans) == official(engine.spans).SerializeToString()


def test_equal_scopes_and_resources_are_grouped() -> None:
    """One ResourceSpans per resource, in it one ScopeSpans per scope, each in the order of the first span."""
    providers = [TracerProvider.lean({"service.name": name}) for name in ("one", "two", "one")]
    engines = [Engine(provider) for provider in providers]
    for engine in engines:
        engine.provider.get_tracer("lib").start_span("x").end()
        engine.provider.get_tracer("other").start_span("y").end()
        engine.provider.get_tracer("lib").start_span("z").end()
    spans = [span for engine in engines for span in engine.spans]

    assert exact(official(spans)) == exact(mine(spans))
    assert [len(one.scope_spans) for one in mine(spans).resource_spans] == [2, 2]


# -- where we differ on purpose ---------------------------------------------------------


def _sent(value: Any) -> Any:
    """Return the AnyValue that arrives for an attribute."""
    span = ReadableSpan("x", SpanContext(1, 2, False), attributes={"k": value})
    (pair,) = mine([span]).resource_spans[0].scope_spans[0].spans[0].attributes
    return pair.value


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError


class Endless(collections.UserList):  # type: ignore[type-arg]
    """A sequence that cannot be walked through."""

    def __iter__(self) -> Any:
        raise RuntimeError

    def __str__(self) -> str:
        return "".join(self.data)


def _deep(levels: int) -> Any:
    value: Any = "bottom"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2**63, str(2**63)),  # the official encoder leaves the attribute out
        (-(2**70), str(-(2**70))),
        (10**5000, hex(10**5000)),
        ("a\udc80b", "a\\udc80b"),
        ("\ud800", "\\ud800"),
        ({1, 2}, "{1, 2}"),
        (object, str(object)),
        (Unprintable(), "<unprintable>"),
        (Endless("abc"), "abc"),
        (math.nan, math.nan),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_that_otlp_has_no_place_for_become_text(value: Any, expected: Any) -> None:
    """Where the official encoder drops the attribute, or the batch, ours sends what can be sent."""
    sent = _sent(value)

    if isinstance(expected, float):
        assert math.isnan(sent.double_value)
    else:
        assert sent.string_value == expected


@pytest.mark.parametrize("levels", [25, 100, 500])
def test_deep_nesting_is_cut_where_decoders_give_up(levels: int) -> None:
    """Protobuf refuses a batch nested more than 100 messages deep; ours always decodes."""
    sent = _sent(_deep(levels))
    depth = 0
    while sent.WhichOneof("value") == "array_value":
        (sent,) = sent.array_value.values
        depth += 1

    assert (depth, sent.string_value) == (24, "<nested too deeply>")


def test_surrogates_in_names_keys_and_messages_are_sent() -> None:
    """The official encoder loses the whole batch to any of these."""
    bad = "x\ud800"
    engine = Engine(TracerProvider.lean({bad: bad}))
    with engine.provider.get_tracer(bad, bad).start_as_current_span(bad, attributes={bad: 1}) as span:
        span.set_status(StatusCode.ERROR, bad)
        span.add_event(bad, {bad: bad})
    request = mine(engine.spans)
    (of_scope,) = request.resource_spans[0].scope_spans
    (sent,) = of_scope.spans

    told = "x\\ud800"
    assert of_scope.scope.name == sent.name == sent.status.message == sent.events[0].name == told
    assert sent.attributes[0].key == sent.events[0].attributes[0].key == told


class Broken(ReadableSpan):
    """A span whose attributes cannot be read."""

    @property
    def attributes(self) -> Any:
        raise RuntimeError

    @property
    def events(self) -> Any:
        raise RuntimeError


def test_one_bad_span_does_not_lose_the_others(capfd: pytest.CaptureFixture[str]) -> None:
    """What is no span, or fails while it is read, goes out as far as it can be read; its neighbours go unharmed."""
    engine = Engine(TracerProvider.lean({}))
    engine.tracer.start_span("good").end()
    broken = Broken("broken", SpanContext(1, 2, False), attributes={"a": 1})
    odd: list[Any] = [broken, None, "no span", object(), ReadableSpan("bare", None)]
    request = mine([*odd, *engine.spans])
    sent = [span for of_resource in request.resource_spans for scope in of_resource.scope_spans for span in scope.spans]

    assert sorted(span.name for span in sent) == ["", "", "", "bare", "broken", "good"]
    assert capfd.readouterr().err == ""


def test_a_span_that_is_still_written_to_is_sent() -> None:
    """Threads that set attributes at the very end of a span harm no batch."""
    import threading

    engine = Engine(TracerProvider.lean({}, limits=SpanLimits(max_span_attributes=SpanLimits.UNSET)))
    span: Any = engine.tracer.start_span("x")
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            span._attributes[f"k{number % 5000}"] = number
            if number % 3 == 0:
                span._attributes.pop(f"k{(number * 7) % 5000}", None)
            number += 1

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(30):
            (sent,) = mine([span]).resource_spans[0].scope_spans[0].spans
            assert sent.name == "x"
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    span.end()


def test_an_open_span_is_sent_without_an_end() -> None:
    """A span that is not ended has no end on the wire, as with the official encoder."""
    engine = Engine(TracerProvider.lean({}))
    span: Any = engine.tracer.start_span("x")

    assert exact(official([span])) == exact(mine([span]))
    assert mine([span]).resource_spans[0].scope_spans[0].spans[0].end_time_unix_nano == 0


def test_the_caches_are_bounded() -> None:
    """A program that makes up keys, names and numbers fills no memory, and every span is right."""
    engine = Engine(TracerProvider.lean({}))
    for number in range(6000):
        engine.tracer.start_span(f"name {number}", attributes={f"key {number}": f"{number}", "n": number}).end()
        TracerProvider.lean({"n": number})
    assert exact(official(engine.spans)) == exact(mine(engine.spans))

    assert len(encoder._heads) <= 2000 and len(encoder._ints) <= 4096
    assert all(len(names) <= 2000 for names in encoder._names)


def test_values_are_kept_within_bounds() -> None:
    """Of a key whose values never repeat none is kept; of all keys together, no more than some thousands."""
    engine = Engine(TracerProvider.lean({}))
    for number in range(600):
        engine.tracer.start_span("x", attributes={"order.id": f"order {number}", "shop": "north"}).end()
    assert exact(official(engine.spans)) == exact(mine(engine.spans))
    assert not any("order" in str(value) for value in encoder._heads["order.id"])
    assert "north" in encoder._heads["shop"]

    for number in range(200):
        engine.tracer.start_span("x", attributes={f"k{key}": f"{number} of {key}" for key in range(100)}).end()
    assert exact(official(engine.spans)) == exact(mine(engine.spans))
    assert sum(map(len, encoder._heads.values())) < 8192 + 102 * 160


def test_nothing_is_one_empty_request() -> None:
    """No spans, no bytes, no request."""
    assert encoder.encode([]) == b""
    assert list(encoder.split([])) == []
