# SPDX-License-Identifier: Apache-2.0
"""
What is a trace? Spans as plain values, and the tree they make, whatever arrived of it and in whatever order.

Spans come from many processes: children before their parents, some twice, some
late, some never. The tree keeps every span it was given: under its parent, under a
*ghost* where the parent did not arrive, or, where parents run in a circle, with the
circle cut at its earliest span.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Union

# An assignment is run: on 3.10, `|` does not take names in quotes.
Value = Union[None, bool, int, float, str, bytes, Sequence["Value"], Mapping[str, "Value"]]  # noqa: UP007


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at a moment of a span, an exception above all."""

    name: str
    time_ns: int
    attributes: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Span:
    """
    One finished span; ids in lower-case hex, times in nanoseconds since 1970.

    ``parent_id`` is empty for a root, ``kind`` one of internal, server, client, producer, consumer,
    ``status`` one of unset, ok, error.
    """

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: str
    start_ns: int
    end_ns: int
    status: str = "unset"
    status_message: str = ""
    service: str = ""
    attributes: Mapping[str, Value] = field(default_factory=dict)
    events: tuple[Event, ...] = ()

    @property
    def duration_ns(self) -> int:
        """How long it took; 0 where a clock ran backwards."""
        return max(0, self.end_ns - self.start_ns)

    @property
    def stands_for(self) -> int:
        """How many spans this is: more than one where its process has folded those that repeat themselves."""
        count = self.attributes.get("tellwhy.folded.count")
        return count if type(count) is int and count > 1 else 1

    @property
    def is_finished(self) -> bool:
        """Whether it has ended: not where its process has sent it while it was open, or ended with it open."""
        return self.attributes.get("tellwhy.unfinished") is not True

    @property
    def is_error(self) -> bool:
        """Whether its status says error."""
        return self.status == "error"


@dataclass(slots=True, eq=False)
class Node:
    """
    One place in the tree: a span, or a ghost for a parent that did not arrive.

    ``window`` is the part of its time that lies inside everything above it: what a child does after
    its caller has given up is outside. ``busy`` are the intervals of the window in which the span itself
    was at work, with none of its children running; their sum, ``self_ns``, is its share of the trace's
    duration.
    """

    span_id: str
    span: Span | None
    children: list[Node] = field(default_factory=list)
    cuts_cycle: bool = False
    window: tuple[int, int] = (0, 0)
    busy: list[tuple[int, int]] = field(default_factory=list)

    @property
    def self_ns(self) -> int:
        """Its own share of the time, without its children's."""
        return sum(end - start for start, end in self.busy)

    def __iter__(self) -> Iterator[Node]:
        """Walk this node and all below it, parents first, in the order of time."""
        stack: list[Node] = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.children))


@dataclass(frozen=True, slots=True)
class Trace:
    """All spans of one trace as a tree; more than one root where a caller did not arrive."""

    trace_id: str
    roots: Sequence[Node]
    start_ns: int
    end_ns: int

    @property
    def duration_ns(self) -> int:
        """From the first start to the last end."""
        return max(0, self.end_ns - self.start_ns)

    @property
    def entry(self) -> Span:
        """The span that stands for the trace: its first root, or the first span below a ghost."""
        return next(node.span for node in self if node.span is not None)

    @property
    def spans(self) -> list[Span]:
        """Every span, parents before children."""
        return [node.span for node in self if node.span is not None]

    @property
    def has_root(self) -> bool:
        """Whether a span without a parent has arrived."""
        return any(node.span is not None and not node.span.parent_id for node in self.roots)

    @property
    def services(self) -> list[str]:
        """The services that took part, in the order of their first appearance."""
        return list(dict.fromkeys(span.service for span in self.spans))

    def __iter__(self) -> Iterator[Node]:
        for root in self.roots:
            yield from root


def build_trace(spans: Iterable[Span]) -> Trace:
    """
    Build the tree of one trace from its spans, in any order.

    Raises:

        ValueError: if there is no span, or spans of two traces.
    """
    kept = _latest(spans)
    trace_ids = {span.trace_id for span in kept.values()}
    if len(trace_ids) != 1:
        raise ValueError(f"expected the spans of one trace, got {len(trace_ids)} traces")
    roots = _link({span_id: Node(span_id, span) for span_id, span in kept.items()})
    _measure(roots)
    return Trace(
        trace_id=trace_ids.pop(),
        roots=roots,
        start_ns=min(span.start_ns for span in kept.values()),
        end_ns=max(span.end_ns for span in kept.values()),
    )


