# SPDX-License-Identifier: Apache-2.0
"""What if a program gives a span something it cannot hold? No exception, no lost batch, a count, one line per key."""

from __future__ import annotations

import enum
import math
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.trace import SpanContext, Status, StatusCode

from support.engines import Engine, ours
from tellwhy import diagnostics
from tellwhy.delivery.otlp import encoder, encoder_json
from tellwhy.engine import TracerProvider


@pytest.fixture(autouse=True)
def _fresh_diagnostics() -> Iterator[None]:
    diagnostics.reset()
    yield
    diagnostics.reset()


class Unprintable:
    """Its text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class Hostile(Mapping[str, Any]):
    """A mapping that fails wherever it is touched."""

    def __getitem__(self, key: str) -> Any:
        raise RuntimeError("no item")

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("no keys")

    def __len__(self) -> int:
        return 3


class Falsy:
    """Something whose truth cannot be told."""

    def __bool__(self) -> bool:
        raise RuntimeError("neither")


class Color(enum.Enum):
    RED = "red"
    NUMBER = 5


class Level(enum.IntEnum):
    HIGH = 9


def _endless() -> list[Any]:
    endless: list[Any] = []
    endless.append(endless)
    return endless


def _deep(levels: int) -> Any:
    value: Any = "bottom"
    for _ in range(levels):
        value = [value]
    return value


JUNK: list[Any] = [
    None,
    2**64,
    -(2**200),
    10**5000,
    math.nan,
    math.inf,
    "\ud800 surrogate",
    b"\xff\xfe",
    bytearray(b"ab"),
    memoryview(b"ab"),
    [1, "two", None, [3.0, {"four": b"5"}]],
    {"a": {"b": [None]}, 5: "five", "": "empty"},
    Unprintable(),
    [Unprintable()],
    Hostile(),
    Falsy(),
    _endless(),
    _deep(200),
    object(),
    lambda: None,
    range(3),
    Color.RED,
    Level.HIGH,
    numpy.int64(3),
    numpy.float32(2.5),
    numpy.array([1.5, 2.5]),
    numpy.array([object()]),
    iter([1]),
    float,
    ...,
    "x" * 100_000,
]
junk = st.sampled_from(JUNK)
anything = junk | st.integers() | st.text() | st.floats() | st.binary()
KINDS: list[Any] = [None, 7, "server", *JUNK]


def _operate(span: Any, name: str, arguments: tuple[Any, ...]) -> None:
    getattr(span, name)(*arguments)


operations = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "set_attribute",
                "set_attributes",
                "add_event",
                "add_link",
                "set_status",
                "update_name",
                "record_exception",
                "end",
                "start",
                "__exit__",
            ]
        ),
        st.tuples(anything, anything, anything),
    ),
    max_size=8,
)
ARITY = {
    "set_attributes": 1,
    "set_attribute": 2,
    "add_link": 2,
    "set_status": 2,
    "update_name": 1,
    "end": 1,
    "start": 1,
}


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    name=anything,
    kind=st.sampled_from(KINDS),
    attributes=anything | st.dictionaries(st.text(max_size=3), anything, max_size=4),
    links=anything | st.lists(anything, max_size=2),
    start_time=anything,
    operations=operations,
)
def test_no_input_raises_or_loses_a_batch(
    name: Any, kind: Any, attributes: Any, links: Any, start_time: Any, operations: list[tuple[str, tuple[Any, ...]]]
) -> None:
    """Junk in every place of every operation: nothing is raised, and every span of the batch arrives."""
    diagnostics.configure("quiet")
    engine = Engine(TracerProvider.lean({"service.name": "x", "junk": attributes}))
    engine.tracer.start_span("elsewhere", context=name)
    with engine.tracer.start_as_current_span("before"):
        span = engine.tracer.start_span(
            name, kind=kind, attributes=attributes, links=links, start_time=start_time, record_exception=True
        )
        for method, arguments in operations:
            _operate(span, method, arguments[: ARITY.get(method, 3)])
        span.end()

    request = ExportTraceServiceRequest.FromString(encoder.encode(engine.spans))
    arrived = [one for of_scope in request.resource_spans[0].scope_spans for one in of_scope.spans]
    assert len(arrived) == 2
    assert arrived[-1].name == "before"
    assert encoder_json.encode(engine.spans)


@pytest.mark.parametrize("value", [Unprintable(), [Unprintable()], Hostile(), _endless()], ids=type)
def test_what_cannot_be_recorded_is_counted_and_told_once(value: Any, capfd: pytest.CaptureFixture[str]) -> None:
    """The attribute is left out, the span's dropped count says so, and one line names the key."""
    engine = ours()
    span = engine.tracer.start_span("x", attributes={"bad": value, "good": 1})
    for _ in range(100):
        span.set_attribute("bad", value)
    span.set_attributes({"bad": value})

    assert dict(span.attributes) == {"good": 1}
    assert span.dropped_attributes == 102
    (line,) = capfd.readouterr().err.splitlines()
    assert "'bad'" in line and type(value).__name__ in line


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Color.RED, "red"),
        (Color.NUMBER, 5),
        (Level.HIGH, 9),
        ([numpy.bool_(True), Color.RED], (True, "red")),
        (range(3), (0, 1, 2)),
        ({"k": Color.RED}, {"k": "red"}),
        (bytearray(b"ab"), (97, 98)),
    ],
    ids=lambda value: type(value).__name__,  # a repr with an address differs between xdist's workers
)
def test_what_can_be_converted_is(value: Any, expected: Any) -> None:
    """Enums become their values, numpy scalars Python's, other sequences tuples."""
    span = ours().tracer.start_span("x")
    span.set_attribute("k", value)

    assert span.attributes["k"] == expected
    assert type(span.attributes["k"]) in (type(expected), Level)
    assert span.dropped_attributes == 0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (numpy.int64(3), 3),
        (numpy.uint64(2**63 - 1), 2**63 - 1),
        (numpy.float32(2.5), 2.5),
        (numpy.float64(2.5), 2.5),
        (numpy.bool_(True), True),
        (numpy.str_("x"), "x"),
        ([numpy.int8(1), numpy.float16(0.5)], [1, 0.5]),
        (numpy.array([1, 2]), "[1 2]"),
        (numpy.array(7), 7),
        (numpy.datetime64("2026-01-02"), "2026-01-02"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_numpys_scalars_arrive_as_pythons(value: Any, expected: Any) -> None:
    """A number is a number, whoever made it; an array is its text, as under the SDK."""
    engine = ours()
    with engine.tracer.start_as_current_span("x", attributes={"start": value}) as span:
        span.set_attribute("later", value)

    arrived = ExportTraceServiceRequest.FromString(encoder.encode([span]))

    (received,) = arrived.resource_spans[0].scope_spans[0].spans
    assert {pair.key: _python(pair.value) for pair in received.attributes} == {"start": expected, "later": expected}
    assert received.dropped_attributes_count == 0


def _python(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_python(item) for item in value.array_value.values]
    return getattr(value, kind)


def test_ten_thousand_attributes_are_bounded() -> None:
    """The limit holds, the newest stay, the rest is counted."""
    span = ours().tracer.start_span("x", attributes={str(number): number for number in range(10_000)})
    for number in range(10_000):
        span.set_attribute(f"late {number}", number)

    assert len(span.attributes) == 128
    assert list(span.attributes)[-1] == "late 9999"
    assert span.dropped_attributes == 20_000 - 128


def test_times_may_be_reversed_negative_or_beyond_all_bounds() -> None:
    """What the program says is kept to be read; on the wire it is what the wire can say."""
    engine = ours()
    for start, end in [(10, 5), (-5, -3), (2**70, 2**80), (0, 0)]:
        span = engine.tracer.start_span("x", start_time=start)
        span.end(end)
        assert (span.start_time, span.end_time) == (start, end)

    request = ExportTraceServiceRequest.FromString(encoder.encode(engine.spans))
    sent = [(s.start_time_unix_nano, s.end_time_unix_nano) for s in request.resource_spans[0].scope_spans[0].spans]
    assert sent == [(10, 5), (0, 0), (2**64 - 1, 2**64 - 1), (0, 0)]


@pytest.mark.parametrize("time", ["now", None, object(), math.nan])
def test_a_time_that_is_none_means_now(time: Any, capfd: pytest.CaptureFixture[str]) -> None:
    """A start or end of a wrong type is told of, and the clock is read instead."""
    span = ours().tracer.start_span("x", start_time=time)
    span.end(time)

    assert 0 <= span.end_time - span.start_time < 10**9
    assert len(capfd.readouterr().err.splitlines()) == (0 if time is None else 2)


def test_a_start_in_the_future_has_no_negative_duration() -> None:
    """Where the program set the start, the clock's end does not lie before it."""
    span = ours().tracer.start_span("x", start_time=2**62)
    span.end()

    assert span.end_time == span.start_time


def test_use_after_the_end_is_harmless_and_silent(capfd: pytest.CaptureFixture[str]) -> None:
    """Whatever is done to an ended span changes nothing and prints nothing; a second end exports nothing."""
    engine = ours()
    span = engine.tracer.start_span("x", attributes={"a": 1})
    span.end(99)
    before = span.to_json()
    for method, arguments in [
        ("set_attribute", ("k", "v")),
        ("set_attribute", ("k", object())),
        ("set_attributes", ({"k": "v"},)),
        ("add_event", ("e",)),
        ("add_link", (SpanContext(1, 2, False),)),
        ("set_status", (StatusCode.ERROR,)),
        ("set_status", (Status(StatusCode.OK),)),
        ("update_name", ("y",)),
        ("record_exception", (ValueError(),)),
        ("end", ()),
        ("end", (5,)),
        ("start", ()),
        ("__exit__", (ValueError, ValueError(), None)),
    ]:
        _operate(span, method, arguments)

    assert span.to_json() == before
    assert engine.spans == [span]
    assert capfd.readouterr().err == ""


def test_a_mapping_that_cannot_be_read_is_ignored(capfd: pytest.CaptureFixture[str]) -> None:
    """Attributes that are no mapping, or fail while they are read, do not reach the program as an error."""
    engine = ours()
    for attributes in (Hostile(), [("a", 1)], 5, "text"):
        span = engine.tracer.start_span("x", attributes=attributes)
        span.set_attributes(attributes)
        span.add_event("e", attributes)
        span.record_exception(ValueError(), attributes)

        assert span.is_recording() and dict(span.attributes) == {}
    lines = capfd.readouterr().err.splitlines()
    assert 1 <= len(lines) == len(set(lines)) <= 6, lines


def test_changing_a_list_afterwards_changes_no_attribute() -> None:
    """A value is the one of the moment when it was set."""
    given_list, given_dict = [1], {"k": [1]}
    span = ours().tracer.start_span("x", attributes={"list": given_list})
    span.set_attribute("dict", given_dict)
    given_list.append(2)
    given_dict["k"].append(2)

    assert dict(span.attributes) == {"list": (1,), "dict": {"k": (1,)}}


def test_attributes_are_read_only_from_outside() -> None:
    """What a processor reads cannot be changed by accident."""
    span = ours().tracer.start_span("x", attributes={"a": 1})
    span.add_event("e", {"a": 1})
    span.add_link(SpanContext(1, 2, False), {"a": 1})

    for attributes in (span.attributes, span.events[0].attributes, span.links[0].attributes):
        with pytest.raises(TypeError):
            attributes["a"] = 2


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups are new in 3.11")
def test_exception_groups_and_notes_are_in_the_stack() -> None:
    """A group shows its members, an exception its cause and notes, as Python prints them."""
    span = ours().tracer.start_span("x")
    inner = ValueError("inner")
    inner.add_note("a note")  # type: ignore[attr-defined]
    span.record_exception(ExceptionGroup("several", [inner, KeyError("k")]))  # type: ignore[name-defined]  # noqa: F821
    stack = span.events[0].attributes["exception.stacktrace"]

    assert "inner" in stack and "a note" in stack and "KeyError" in stack
