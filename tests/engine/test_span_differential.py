# SPDX-License-Identifier: Apache-2.0
"""Does a span of ours read like the SDK's, whatever is done with it? The same operations on both."""

from __future__ import annotations

import datetime
import decimal
import logging
import pathlib
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from support.engines import Engine, facts, ours, sdks

Operation = Callable[[Any], None]


@pytest.fixture(autouse=True)
def _quiet_sdk() -> Iterator[None]:
    """The SDK logs every oddity, ours says it once: neither is looked at here."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


names = st.sampled_from(["a", "b", "c", "d", "http.method", ""])
texts = st.text(max_size=8) | st.sampled_from(["GET", "x" * 40, "\udc80", "ä€😀" * 5])
accepted = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=2**62, max_value=2**70)
    | st.floats()
    | texts
    | st.binary(max_size=6)
)
converted = st.sampled_from(
    [
        decimal.Decimal("1.5"),
        uuid.UUID(int=7),
        datetime.datetime(2024, 5, 6, 7, 8),
        pathlib.PurePosixPath("/tmp/x"),
        {1},
        object,
        object(),
    ]
)


def _nested(scalars: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return scalars | st.recursive(
        scalars,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.tuples(inner, inner)
            | st.dictionaries(names | st.integers(0, 3), inner, max_size=3)
        ),
        max_leaves=5,
    )


def _mappings(scalars: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.dictionaries(names, _nested(scalars), max_size=5)


contexts = st.builds(
    SpanContext,
    trace_id=st.integers(0, 2**128),
    span_id=st.integers(0, 2**64),
    is_remote=st.booleans(),
    trace_flags=st.sampled_from([TraceFlags(0), TraceFlags(1), TraceFlags(3)]),
    trace_state=st.sampled_from([TraceState(), TraceState([("k", "v")])]),
)
times = st.integers(0, 2**63)
codes = st.sampled_from(StatusCode)


def _operation(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Operation]:
    return st.tuples(*arguments).map(lambda given: lambda span: getattr(span, name)(*given))


def _operations(scalars: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Operation]]:
    values, mappings = _nested(scalars), _mappings(scalars)
    return st.lists(
        _operation("set_attribute", names, values)
        | _operation("set_attributes", st.dictionaries(names, values, max_size=5))
        | _operation("add_event", texts, mappings, times)
        | _operation("add_link", contexts, mappings)
        | _operation("set_status", codes, st.none() | texts)
        | _operation("set_status", st.builds(Status, codes, st.none() | texts))
        | _operation("update_name", texts)
        | _operation("record_exception", st.just(KeyError("k")), mappings, times, st.booleans())
        | _operation("end", times),
        max_size=12,
    )


def _starts(scalars: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    mappings = _mappings(scalars)
    return st.fixed_dictionaries(
        {"name": texts, "kind": st.sampled_from(SpanKind), "attributes": mappings},
        optional={"links": st.lists(st.tuples(contexts, mappings), max_size=4), "start_time": times},
    )


small = st.none() | st.integers(0, 4)
counts = ("max_events", "max_links", "max_span_attributes", "max_event_attributes", "max_link_attributes")
lengths = ("max_attribute_length", "max_span_attribute_length")


def _run(engine: Engine, start: dict[str, Any], operations: list[Operation], end: int) -> Any:
    if "links" in start:  # the SDK writes into the links that it is given, so each engine gets its own
        start = {**start, "links": [Link(*link) for link in start["links"]]}
    with engine.tracer.start_as_current_span("parent"):
        span = engine.tracer.start_span(**start)
        for operate in operations:
            operate(span)
        was_open = span.is_recording()
        span.end(end)
    (finished, _parent) = engine.spans
    return was_open, span.is_recording(), finished.end_time, facts(finished), facts(span)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    start=_starts(accepted),
    operations=_operations(accepted),
    end=times,
    limits=st.fixed_dictionaries(dict.fromkeys((*counts, *lengths), small)),
)
def test_a_span_reads_like_the_sdks(
    start: dict[str, Any], operations: list[Operation], end: int, limits: dict[str, int | None]
) -> None:
    """Whatever is done with a span, every readable attribute is the SDK's."""
    expected = _run(sdks(**limits), start, operations, end)
    actual = _run(ours(**limits), start, operations, end)

    assert expected == actual


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    start=_starts(accepted | converted),
    operations=_operations(accepted | converted),
    end=times,
    limits=st.fixed_dictionaries(dict.fromkeys(counts, small)),
)
def test_what_the_sdk_turns_into_text_is_the_same_text(
    start: dict[str, Any], operations: list[Operation], end: int, limits: dict[str, int | None]
) -> None:
    """Values that are no OpenTelemetry values become what the SDK makes of them; it does not cut that text, we do."""
    expected = _run(sdks(**limits), start, operations, end)
    actual = _run(ours(**limits), start, operations, end)

    assert expected == actual
