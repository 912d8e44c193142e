# SPDX-License-Identifier: Apache-2.0
"""When do spans go to disk and come back? The rules between queue, spool and receiver."""

from __future__ import annotations

from time import monotonic

from tellwhy import diagnostics
from tellwhy.delivery.attempt import Attempt
from tellwhy.delivery.disk.spool import Spool
from tellwhy.delivery.stats import ENCODING, lost

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

    from tellwhy.delivery.disk.spool import Entry
    from tellwhy.delivery.outage import Outage
    from tellwhy.delivery.queue import SpanQueue

_LOOK_AGAIN: Final = 60.0  # seconds: what a process beside us left behind is found within this time


class Store:
    """
    The spool of one courier.

    Args:

        folder: Where the spool is; if it cannot be used, that is said and spans stay in memory.
    """

    def __init__(self, folder: str) -> None:
        self._spool: Spool | None = None
        self._look_at = 0.0
        self.is_waiting = False  # something is on disk, for the next turn
        try:
            self._spool = Spool(folder)
        except OSError as error:
            diagnostics.warn(f"TELLWHY_SPOOL_DIR={folder!r}: {error}; undelivered spans are kept in memory only")

    def keep(self, exporter: Any, spans: list[Any], queue: SpanQueue) -> list[Any]:
        """Put spans on disk that have left the queue already; return those that could not be."""
        attempt = Attempt(spans)
        self._write(exporter, attempt)
        queue.note_spooled(attempt.spooled)
        self._account(queue)
        return attempt.left

    def keep_batches(self, queue: SpanQueue, exporter: Any, batch_size: int, length: int) -> None:
        """While the receiver is away: put full batches on disk as long as the queue has this length."""
        written = True
        while self._spool and written and len(queue) >= length:
            batch = queue.take(batch_size)
            attempt = Attempt(batch)
            written = self._write(exporter, attempt)
            if written:
                attempt.drop(attempt.left, ENCODING)
            queue.settle(batch, attempt)
            self._account(queue)

    def deliver(
        self,
        queue: SpanQueue,
        exporter: Any,
        outage: Outage,
        deadline: Callable[[], float],
        is_busy: Callable[[], bool],
    ) -> None:
        """Deliver what is on disk, oldest first, until there is something more urgent or the receiver fails."""
        if not self._spool or not (self.is_waiting or queue.spooled or monotonic() >= self._look_at):
            return
        self.is_waiting = True  # there may be more than one turn can do
        self._spool.tidy()
        while not is_busy():
            entry = self._spool.claim()
            if entry is None:
                self.is_waiting, self._look_at = False, monotonic() + _LOOK_AGAIN
                break
            if not self._deliver_one(entry, queue, exporter, outage, deadline()):
                break
        self._account(queue)

    def _deliver_one(self, entry: Entry, queue: SpanQueue, exporter: Any, outage: Outage, deadline: float) -> bool:
        """Try one file; tell whether to go on with the next."""
        assert self._spool is not None
        attempt = exporter.attempt_payload(entry.payload, entry.spans, entry.content_type, deadline)
        if attempt.left:
            self._spool.release(entry)
        else:
            ours = self._spool.done(entry)
            queue.settle_recovered(attempt, ours=ours)
            if not ours:
                diagnostics.debug(f"delivered {attempt.delivered} spans that another process left on disk")
        if attempt.error is None:
            outage.succeeded()
            return True
        # Refused for good, too: a wrong credential must not cost the whole folder.
        queue.note_failure(f"{outage.destination}: {attempt.error}")
        outage.failed(attempt, lost(queue.snapshot()))
        return False

    def after_fork_in_child(self) -> None:
        """Leave the parent's files to the parent."""
        self._look_at = 0.0
        self.is_waiting = False
        if self._spool:
            self._spool.after_fork_in_child()

    def _write(self, exporter: Any, attempt: Attempt) -> bool:
        """Write what is left of an attempt to disk, and note what is there; tell whether the disk took everything."""
        if self._spool is None:
            return False
        if not hasattr(exporter, "payloads"):
            diagnostics.warn(f"{exporter.destination} is no OTLP/HTTP exporter of ours; its spans are not kept on disk")
            return False
        try:
            for payload, part in exporter.payloads(attempt.left):
                self._spool.write(payload, len(part), exporter.content_type)
                attempt.spool(part)
            self._spool.tidy()
        except OSError as error:
            diagnostics.warn(f"spans cannot be kept on disk: {error}", key=f"spool:{error.errno}")
            return False
        return True

    def _account(self, queue: SpanQueue) -> None:
        assert self._spool is not None
        losses = self._spool.losses()
        for reason, spans in losses.ours.items():
            queue.settle_lost_on_disk(reason, spans)
        if losses.of_others:
            diagnostics.note(
                f"spool: {losses.of_others} spans that other processes left were too many or too old; removed"
            )
