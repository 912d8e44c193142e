# SPDX-License-Identifier: Apache-2.0
"""
What if one trace makes more spans than anybody reads? What repeats itself is folded into one span that counts.

Up to its cap, every span of a trace is delivered. Beyond it, spans of one name
under one parent become one: the slowest of them, as it is, with how many there
were and how long they took. What is told of singly is never folded: errors, and
spans that somebody refers to (their context was handed on, they have links). So
every span that is delivered has its parent delivered too.

Whether a span has children that were delivered need not be remembered: who ends
before the cap is reached has a parent that had begun by then, and what had begun
by then is delivered.
"""

from __future__ import annotations

import threading
from collections import deque
from time import perf_counter_ns

from tellwhy.delivery.leaving import fork
from tellwhy.delivery.signal import TRACES
from tellwhy.delivery.stats import TRACE_FULL, Counter, empty
from tellwhy.engine.span import UNSET
from tellwhy.engine.spancontext import local_context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Final, TypeAlias

    from tellwhy.delivery.leaving.budget import Budget
    from tellwhy.delivery.stats import Snapshot
    from tellwhy.engine.span import Span

    Key: TypeAlias = "tuple[Any, ...]"  # name, kind, error.type; and the id of one that must stay apart

COUNT: Final = "tellwhy.folded.count"
"""How many spans a span stands for, itself included."""
TOTAL: Final = "tellwhy.folded.duration.total"
"""How long they took together, in seconds."""
LEAST: Final = "tellwhy.folded.duration.min"
"""How long the fastest of them took, in seconds."""
MOST: Final = "tellwhy.folded.duration.max"
"""How long the slowest of them took, in seconds: this one, unless another one is referred to."""

_LONGEST_HELD: Final = 60_000_000_000  # ns that a fold waits for the end of its parent
_MOST_NAMES: Final = 256  # folds of one trace at a time; a further name is delivered as it comes
_MOST_HELD: Final = 8_192  # spans of all traces that are held
_MOST_TRACES: Final = 256  # over their cap at the same time; beyond, the oldest starts anew
_MOST_KEPT: Final = 4_096  # spans of one trace that are known to have a child that is told of singly
_MOST_GONE: Final = 8_192  # folded spans that are remembered, should a late child name one as its parent; twice
_ERROR: Final = 2  # the status code


class Fold:
    """Spans of one name under one parent: the slowest of them, the numbers of all, and what is folded below."""

    __slots__ = ("below", "count", "least", "most", "span", "total")

    def __init__(self, span: Span, below: dict[Key, Fold]) -> None:
        end: Any = span._end
        self.span = span
        self.below = below
        self.count = 1
        self.total = self.least = self.most = end - span._start

    def marked(self) -> Span:
        """Return the span, with the numbers on it if it stands for more than itself."""
        if self.count > 1:
            numbers = {TOTAL: self.total / 1e9, LEAST: self.least / 1e9, MOST: self.most / 1e9}
            self.span._attributes.update({COUNT: self.count, **numbers})
        return self.span


class _Trace:
    """One trace over its cap, as far as it is not delivered yet."""

    __slots__ = ("folds", "full_since", "kept", "names", "since")

    def __init__(self) -> None:
        self.folds: dict[int, dict[Key, Fold]] = {}  # by the parent's span id
        self.kept: set[int] = set()  # spans that must be delivered, for a child of theirs was
        self.names = 0
        self.full_since = perf_counter_ns()
        self.since = 0  # the first of the folds

    def is_hung_under(self, span: Span) -> bool:
        """Tell whether a span, though it has ended, must be delivered for what hangs under it."""
        return span._span_id in self.kept or span._span_id in self.folds

    def keep(self, span_id: int) -> None:
        """Note that a span must be delivered, for one below it was, or will be."""
        self.kept.add(span_id)
        if len(self.kept) > _MOST_KEPT:  # most of them have ended long ago: keep all that is open now
            self.kept.clear()
            self.full_since = perf_counter_ns()


