# SPDX-License-Identifier: Apache-2.0
"""
How does a signal get from the queue to the receiver, whatever the receiver does?

The worker's loop: wait until a batch is full or the delay has passed, take the
oldest spans, try once, account for what came of it. What fails goes back to
the queue (or to disk, with a spool) and is tried again when the outage allows.
"""

from __future__ import annotations

import sys
import threading
import time
from time import monotonic

from tellwhy import diagnostics
from tellwhy.delivery.outage import PROBE_SIZE, Outage
from tellwhy.delivery.signal import TRACES
from tellwhy.delivery.stats import ABSENT, EXIT, lost
from tellwhy.delivery.suppression import untraced
from tellwhy.delivery.worker import Worker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

    from tellwhy.delivery.attempt import Attempt
    from tellwhy.delivery.disk.store import Store
    from tellwhy.delivery.queue import SpanQueue
    from tellwhy.delivery.signal import Signal
    from tellwhy.delivery.snapshots import Sender

# The first batch of a process goes out early: whoever looks for a first trace,
# or for the reason why there is none, waits no longer than this.
FIRST_DELAY: Final = 1.0
_PAUSE: Final = 0.00005  # seconds
_PAUSE_AFTER_FAULT: Final = 1.0


class _Flush:
    """Somebody waits until what is queued now has been answered for."""

    __slots__ = ("deadline", "done", "tried")

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.tried = False
        self.done = threading.Lock()
        self.done.acquire()