def _latest(spans: Iterable[Span]) -> dict[str, Span]:
    """
    Keep one span per id.

    An exporter's retry sends a span twice: the one that ended last is the whole one. A
    span that was sent while it was open gives way to the one that has ended, whatever the clock says.
    """
    kept: dict[str, Span] = {}
    for span in spans:
        known = kept.get(span.span_id)
        if known is None or _completeness(span) >= _completeness(known):
            kept[span.span_id] = span
    return kept


def _completeness(span: Span) -> tuple[bool, int]:
    return span.is_finished, span.end_ns


def _link(nodes: dict[str, Node]) -> list[Node]:
    """Put each node under its parent and return the roots; every node is below exactly one of them."""
    roots: list[Node] = []
    ghosts: dict[str, Node] = {}
    for node in _in_time(nodes.values()):
        parent_id = node.span.parent_id if node.span else ""
        if not parent_id:
            roots.append(node)
        elif parent_id in nodes:
            nodes[parent_id].children.append(node)
        else:
            if parent_id not in ghosts:
                ghosts[parent_id] = Node(parent_id, None)
                roots.append(ghosts[parent_id])
            ghosts[parent_id].children.append(node)
    _cut_cycles(nodes, roots)
    return roots


def _cut_cycles(nodes: dict[str, Node], roots: list[Node]) -> None:
    """Make a root of the earliest span of every circle of parents; from the roots, those are not reached."""
    reached = {id(node) for root in roots for node in root}
    for node in _in_time(nodes.values()):
        if id(node) in reached:
            continue
        head = _earliest_in_circle(node, nodes)
        parent = nodes[_span_of(head).parent_id]
        parent.children.remove(head)
        head.cuts_cycle = True
        roots.append(head)
        reached.update(id(below) for below in head)


def _earliest_in_circle(node: Node, nodes: dict[str, Node]) -> Node:
    """Follow the parents of a node that no root reaches until they repeat: the circle; return its first span."""
    seen: dict[str, int] = {}
    path: list[Node] = []
    while node.span_id not in seen:
        seen[node.span_id] = len(path)
        path.append(node)
        node = nodes[_span_of(node).parent_id]
    return min(path[seen[node.span_id] :], key=_time_of)


def _span_of(node: Node) -> Span:
    assert node.span is not None, "a ghost has no parent"
    return node.span


def _time_of(node: Node) -> tuple[int, str]:
    return (_span_of(node).start_ns, node.span_id)


def _in_time(nodes: Iterable[Node]) -> list[Node]:
    return sorted(nodes, key=_time_of)


def _measure(roots: Sequence[Node]) -> None:
    """Fill in ``busy`` from the top down: a child's window is never wider than its parent's."""
    stack: list[tuple[Node, int, int]] = [(root, *_extent(root)) for root in roots]
    while stack:
        node, start, end = stack.pop()
        if node.span is not None:
            start, end = max(start, node.span.start_ns), min(end, node.span.end_ns)
            node.window = (start, max(start, end))
        windows = [(max(start, child.start_ns), min(end, child.end_ns)) for child in _spans(node.children)]
        if node.span is not None:
            node.busy = _gaps(start, end, windows)
        stack.extend((child, start, end) for child in node.children)


def _spans(nodes: Iterable[Node]) -> Iterator[Span]:
    return (node.span for node in nodes if node.span is not None)


def _extent(root: Node) -> tuple[int, int]:
    """The time that a root spans; a ghost's is that of its children."""
    spans = [root.span] if root.span is not None else list(_spans(root.children))
    return min(span.start_ns for span in spans), max(span.end_ns for span in spans)


def _gaps(start: int, end: int, windows: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """What is left of an interval when the windows are taken out of it."""
    gaps: list[tuple[int, int]] = []
    at = start
    for window_start, window_end in sorted(windows):
        if window_end <= window_start:
            continue
        if window_start > at:
            gaps.append((at, window_start))
        at = max(at, window_end)
    if at < end:
        gaps.append((at, end))
    return gaps
