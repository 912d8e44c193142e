# SPDX-License-Identifier: Apache-2.0
"""
How do metrics get to an exporter that wants them pushed? Gathered on a clock, delivered as spans are.

One thread gathers, on the interval, at a flush and at exit; what it gathers goes
into an outbox. So a callback of the program's that hangs, or a receiver that is
away, delays neither the program nor its end for longer than the budget.
"""

from __future__ import annotations

import threading
from time import monotonic

from tellwhy import diagnostics
from tellwhy.delivery.leaving.budget import Budget
from tellwhy.delivery.outbox import Outbox
from tellwhy.delivery.signal import METRICS
from tellwhy.delivery.worker import Worker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from tellwhy.metrics.reader import Reader

_DELAY: Final = 0.05  # seconds: what is gathered has waited long enough
_MOST_WAITING: Final = 32  # collections, while the receiver is away
_AT_ONCE: Final = 4


class Push(Outbox):
    """
    Gathers and delivers the metrics of one reader.

    Args:

        exporter: Who delivers.

        reader: Who gathers.

        interval: From one collection to the next, in seconds.

        export_timeout: The longest time for one export, in seconds.

        exit_budget: The most that ``shutdown()`` waits, in seconds.
    """

    def __init__(
        self, exporter: Any, reader: Reader, *, interval: float, export_timeout: float, exit_budget: float
    ) -> None:
        super().__init__(
            exporter,
            queue_size=_MOST_WAITING,
            batch_size=_AT_ONCE,
            delay=_DELAY,
            export_timeout=export_timeout,
            exit_budget=exit_budget,
            signal=METRICS,
        )
        self.reader = reader
        self._interval = interval
        self._ticker = Worker(self._tick)
        self._reset()

    def _reset(self) -> None:
        self._asked: list[threading.Event] = []
        self._is_over = False

    def start(self) -> None:
        """Begin to gather."""
        self._ticker.call()

    def force_flush(self, timeout_millis: float | None = None) -> bool:
        """Gather now and deliver; True only if the receiver has taken everything in time."""
        seconds = 30.0 if timeout_millis is None else timeout_millis / 1000
        deadline = monotonic() + seconds
        self._gather_by(deadline)
        return super().force_flush(max(0.0, deadline - monotonic()) * 1000)

    def shutdown_within(self, seconds: float) -> None:
        """Gather once more, deliver, stop; for no longer than this."""
        deadline = monotonic() + seconds
        if not self._is_shut_down and not self.is_absent:
            self._gather_by(deadline)
        self._is_over = True
        self._ticker.call()
        super().shutdown_within(max(0.0, deadline - monotonic()))

    def leave(self, budget: Budget) -> None:
        """The process ends: gather once more, deliver within the budget, count the rest."""
        with budget as deadline:
            if not self.is_absent:
                self._gather_by(deadline)
            super().leave(budget)

    def after_fork_in_child(self) -> None:
        """Start afresh, with a thread of this process's own."""
        super().after_fork_in_child()
        was_running = self._ticker.is_running
        self._ticker.reset()
        over = self._is_over
        self._reset()
        self._is_over = over
        if was_running and not over and not self.is_absent:
            self.start()

    def _gather_by(self, deadline: float) -> None:
        """Have the ticker gather, and wait for that; do it here if there is no ticker."""
        if self._ticker.is_running and not self._ticker.is_current():
            asked = threading.Event()
            self._asked.append(asked)
            self._ticker.call()
            asked.wait(max(0.0, deadline - monotonic()))
        else:
            self._gather()

    def _gather(self) -> None:
        try:
            collection = self.reader.gather()
            if collection is not None:
                self.put(collection)
        except Exception as error:
            diagnostics.fault("the collection of metrics", error)

    def _tick(self) -> None:
        due = monotonic() + self._interval
        while not self._is_over and not self.is_absent:
            self._ticker.sleep(max(0.0, due - monotonic()))
            asked, self._asked = self._asked, []
            if asked or monotonic() >= due:
                self._gather()
                due = max(due + self._interval, monotonic()) if monotonic() >= due else due
            for one in asked:
                one.set()
