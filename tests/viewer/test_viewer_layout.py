# SPDX-License-Identifier: Apache-2.0
"""Which rows are drawn: folding, marking, and choosing when there are too many."""

from __future__ import annotations

from hypothesis import given, settings

from support.traces import MS, hostile_spans, make_span
from tellwhy.viewer.layout import Layout, Row, lay_out
from tellwhy.viewer.model import Span, build_trace


def rows_of(spans: list[Span], max_rows: int = 100) -> Layout:
    """Lay a trace out."""
    return lay_out(build_trace(spans), max_rows)


def names(layout: Layout) -> list[tuple[int, str]]:
    """Return count and name of every row."""
    return [(row.count, row.span.name if row.span else "ghost") for row in layout]


def depth(row: Row) -> int:
    """Count the rows above a row."""
    return 0 if row.parent is None else 1 + depth(row.parent)


def test_three_equal_siblings_are_one_row_and_two_are_two() -> None:
    """Folding begins at three."""
    spans = [make_span(1, 0, 0, 20, "root")]
    spans += [make_span(10 + n, 1, n, n + 1, "SELECT") for n in range(3)]
    spans += [make_span(20 + n, 1, 5 + n, 6 + n, "GET") for n in range(2)]

    assert names(rows_of(spans)) == [(1, "root"), (3, "SELECT"), (1, "GET"), (1, "GET")]


def test_siblings_that_differ_in_query_or_outcome_are_not_equal() -> None:
    """The one that failed must be seen."""
    query = {"db.query.text": "SELECT 1"}
    spans = [make_span(1, 0, 0, 20, "root")]
    spans += [make_span(10 + n, 1, n, n + 1, "SELECT", attributes=query) for n in range(3)]
    spans += [make_span(20, 1, 5, 6, "SELECT", attributes=query, status="error")]
    spans += [make_span(21, 1, 6, 7, "SELECT", attributes={"db.query.text": "SELECT 2"})]

    assert [count for count, _ in names(rows_of(spans))] == [1, 3, 1, 1]


def test_children_of_folded_spans_are_folded_together() -> None:
    """Four calls, each with a query below it: two rows, not eight."""
    spans = [make_span(1, 0, 0, 40, "root")]
    for n in range(4):
        spans += [
            make_span(10 + n, 1, 10 * n, 10 * n + 9, "call"),
            make_span(20 + n, 10 + n, 10 * n, 10 * n + 5, "SELECT"),
        ]

    layout = rows_of(spans)

    assert names(layout) == [(1, "root"), (4, "call"), (4, "SELECT")]
    assert [depth(row) for row in layout] == [0, 1, 2]


def test_many_small_queries_together_are_the_reason() -> None:
    """40 queries of 1 ms outweigh one of 10: the folded row is the slowest."""
    spans = [make_span(1, 0, 0, 55, "root"), make_span(2, 1, 0, 10, "big")]
    spans += [make_span(10 + n, 1, 11 + n, 12 + n, "SELECT") for n in range(40)]

    slowest = rows_of(spans).slowest

    assert slowest is not None
    assert (slowest.count, slowest.self_ns) == (40, 40 * MS)


def test_concurrent_equal_spans_count_the_time_once() -> None:
    """Three parallel calls of 10 ms take 10 ms, not 30."""
    spans = [make_span(1, 0, 0, 12, "root")] + [make_span(10 + n, 1, 1, 11, "call") for n in range(3)]

    assert [row.duration_ns for row in rows_of(spans)] == [12 * MS, 10 * MS]


def test_two_rows_that_took_nearly_the_same_are_both_marked() -> None:
    """Naming one of two equal reasons would be a lie."""
    spans = [make_span(1, 0, 0, 41, "root"), make_span(2, 1, 0, 20, "a"), make_span(3, 1, 20, 39.5, "b")]

    assert [row.span.name for row in rows_of(spans) if row.is_slowest and row.span] == ["a", "b"]


def test_when_rows_are_left_out_errors_and_what_took_time_stay() -> None:
    """Of 100 rows, five: the root, the error, the three longest; the error hangs below its nearest kept ancestor."""
    spans = [make_span(1, 0, 0, 500, "root"), make_span(2, 1, 0, 400, "middle")]
    spans += [make_span(10 + n, 2, n, n + 0.5 + n / 1000, f"step {n}") for n in range(97)]
    spans += [make_span(200, 2, 300, 300.1, "fails", status="error")]

    layout = rows_of(spans, max_rows=5)

    assert names(layout)[0] == (1, "root")
    assert (1, "fails") in names(layout)
    assert len(names(layout)) == 5
    assert layout.left_out == 100 - 5


def test_a_row_whose_parent_was_left_out_says_so() -> None:
    """Otherwise a grandchild would look like a child."""
    spans = [make_span(1, 0, 0, 100, "root"), make_span(2, 1, 0, 50, "thin"), make_span(3, 2, 0, 50, "worker")]

    layout = rows_of(spans, max_rows=2)

    assert names(layout) == [(1, "root"), (1, "worker")]
    assert [row.skips for row in layout] == [False, True]


@settings(max_examples=50, deadline=None)
@given(hostile_spans)
def test_rows_stand_for_every_span_once(spans: list[Span]) -> None:
    """Shown or left out: nothing else can happen to a span."""
    trace = build_trace(spans)
    for max_rows in (1, 3, 100):
        layout = lay_out(trace, max_rows)
        shown = sum(row.count for row in layout if row.span is not None)

        assert shown + layout.left_out == len(trace.spans)
        assert sum(1 for _ in layout) <= max(max_rows, 1)
