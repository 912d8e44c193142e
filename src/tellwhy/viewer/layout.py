# SPDX-License-Identifier: Apache-2.0
"""Which rows does a drawn trace have? Equal siblings folded, the slowest marked, the rest left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tellwhy.viewer import describe
from tellwhy.viewer.model import Node, Span, Trace

FOLD_FROM = 3  # equal siblings; two may well differ in what matters
_NEARLY = 0.9  # of the largest self time: as good a reason


@dataclass(slots=True, eq=False)
class Row:
    """
    One row of the tree: a span, several equal ones, or a ghost.

    ``skips`` says that rows between this one and its parent were left out, ``is_slowest`` that nothing else in
    the trace was at work for longer.
    """

    nodes: list[Node]
    parent: Row | None
    children: list[Row] = field(default_factory=list)
    is_slowest: bool = False
    skips: bool = False

    @property
    def span(self) -> Span | None:
        """The span, or the first of the folded ones; None for a ghost."""
        return self.nodes[0].span

    @property
    def count(self) -> int:
        """How many spans that arrived the row stands for."""
        return len(self.nodes)

    @property
    def times(self) -> int:
        """How often it happened: each span of the row may itself stand for many that did not arrive."""
        return sum(1 if node.span is None else node.span.stands_for for node in self.nodes)

    @property
    def self_ns(self) -> int:
        """The time in which at least one of its spans was itself at work."""
        return _union(interval for node in self.nodes for interval in node.busy)

    @property
    def duration_ns(self) -> int:
        """The time in which at least one of its spans was running."""
        return _union((node.span.start_ns, node.span.end_ns) for node in self.nodes if node.span)

    def __iter__(self) -> Iterator[Row]:
        """Walk this row and all below it, parents first."""
        stack: list[Row] = [self]
        while stack:
            row = stack.pop()
            yield row
            stack.extend(reversed(row.children))


@dataclass(frozen=True, slots=True)
class Layout:
    """The rows to draw, as a forest, and the number of spans that no row shows."""

    roots: list[Row]
    left_out: int

    def __iter__(self) -> Iterator[Row]:
        for root in self.roots:
            yield from root

    @property
    def slowest(self) -> Row | None:
        """The row with the largest self time: why the trace took so long."""
        return max((row for row in self if row.is_slowest), key=lambda row: row.self_ns, default=None)


def lay_out(trace: Trace, max_rows: int) -> Layout:
    """Fold, mark and, beyond ``max_rows``, choose: roots, errors and what took its time stay."""
    roots = _fold(trace.roots)
    rows = [row for root in roots for row in root]
    most = max(row.self_ns for row in rows)
    for row in rows:
        row.is_slowest = row.span is not None and 0 < _NEARLY * most <= row.self_ns
    if len(rows) <= max_rows:
        return Layout(roots, 0)
    kept = {id(row) for row in sorted(rows, key=_importance, reverse=True)[:max_rows]}
    left_out = sum(row.count for row in rows if id(row) not in kept and row.span is not None)
    return Layout(_without_the_rest(rows, kept), left_out)


def _importance(row: Row) -> tuple[bool, bool, int]:
    return (row.parent is None, row.span is not None and row.span.is_error, row.self_ns)


def _without_the_rest(rows: Sequence[Row], kept: set[int]) -> list[Row]:
    """Hang each kept row under its nearest kept ancestor."""
    roots: list[Row] = []
    for row in rows:
        row.children = []
    nearest: dict[int, Row | None] = {}  # parents come before children: each asks its parent's answer
    for row in rows:
        above = nearest[id(row.parent)] if row.parent is not None else None
        nearest[id(row)] = row if id(row) in kept else above
        if id(row) in kept:
            row.skips = above is not row.parent
            row.parent = above
            (above.children if above is not None else roots).append(row)
    return roots


def _fold(nodes: Sequence[Node]) -> list[Row]:
    """Turn nodes into rows, all levels: the children of folded spans are folded together too."""
    roots: list[Row] = []
    stack: list[tuple[Row | None, list[Row], Sequence[Node]]] = [(None, roots, nodes)]
    while stack:
        parent, rows, siblings = stack.pop()
        for group in _equal(siblings):
            if len(group) < FOLD_FROM:
                rows.extend(Row([node], parent) for node in group)
            else:
                rows.append(Row(group, parent))
        rows.sort(key=_first_start)
        stack += [(row, row.children, [child for node in row.nodes for child in node.children]) for row in rows]
    return roots


def _equal(siblings: Sequence[Node]) -> list[list[Node]]:
    groups: dict[tuple[object, ...], list[Node]] = {}
    for node in siblings:
        span = node.span
        key: tuple[object, ...] = (node.span_id,)  # a ghost equals nothing
        if span is not None:
            outcome = (span.status, describe.http_status(span), node.cuts_cycle)
            key = (span.service, span.kind, span.name, describe.label(span), *outcome)
        groups.setdefault(key, []).append(node)
    return list(groups.values())


def _first_start(row: Row) -> int:
    node = row.nodes[0]
    first = node.span or node.children[0].span
    return first.start_ns if first is not None else 0


def _union(intervals: Iterator[tuple[int, int]]) -> int:
    """Add up intervals, counting what overlaps once."""
    total = 0
    reached = 0
    for start, end in sorted(intervals):
        total += max(0, end - max(start, reached))
        reached = max(reached, end)
    return total
