# SPDX-License-Identifier: Apache-2.0
"""
Where do ended spans wait, and what has become of those that left?

The queue itself is a ``deque``: appending and taking the oldest are single
steps of the interpreter, so the threads that end spans need no lock. The lock
here keeps the courier's moves and the readers of the counts apart.
"""

from __future__ import annotations

from collections import deque
from threading import RLock

from tellwhy.delivery.stats import QUEUE_FULL, Counter, empty

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tellwhy.delivery.attempt import Attempt
    from tellwhy.delivery.stats import Snapshot

    Spans = deque[Any]
else:
    Spans = deque


class SpanQueue(Spans):
    """
    Ended spans, oldest first, and the account of those that have left.

    Args:

        bound: The most spans that wait; beyond it the oldest are dropped.

    ``attention`` is the length from which whoever appends must look up: 1 while
    the courier sleeps with nothing to do, a batch while it waits for one to
    fill, ``bound + 1`` while it is at work (then the one thing to do is to drop
    the oldest), 0 when the process leaves or every span must be looked at.
    ``wanted`` is the same without the last case.
    """

    __slots__ = (
        "_dropped",
        "_lock",
        "attention",
        "bound",
        "delivered",
        "failures",
        "in_flight",
        "inherited",
        "is_leaving",
        "is_watched",
        "last_error",
        "last_latency",
        "overflow",
        "recovered",
        "spooled",
        "wanted",
    )

    def __init__(self, bound: int) -> None:
        super().__init__()
        self.bound = bound
        self.is_watched = False
        self.reset()

    def reset(self) -> None:
        """Forget everything: a forked child starts with an empty queue and fresh counts."""
        self.clear()
        # Reentrant: a signal handler may read the counts while its own thread writes them.
        self._lock = RLock()
        self.inherited: set[int] = set()
        self.is_leaving = False
        self.attend_at(1)
        self.in_flight: list[Any] = []
        self.overflow = Counter()
        self.delivered = 0
        self.spooled = 0
        self.recovered = 0
        self.failures = 0
        self._dropped: dict[str, int] = {}
        self.last_error: str | None = None
        self.last_latency: float | None = None

    def attend_at(self, length: int) -> None:
        """Set from which length on whoever appends must look up; from the first span on once the process leaves."""
        self.wanted = length
        self.attention = length
        if self.is_leaving or self.is_watched:  # asked after the assignment: whichever thread comes last, 0 stays
            self.attention = 0

    def watch(self) -> None:
        """Let every span be looked at: the process may turn out to be another one."""
        self.is_watched = True
        self.attend_at(self.wanted)

    def leave(self) -> None:
        """From now on every span needs attention: the process, or the processor, is about to end."""
        self.is_leaving = True
        self.attention = 0

    def take(self, number: int) -> list[Any]:
        """Take the oldest spans, up to a number, into flight."""
        with self._lock:
            self.extendleft(reversed(self.in_flight))  # what an attempt that broke off has left behind
            batch: list[Any] = []
            self.in_flight = batch
            try:
                for _ in range(number):
                    batch.append(self.popleft())  # noqa: PERF401  # what was taken before the error counts
            except IndexError:  # whoever appends may drop the oldest meanwhile
                pass
            if self.inherited:
                batch[:] = [span for span in batch if not self._is_inherited(span)]
            return batch

    def settle(self, batch: list[Any], attempt: Attempt) -> None:
        """Account for a batch that was in flight: what is left of it goes back to the front."""
        with self._lock:
            if self.in_flight is not batch:  # given up in the meantime, and counted then
                return
            self.in_flight = []
            self.delivered += attempt.delivered
            self.spooled += attempt.spooled
            for reason, number in attempt.dropped.items():
                self.drop(reason, number)
            self.extendleft(reversed(attempt.left))
            self._drop_oldest()

    def note_failure(self, error: str) -> None:
        """Count an attempt that failed, and keep its reason."""
        with self._lock:
            self.failures += 1
            self.last_error = error

    def note_spooled(self, number: int) -> None:
        """Account for spans that had left the queue and are on disk now."""
        with self._lock:
            self.spooled += number

    def settle_recovered(self, attempt: Attempt, *, ours: bool) -> None:
        """Account for a batch from disk, written by this process or by another one."""
        with self._lock:
            if not ours:
                self.recovered += attempt.delivered
                return
            self.spooled -= attempt.delivered + sum(attempt.dropped.values())
            self.delivered += attempt.delivered
            for reason, number in attempt.dropped.items():
                self.drop(reason, number)

    def settle_lost_on_disk(self, reason: str, number: int) -> None:
        """Account for spans of this process that the disk did not keep."""
        with self._lock:
            self.spooled -= number
            self.drop(reason, number)

    def give_up(self) -> list[Any]:
        """Take everything that waits or is in flight; whoever still tries to deliver it counts no more."""
        with self._lock:
            given_up = self.take(len(self) + len(self.in_flight))
            self.in_flight = []
            return given_up

    def drop(self, reason: str, number: int) -> None:
        """Count spans that will never be delivered."""
        if number:
            with self._lock:
                self._dropped[reason] = self._dropped.get(reason, 0) + number

    def left(self) -> int:
        """Return how many spans have left for good, one way or the other."""
        snapshot = self.snapshot()
        produced: int = snapshot["produced"]
        queued: int = snapshot["queued"]
        return produced - queued

    def waiting(self) -> int:
        """Return how many spans wait or are in flight."""
        with self._lock:
            return len(self) + len(self.in_flight)

    def snapshot(self) -> Snapshot:
        """Return the account as a plain dict; the equation of law 2 holds in it."""
        with self._lock:
            snapshot = empty()
            dropped = dict(self._dropped)
            overflow = self.overflow.value()
            if overflow:
                dropped[QUEUE_FULL] = dropped.get(QUEUE_FULL, 0) + overflow
            snapshot["delivered"] = self.delivered
            snapshot["queued"] = len(self) + len(self.in_flight)
            snapshot["in_flight"] = len(self.in_flight)
            snapshot["spooled"] = self.spooled
            snapshot["dropped"] = dropped
            snapshot["recovered"] = self.recovered
            snapshot["export_failures"] = self.failures
            snapshot["last_error"] = self.last_error
            snapshot["last_latency_ms"] = self.last_latency
            snapshot["produced"] = self.delivered + snapshot["queued"] + self.spooled + sum(dropped.values())
            return snapshot

    def _is_inherited(self, span: Any) -> bool:
        """Tell whether a span was open in the parent when this process was forked: it is the parent's to deliver."""
        if span.context.span_id not in self.inherited:
            return False
        if span.parent is not None and not span.parent.is_remote:
            self.inherited.add(span.parent.span_id)
        return True

    def _drop_oldest(self) -> None:
        while len(self) > self.bound:
            try:
                self.popleft()
            except IndexError:
                return
            self.drop(QUEUE_FULL, 1)
