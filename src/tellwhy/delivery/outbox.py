# SPDX-License-Identifier: Apache-2.0
"""
What do all signals have in common between the program and the receiver? A bounded queue, a courier and an end.

Putting something in never blocks and never raises: everything slow is the
courier's. Spans, log records and collected metrics each have an outbox of
their own, and all of them leave within one exit budget.
"""

from __future__ import annotations

from time import monotonic

from tellwhy import diagnostics
from tellwhy.delivery.attempt import attempting
from tellwhy.delivery.courier import Courier
from tellwhy.delivery.leaving import fork
from tellwhy.delivery.queue import SpanQueue
from tellwhy.delivery.signal import TRACES
from tellwhy.delivery.stats import ABSENT, AFTER_SHUTDOWN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

    from tellwhy.delivery.disk.store import Store
    from tellwhy.delivery.leaving.budget import Budget
    from tellwhy.delivery.signal import Signal
    from tellwhy.delivery.stats import Snapshot

_DEFAULT_FLUSH: Final = 30_000  # milliseconds, as in the SDK


class Outbox:
    """
    One signal's queue, and its courier, on one thread that starts with the first thing to deliver.

    Args:

        exporter: Whoever delivers: ours, or any with the SDK's ``export``.

        queue_size: The most that waits; beyond it the oldest are dropped and counted.

        batch_size: The most in one export.

        delay: The longest wait in the queue, in seconds.

        export_timeout: The longest time for one attempt, in seconds.

        exit_budget: The most that ``shutdown()`` waits, in seconds.

        store: Where undelivered batches are kept on disk; None for memory only.

        signal: What is delivered.
    """

    signal: Signal

    def __init__(
        self,
        exporter: Any,
        *,
        queue_size: int,
        batch_size: int,
        delay: float,
        export_timeout: float,
        exit_budget: float,
        store: Store | None = None,
        signal: Signal = TRACES,
    ) -> None:
        self.signal = signal
        self._exit_budget = exit_budget
        self._exporter = exporter
        self._queue = SpanQueue(queue_size)
        self._courier = Courier(
            self._queue,
            attempting(exporter),
            batch_size=batch_size,
            delay=delay,
            export_timeout=export_timeout,
            store=store,
            signal=signal,
        )
        self._leaving: Budget | None = None
        self._is_shut_down = False
        self.is_absent = False  # the receiver has turned out not to know this signal
        self.when_absent: Callable[[], None] | None = None
        """Called once when the receiver turns out not to know this signal; nothing is delivered from then on."""
        if signal.may_be_absent:
            self._courier.when_absent = self._switch_off
        fork.register(self)
        if not fork.is_told():
            self._queue.watch()

    def publish(self, meter_provider: Any) -> None:
        """
        Show the counts of spans or log records to a meter provider, under the names of the SDK's own.

        Once: whoever publishes first decides where. Of metrics nothing is shown: what waits are collections.
        """
        from tellwhy.delivery.self_metrics import WORDS, SelfMetrics

        if self._courier.observe is None and self.signal in WORDS:
            component = getattr(self._exporter, "component", {})
            shown = SelfMetrics(meter_provider, self.signal, self.stats, self._queue.bound, component)
            self._courier.observe = shown.attempted

    def put(self, item: Any) -> None:
        """Let something wait for its delivery. Never blocks, never raises; at the bound the oldest makes room."""
        try:
            queue = self._queue
            queue.append(item)
            if len(queue) >= queue.attention:
                self.attend()
        except Exception as error:
            diagnostics.fault(f"the delivery of {self.signal.noun}", error)

    def attend(self) -> None:
        """Do what the length of the queue asks for; called by whoever has appended something."""
        queue = self._queue
        try:
            if queue.attention > queue.bound:
                queue.popleft()
                next(queue.overflow.numbers)
            else:
                self._attend(queue)
        except IndexError:  # the courier has just taken everything: there is room
            return

    def force_flush(self, timeout_millis: float | None = None) -> bool:
        """
        Deliver everything that is there; True only if the receiver has taken all of it in time.

        A receiver that is not there is tried once: False then comes before the timeout.

        Args:

            timeout_millis: The longest wait, 30000 by default.
        """
        if self._is_shut_down:
            return False
        return self._courier.flush(monotonic() + (_DEFAULT_FLUSH if timeout_millis is None else timeout_millis) / 1000)

    def shutdown(self) -> None:
        """Deliver what can be delivered within the exit budget, count the rest, release everything."""
        self.shutdown_within(self._leaving.remaining() if self._leaving else self._exit_budget)

    def shutdown_within(self, seconds: float) -> None:
        """Shut down as ``shutdown()`` does, but for no longer than this."""
        if self._is_shut_down:
            return
        deadline = monotonic() + seconds
        self._courier.flush(deadline)
        self._is_shut_down = True
        self._queue.leave()
        self._courier.give_up()
        self._courier.stop(deadline)

    # -------------------------------------------------------------- for the exit

    def leave(self, budget: Budget) -> None:
        """
        The process ends: deliver within the budget, put the rest on disk or count it.

        What ends later (in another exit handler, on a daemon thread) is still
        delivered, at once and on the thread that ends it, while the budget lasts.
        """
        self._queue.leave()
        self._leaving = budget
        with budget as deadline:
            delivered = self._courier.flush(deadline)
            # What another thread has ended meanwhile is that thread's to see off.
            if not delivered and (self._courier.outage.is_failing or not budget.remaining()):
                self._courier.give_up()

    def stats(self) -> Snapshot:
        """Return what became of everything so far; see ``tellwhy.delivery.stats``."""
        return self._queue.snapshot()

    @property
    def when_started(self) -> Callable[[], None] | None:
        """What is called in each process once there is something to deliver."""
        return self._courier.worker.when_started

    @when_started.setter
    def when_started(self, callback: Callable[[], None] | None) -> None:
        self._courier.worker.when_started = callback

    @property
    def has_said_why(self) -> bool:
        """Whether a line has told why nothing is delivered at present."""
        return self.is_absent or self._courier.outage.said

    def after_fork_in_child(self) -> None:
        """Start afresh: what the parent has queued is the parent's to deliver."""
        self._queue.reset()
        if self.signal is TRACES:
            self._queue.inherited = fork.inherited()
        self._courier.after_fork_in_child()
        self._leaving = None
        if self._is_shut_down or self.is_absent:
            self._queue.leave()

    def _switch_off(self) -> None:
        self.is_absent = True
        self._queue.leave()
        if self.when_absent is not None:
            self.when_absent()

    def _attend(self, queue: SpanQueue) -> None:
        """Do what the length of the queue asks for."""
        if self.is_absent:
            queue.drop(ABSENT, len(queue.give_up()))
        elif self._is_shut_down:
            queue.drop(AFTER_SHUTDOWN, len(queue.give_up()))
        elif self._leaving is not None:
            self.leave(self._leaving)
        else:
            if queue.is_watched:
                item = queue[-1]
                if fork.catch_up():  # what else was in the queue is the parent's
                    queue.append(item)
            if len(queue) > queue.bound:
                queue.popleft()
                next(queue.overflow.numbers)
            elif len(queue) >= queue.wanted:
                queue.attend_at(queue.bound + 1)
                self._courier.call()