class Folding:
    """
    The spans of traces that are over their cap, and the account of them; takes part in the exit.

    Args:

        cap: The most spans of one trace, in this process, that are delivered singly.

        forward: Takes a span that is to be delivered.

        is_crowded: Tells whether the queue is so full that a trace over its cap must give way.
    """

    signal = TRACES
    has_said_why = False
    when_started: Callable[[], None] | None = None

    def __init__(self, cap: int, forward: Callable[[Any], None], is_crowded: Callable[[], bool]) -> None:
        self.cap = cap
        self._forward = forward
        self._is_crowded = is_crowded
        self.after_fork_in_child()
        fork.register(self)

    def after_fork_in_child(self) -> None:
        """Forget everything: what was held is the parent's to deliver."""
        # Reentrant: a span may end in a signal handler or a finalizer of the thread that holds it.
        self._lock = threading.RLock()
        self._is_sorting = False
        self._waiting: deque[tuple[Span, Span]] = deque()
        self._is_leaving = False
        self._traces: dict[int, _Trace] = {}  # by the entry span's id
        self._gone: dict[int, int] = {}  # the latest folded spans: id -> the parent's
        self._gone_before: dict[int, int] = {}  # those before them
        self._held = 0
        self._folded = 0
        self._dropped = Counter()

    def over(self, span: Span, root: Span) -> None:
        """Take a sampled span with which its trace has reached its cap, or that ended later."""
        with self._lock:
            if self._is_sorting:  # in a signal handler or finalizer of the thread that sorts: one after the other
                self._waiting.append((span, root))
                return
            trace = self._traces.get(root._span_id)
            if trace is not None and self._is_one_more(span, trace):
                return
            self._is_sorting = True
            try:
                ready = self._sorted(span, root)
                for one in ready if self._gone else ():
                    self._adopt(one)
            finally:
                self._is_sorting = False
        for one in ready:
            if one is span and one is not root and root._tally > self.cap and self._is_crowded():
                next(self._dropped.numbers)
            else:
                self._forward(one)
        while self._waiting:
            self.over(*self._waiting.popleft())

    def release(self) -> None:
        """Deliver what is held: the process may be about to end, or to be frozen."""
        with self._lock:
            if self._is_sorting:
                return
            self._is_sorting = True
            try:
                ready = [span for trace in list(self._traces.values()) for span in self._all_of(trace)]
            finally:
                self._is_sorting = False
        for span in ready:
            self._forward(span)
        while self._waiting:
            self.over(*self._waiting.popleft())

    # ------------------------------------------------- as a member of the exit

    def force_flush(self, timeout_millis: float | None = None) -> bool:  # noqa: ARG002
        """Hand on what is held; those who deliver it are flushed next."""
        self.release()
        return True

    def leave(self, budget: Budget) -> None:  # noqa: ARG002
        """Hand on what is held, and hold nothing from now on: the process ends."""
        self._is_leaving = True
        self.release()

    def shutdown(self) -> None:
        """Hand on what is held, and hold nothing from now on."""
        self._is_leaving = True
        self.release()

    def stats(self) -> Snapshot:
        """Return what became of the spans that were not handed on: folded, held or dropped."""
        with self._lock:
            snapshot = empty()
            dropped = self._dropped.value()
            snapshot["folded"] = self._folded
            snapshot["queued"] = self._held
            if dropped:
                snapshot["dropped"][TRACE_FULL] = dropped
            snapshot["produced"] = self._folded + self._held + dropped
            return snapshot

    # ------------------------------------------------------------- under the lock

    def _is_one_more(self, span: Span, trace: _Trace) -> bool:
        """Count a span that is like one that is held, nothing special and no slower; False if it is not."""
        parent: Any = span._parent
        folds = trace.folds.get(parent)
        if folds is None or span._ctx is not None or span._status is not UNSET or span._events or span._links:
            return False
        fold = folds.get((span._name, span._kind, span._attributes.get("error.type")))
        if fold is None or span._start < trace.full_since:
            return False
        end: Any = span._end
        number = span._span_id
        duration = end - span._start
        if duration > fold.most or number in trace.folds or number in trace.kept or self._is_leaving:
            return False
        if duration < fold.least:
            fold.least = duration
        fold.total += duration
        fold.count += 1
        self._folded += 1
        gone = self._gone
        if len(gone) >= _MOST_GONE:
            self._gone_before, gone = gone, {}
            self._gone = gone
        gone[number] = parent
        return True

    def _sorted(self, span: Span, root: Span) -> list[Any]:
        """Fold the span if that may be; return what is to be delivered now."""
        if self._is_leaving or (root._end is not None and span is not root):
            return [span]  # nobody's end would release a fold any more
        trace = self._traces.get(root._span_id)
        if trace is None:
            trace = self._traces[root._span_id] = _Trace()
            if len(self._traces) > _MOST_TRACES:
                first = next(iter(self._traces))
                return [*self._all_of(self._traces.pop(first)), *self._sorted(span, root)]
        below = trace.folds.pop(span._span_id, {})
        trace.names -= len(below)
        if span is root:
            del self._traces[root._span_id]
            return [*self._opened(below, span), *self._all_of(trace), span]
        if self._gone:
            self._adopt(span)
        parent = _parent_id(span)
        if _is_told_singly(span, trace):
            trace.kept.discard(span._span_id)
            if span._start >= trace.full_since:
                trace.keep(parent)
            return [*self._opened(below, span), span]
        return self._fold(span, trace, parent, below)

    def _fold(self, span: Span, trace: _Trace, parent: int, below: dict[Key, Fold]) -> list[Any]:
        ready: list[Any] = []
        if trace.since and span._start - trace.since > _LONGEST_HELD:
            ready = self._all_of(trace)
        key = (span._name, span._kind, span._attributes.get("error.type"))
        folds = trace.folds.get(parent)
        known = None if folds is None else folds.get(key)
        if known is not None:
            self._join(known, Fold(span, below), trace)
        elif trace.names >= _MOST_NAMES or self._held >= _MOST_HELD:
            trace.keep(parent)
            ready += [*self._opened(below, span), span]
        else:
            trace.folds.setdefault(parent, {})[key] = Fold(span, below)
            trace.names += 1
            trace.since = trace.since or span._start
            self._held += 1
        return ready

    def _join(self, fold: Fold, other: Fold, trace: _Trace, *, held: bool = False) -> None:
        """
        Let one fold stand for another one too.

        The slower span is the one that stays, but for one that somebody hangs under. The
        other one is gone; if it was held, it is held no more.
        """
        staying, going = (other, fold) if other.most > fold.most else (fold, other)
        if trace.is_hung_under(going.span):
            staying, going = going, staying
        self._forget(going.span)
        for key, lower in going.below.items():
            known = staying.below.get(key)
            if known is None:
                staying.below[key] = lower
            elif trace.is_hung_under(known.span) and trace.is_hung_under(lower.span):
                apart = (*key, lower.span._span_id)
                staying.below[apart] = lower
            else:
                self._join(known, lower, trace, held=True)
        fold.span, fold.below = staying.span, staying.below
        fold.count += other.count
        fold.total += other.total
        fold.least = min(fold.least, other.least)
        fold.most = max(fold.most, other.most)
        self._folded += 1
        self._held -= held

    def _forget(self, span: Span) -> None:
        if len(self._gone) >= _MOST_GONE:
            self._gone_before, self._gone = self._gone, {}
        self._gone[span._span_id] = _parent_id(span)

    def _all_of(self, trace: _Trace) -> list[Any]:
        """Take everything out of a trace; whoever is open above it must be delivered then."""
        folds, trace.folds, trace.names, trace.since = trace.folds, {}, 0, 0
        for parent in folds:
            trace.keep(parent)
        return [span for below in folds.values() for span in self._opened(below)]

    def _opened(self, folds: dict[Key, Fold], above: Span | None = None) -> Iterable[Any]:
        """Yield the spans of folds, and of the folds below them, each under the one that stands above it."""
        for fold in folds.values():
            self._held -= 1
            span = fold.marked()
            if above is not None and _parent_id(span) != above._span_id:
                _put_under(span, above._span_id)
            yield from self._opened(fold.below, span)
            yield span

    def _adopt(self, span: Span) -> None:
        parent = _parent_id(span)
        while (above := self._gone.get(parent) or self._gone_before.get(parent)) is not None:
            parent = above
        if parent != _parent_id(span):
            _put_under(span, parent)


def _is_told_singly(span: Span, trace: _Trace) -> bool:
    return (
        span._start < trace.full_since
        or span._ctx is not None
        or bool(span._links)
        or span._span_id in trace.kept
        or span._status.status_code._value_ == _ERROR
        or (span._events is not None and any(event.name == "exception" for event in span._events))
    )


def _parent_id(span: Span) -> int:
    parent: Any = span._parent
    return parent if type(parent) is int else 0 if parent is None else parent.span_id


def _put_under(span: Span, parent: int) -> None:
    """Give a span that has ended another parent in this process."""
    if type(span._parent) is int:
        span._parent = parent
    else:
        span._parent = local_context(span._trace_id, parent, span._flags, span._trace_state)
