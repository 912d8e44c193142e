# SPDX-License-Identifier: Apache-2.0
"""Does the tree hold every span, whatever arrived and in whatever order?"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.traces import EPOCH, MS, hostile_spans, make_span
from tellwhy.viewer.model import Node, Span, Trace, build_trace


def shape(trace: Trace) -> list[object]:
    """Return the tree as nested lists of span numbers; a ghost is negative."""

    def of(node: Node) -> object:
        number = int(node.span_id, 16) * (1 if node.span else -1)
        return [number, *map(of, node.children)] if node.children else number

    return [of(root) for root in trace.roots]


def node_of(trace: Trace, number: int) -> Node:
    """Return one node of a tree by its span's number."""
    return next(node for node in trace if node.span_id == f"{number:016x}")


def test_children_that_arrive_before_their_parents_are_put_under_them() -> None:
    """The order of arrival says nothing; times order siblings."""
    spans = [make_span(3, 1, 6, 9), make_span(4, 2, 2, 3), make_span(2, 1, 1, 5), make_span(1, 0, 0, 10)]

    assert shape(build_trace(spans)) == [[1, [2, 4], 3]]


def test_a_missing_parent_is_a_ghost_that_keeps_its_children_together() -> None:
    """Two spans of one parent that never came stay siblings, beside the real root."""
    trace = build_trace([make_span(1, 0, 0, 10), make_span(2, 9, 1, 2), make_span(3, 9, 3, 4)])

    assert shape(trace) == [1, [-9, 2, 3]]
    assert trace.has_root


def test_a_trace_whose_caller_is_unknown_is_represented_by_its_first_span() -> None:
    """A request with a traceparent from outside has no root here."""
    trace = build_trace([make_span(2, 9, 1, 5, "GET /"), make_span(3, 2, 2, 3)])

    assert not trace.has_root
    assert trace.entry.name == "GET /"


def test_a_circle_of_parents_is_cut_at_its_earliest_span() -> None:
    """1 -> 2 -> 3 -> 1, with 4 hanging from 3: nothing is lost, and the cut is marked."""
    trace = build_trace([make_span(1, 3, 2, 9), make_span(2, 1, 1, 8), make_span(3, 2, 3, 7), make_span(4, 3, 4, 5)])

    assert shape(trace) == [[2, [3, 1, 4]]]
    assert [node.span_id[-1] for node in trace if node.cuts_cycle] == ["2"]


def test_a_span_that_is_its_own_parent_is_a_root() -> None:
    """The shortest circle."""
    trace = build_trace([make_span(1, 1, 0, 5), make_span(2, 1, 1, 2)])

    assert shape(trace) == [[1, 2]]


def test_a_span_that_was_sent_twice_is_there_once_as_it_ended_last() -> None:
    """Exporters retry; what comes later is more complete."""
    trace = build_trace([make_span(1, 0, 0, 10, "whole"), make_span(1, 0, 0, 4, "early")])

    assert [span.name for span in trace.spans] == ["whole"]


def test_self_time_is_what_no_child_covers() -> None:
    """Children 1-4 and 3-6 overlap, one runs to the end: of 10 ms, 1 + 2 are the parent's own."""
    trace = build_trace([make_span(1, 0, 0, 10), make_span(2, 1, 1, 4), make_span(3, 1, 3, 6), make_span(4, 1, 8, 10)])

    assert node_of(trace, 1).busy == [(EPOCH, EPOCH + MS), (EPOCH + 6 * MS, EPOCH + 8 * MS)]
    assert node_of(trace, 1).self_ns == 3 * MS


def test_work_after_the_caller_has_given_up_is_not_why_the_caller_was_slow() -> None:
    """A client gives up after 4 ms, the server works for 90: 3 of them count."""
    trace = build_trace(
        [make_span(1, 0, 0, 5), make_span(2, 1, 1, 5, kind="client"), make_span(3, 2, 2, 92, service="bank")]
    )

    assert node_of(trace, 3).self_ns == 3 * MS
    assert node_of(trace, 3).window == (EPOCH + 2 * MS, EPOCH + 5 * MS)
    assert trace.duration_ns == 92 * MS


def test_spans_of_two_traces_are_refused() -> None:
    """The caller has mixed something up."""
    other = Span("ab" * 16, "1" * 16, "", "x", "internal", 0, 1)

    with pytest.raises(ValueError, match="2 traces"):
        build_trace([make_span(1, 0, 0, 1), other])


def test_a_chain_deeper_than_python_recurses_is_built() -> None:
    """Depth is up to the sender."""
    trace = build_trace([make_span(n, n - 1, 0, 1) for n in range(1, 5001)])

    assert sum(1 for _ in trace) == 5000


@settings(max_examples=80, deadline=None)
@given(hostile_spans)
def test_no_span_is_lost_or_doubled_and_self_times_fit_into_the_trace(spans: list[Span]) -> None:
    """Any parents, any times: each span once, below one root, with no more self time than it lasted."""
    trace = build_trace(spans)

    assert sorted(span.span_id for span in trace.spans) == sorted({span.span_id for span in spans})
    for node in trace:
        if node.span is not None:
            assert 0 <= node.self_ns <= node.span.duration_ns
        assert all(start < end for start, end in node.busy)


@settings(max_examples=30, deadline=None)
@given(hostile_spans.flatmap(lambda spans: st.tuples(st.just(spans), st.permutations(spans))))
def test_the_order_of_arrival_does_not_matter(pair: tuple[list[Span], list[Span]]) -> None:
    """The same spans make the same tree, retries that ended at the same moment aside."""
    first, second = pair
    if len({(span.span_id, span.end_ns) for span in first}) < len(first):
        return

    assert shape(build_trace(first)) == shape(build_trace(second))