class Courier:
    """
    Carries the spans of one queue through one exporter.

    Args:

        queue: Where the spans wait.

        exporter: Who tries to deliver a batch.

        batch_size: The most spans in one attempt.

        delay: The longest wait of a span in the queue, in seconds.

        export_timeout: The longest time for one attempt, in seconds.

        store: Where undelivered batches go while the receiver is away; None for memory only.

        signal: What is carried.
    """

    def __init__(
        self,
        queue: SpanQueue,
        exporter: Any,
        *,
        batch_size: int,
        delay: float,
        export_timeout: float,
        store: Store | None,
        signal: Signal = TRACES,
    ) -> None:
        self._queue = queue
        self._signal = signal
        self._exporter = exporter
        self._batch_size = batch_size
        self._delay = delay
        self._export_timeout = export_timeout
        self._store = store
        where = "keeping them on disk" if store else f"keeping up to {queue.bound} of them"
        self.outage = Outage(exporter.destination, kept=f"{where} and trying again", noun=signal.noun)
        self.observe: Callable[[float, Attempt], None] | None = None
        self.when_absent: Callable[[], None] | None = None
        """Called, on the worker's thread, when the receiver turns out not to know this signal."""
        self.snapshots: Sender | None = None
        """What is sent of spans that are still open."""
        self.worker = Worker(self._work)
        self._reset()

    def _reset(self) -> None:
        self._flushes: list[_Flush] = []  # not seen by the worker yet
        self._waiting: list[_Flush] = []  # for a receiver that has asked to be tried again soon
        self._overdue = 0.0
        self._stopping = False
        self._has_carried = False
        self._ended = threading.Lock()
        self._deadline = float("inf")
        self._inline = threading.Lock()

    # --------------------------------------------------------- from any thread

    def call(self) -> None:
        """Wake the worker; start it if this process has none yet."""
        self.worker.call()

    def flush(self, deadline: float) -> bool:
        """
        Try to deliver everything that is queued now; return by the deadline.

        Returns True only if the receiver has taken all of it. What fails is
        tried again only if the receiver answers and asks for it in time.
        """
        before = self._queue.snapshot()
        if not before["queued"] and not before["spooled"]:
            return True
        if self.worker.is_current():  # an exporter that flushes its own provider
            return False
        request = _Flush(deadline)
        self._flushes.append(request)
        # Once modules are taken down, no other thread runs any more.
        if not sys.is_finalizing() and self.worker.call():
            request.done.acquire(timeout=max(0.0, deadline - monotonic()))
        elif self._inline.acquire(timeout=max(0.0, deadline - monotonic())):
            try:
                self._deadline = deadline
                untraced(self._flush_inline)
            finally:
                self._deadline = float("inf")
                self._inline.release()
        after = self._queue.snapshot()
        left = after["produced"] - after["queued"] - (before["produced"] - before["queued"])
        return left >= before["queued"] and lost(after) == lost(before) and not after["spooled"]

    def stop(self, deadline: float) -> None:
        """End the worker and shut the exporter down, by the deadline if the exporter allows it."""
        self._ended.acquire(blocking=False)
        self._stopping = True
        if self.worker.is_running and not self.worker.is_current():
            self.worker.call()
            self._ended.acquire(timeout=max(0.0, deadline - monotonic()))
        else:
            self._shut_down_exporter()

    def give_up(self) -> None:
        """Put what is still here on disk, or count it as lost at exit."""
        if self._queue.in_flight:
            self._queue.last_error = f"{self.outage.destination}: no answer in time"
        spans = self._queue.give_up()
        if spans and self._store:
            spans = self._store.keep(self._exporter, spans, self._queue)
        self._queue.drop(EXIT, len(spans))

    def after_fork_in_child(self) -> None:
        """Start afresh: no worker, no outage, nobody waiting."""
        self.worker.reset()
        self.outage.reset()
        self._reset()
        if self._store:
            self._store.after_fork_in_child()

    # ------------------------------------------------------- the worker's thread

    def _work(self) -> None:
        due = monotonic() + min(self._delay, FIRST_DELAY)
        while not self._stopping:
            try:
                if self._turn(due):
                    due = monotonic() + self._delay
                due = self._rest(due)
            except Exception as error:  # ours: spans in flight are still accounted for
                diagnostics.fault(f"the delivery of {self._signal.noun}", error)
                self.worker.sleep(_PAUSE_AFTER_FAULT)
        self._shut_down_exporter()
        for flush in [*self._waiting, *self._flushes]:
            flush.done.release()
        if self._ended.locked():
            self._ended.release()

    def _turn(self, due: float) -> bool:
        """Do what is to be done now; tell whether everything that was queued has had its try."""
        self._queue.attend_at(self._queue.bound + 1)
        requests, self._flushes = self._flushes, []
        self._waiting += requests
        now = monotonic()
        self._overdue = now + self._delay
        # Whoever sees an open span sees what has ended below it.
        showing = self.snapshots is not None and self.snapshots.is_due()
        whole = bool(self._waiting) or now >= due or showing
        tried = False
        if self._may_try(now) and (whole or len(self._queue) >= self._batch_size):
            tried = whole
            self._deliver(whole)
        if self.snapshots is not None and showing and self._may_try(now):
            self._show(self.snapshots)
        if self._store and self.outage.is_failing:
            self._store.keep_batches(self._queue, self._exporter, self._batch_size, self._spool_from())
        self._waiting = self._unanswered(self._waiting)
        return tried

    def _may_try(self, now: float) -> bool:
        outage = self.outage
        if now >= outage.retry_at:
            return True
        # Whoever flushes is worth one more try, unless the receiver has named a time.
        return not outage.asked_to_wait and any(not flush.tried for flush in self._waiting)

    def _deliver(self, whole: bool) -> None:
        queue, outage = self._queue, self.outage
        was_failing, kept = outage.is_failing, queue.delivered
        number = len(queue) if whole else len(queue) // self._batch_size * self._batch_size
        carried = True
        while number > 0 and carried:
            size = min(number, PROBE_SIZE if outage.is_open else self._batch_size)
            number -= size
            batch = queue.take(size)
            carried = not batch or self._carry(batch)
        if carried and self._store:
            self._store.deliver(queue, self._exporter, outage, self._attempt_deadline, self._has_more_urgent)
        if was_failing and not outage.is_failing:
            outage.over(queue.delivered - kept, lost(queue.snapshot()))

    def _has_more_urgent(self) -> bool:
        """Tell whether what is on disk must wait: for a fresh batch, for spans in delay, for somebody's flush."""
        queue = self._queue
        if len(queue) >= self._batch_size or (queue and monotonic() >= self._overdue):
            return True
        return bool(self._waiting or self._flushes) and not queue.spooled

    def _carry(self, batch: list[Any]) -> bool:
        """Try one batch; tell whether to go on with the next."""
        queue, outage = self._queue, self.outage
        self._has_carried = True
        started = monotonic()
        attempt = self._exporter.attempt(batch, self._attempt_deadline(), self._pause)
        seconds = monotonic() - started
        queue.settle(batch, attempt)
        if self.observe is not None:
            self.observe(seconds, attempt)
        if attempt.error is None:
            queue.last_latency = round(seconds * 1000, 3)
            outage.succeeded()
            return True
        queue.note_failure(f"{outage.destination}: {attempt.error}")
        if attempt.absent and not queue.delivered and self.when_absent is not None:
            self._switch_off(attempt, self.when_absent)
            return False
        outage.failed(attempt, lost(queue.snapshot()))
        return attempt.refused and not outage.is_open

    def _switch_off(self, attempt: Attempt, when_absent: Callable[[], None]) -> None:
        """End a signal that this receiver has never taken and will never take, and say so once."""
        queue, name = self._queue, self._signal.name
        when_absent()
        queue.drop(ABSENT, len(queue.give_up()))
        diagnostics.note(
            f"{self.outage.destination} takes no {name} ({attempt.error}); "
            f"{name} are not exported from here on, OTEL_{name.upper()}_EXPORTER=none says so from the start"
        )

    def _show(self, snapshots: Sender) -> None:
        """Send what is open now, if it is time; none of it is tried again."""
        copies = snapshots.take()
        if not copies:
            return
        outage, was_failing = self.outage, self.outage.is_failing
        attempt = self._exporter.attempt(copies, self._attempt_deadline(), self._pause)
        snapshots.settle(len(copies), attempt)
        if attempt.error is not None:
            self._queue.note_failure(f"{outage.destination}: {attempt.error}")
            outage.failed(attempt, lost(self._queue.snapshot()))
            return
        outage.succeeded()
        if was_failing:
            outage.over(0, lost(self._queue.snapshot()))

    def _attempt_deadline(self) -> float:
        return min(monotonic() + self._export_timeout, self._deadline)

    def _pause(self) -> None:
        """Let the program's threads run, unless the queue fills up meanwhile: then delivery has to compete."""
        if len(self._queue) < self._queue.bound // 2:
            # Of no time, the sleep would not hand the interpreter over to anybody.
            time.sleep(_PAUSE)

    def _unanswered(self, flushes: list[_Flush]) -> list[_Flush]:
        """Answer those who wait in vain or no longer need to; return those for whom there is still hope."""
        outage, waiting = self.outage, []
        for flush in flushes:
            flush.tried = True
            if (
                outage.is_failing
                and outage.asks_for_patience
                and not self._stopping
                and outage.retry_at < flush.deadline
            ):
                waiting.append(flush)
            else:
                flush.done.release()
        return waiting

    def _rest(self, due: float) -> float:
        """Sleep until there is something to do; return when the queue is due then."""
        queue, outage = self._queue, self.outage
        now = monotonic()
        was_empty = not queue
        if outage.retry_at:
            attention = self._spool_from() if self._store else queue.bound + 1
            wait: float | None = outage.retry_at - now if queue or queue.spooled or self._is_waiting_on_disk() else None
            if wait is None:
                attention = 1
        elif self._is_waiting_on_disk():
            return now
        elif queue:
            attention, wait = self._batch_size, due - now
        else:
            attention, wait = 1, None
        if self.snapshots is not None:
            wait = self.snapshots.wait(wait)
        if wait is not None and wait <= 0:
            return min(due, now)
        queue.attend_at(attention)
        if len(queue) < attention and not self._flushes and not self._stopping:  # nothing has come in between
            self.worker.sleep(wait)
        if not was_empty:
            return due
        return monotonic() + (self._delay if self._has_carried else min(self._delay, FIRST_DELAY))

    def _spool_from(self) -> int:
        """Return the length of the queue that sends batches to disk: any full one in an outage, else half the queue."""
        return self._batch_size if self.outage.is_open else max(self._batch_size, self._queue.bound // 2)

    def _is_waiting_on_disk(self) -> bool:
        return self._store is not None and self._store.is_waiting

    def _flush_inline(self) -> None:
        self._turn(0.0)

    def _shut_down_exporter(self) -> None:
        try:
            self._exporter.shutdown()
        except Exception as error:
            diagnostics.fault("the shutdown of an exporter", error)
