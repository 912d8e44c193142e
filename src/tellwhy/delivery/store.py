# SPDX-License-Identifier: Apache-2.0
"""When do spans go to disk and come back? The rules between queue, spool and receiver."""

from __future__ import annotations

from time import monotonic

from tellwhy import diagnostics
from tellwhy.delivery.spool import Spool
from tellwhy.delivery.stats import lost

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

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
        self.is_waiting = False  # something on disk could not be delivered and is to be tried again
        try:
            self._spool = Spool(folder)
        except OSError as error:
            diagnostics.warn(f"TELLWHY_SPOOL_DIR={folder!r}: {error}; undelivered spans are kept in memory only")

    def keep(self, exporter: Any, spans: list[Any], queue: SpanQueue) -> list[Any]:
        """Put spans on disk that are in nobody's account any more; return those that are not there."""
        kept = self._write(exporter, spans)
        queue.spooled += len(kept)
        self._account(queue)
        ids = {id(span) for span in kept}
        return [span for span in spans if id(span) not in ids]

    def keep_batches(self, queue: SpanQueue, exporter: Any, batch_size: int, length: int) -> None:
        """While the receiver is away: put full batches on disk as long as the queue has this length."""
        while self._spool and len(queue) >= length:
            batch = queue.take(batch_size)
            kept = self._write(exporter, batch)
            if not kept:
                self._back(queue, batch)
                return
            queue.settle_spooled(batch, len(kept))
            self._account(queue)

    def deliver(
        self, queue: SpanQueue, exporter: Any, outage: Outage, deadline: Callable[[], float], batch_size: int
    ) -> None:
        """Deliver what is on disk, oldest first, until a fresh batch waits or the receiver fails."""
        if not self._spool or (not queue.spooled and monotonic() < self._look_at):
            return
        self._look_at = monotonic() + _LOOK_AGAIN
        self.is_waiting = False
        self._spool.tidy()
        while len(queue) < batch_size and (entry := self._spool.claim()) is not None:
            attempt = exporter.attempt_payload(entry.payload, entry.spans, entry.content_type, deadline())
            if attempt.error is not None:
                queue.note_failure(f"{outage.destination}: {attempt.error}")
            if attempt.left:
                self._spool.release(entry)
                outage.failed(attempt, lost(queue.snapshot()))
                self.is_waiting, self._look_at = True, 0.0
                break
            ours = self._spool.done(entry)
            queue.settle_recovered(attempt, ours=ours)
            if not ours:
                diagnostics.debug(f"delivered {attempt.delivered} spans that an earlier process left on disk")
            if attempt.error is None:
                outage.succeeded()
        else:
            if len(queue) >= batch_size:  # a full batch comes first, the rest of the disk with the next turn
                self._look_at = 0.0
        self._account(queue)

    def after_fork_in_child(self) -> None:
        """Leave the parent's files to the parent."""
        self._look_at = 0.0
        if self._spool:
            self._spool.after_fork_in_child()

    def _write(self, exporter: Any, spans: list[Any]) -> list[Any]:
        """Write spans to disk and return those that are there now."""
        kept: list[Any] = []
        if self._spool is None:
            return kept
        if not hasattr(exporter, "payloads"):
            diagnostics.warn(f"{exporter.destination} is no OTLP/HTTP exporter of ours; its spans are not kept on disk")
            return kept
        try:
            for payload, part in exporter.payloads(spans):
                self._spool.write(payload, len(part), exporter.content_type)
                kept += part
            self._spool.tidy()
        except OSError as error:
            diagnostics.warn(f"spans cannot be kept on disk: {error}", key=f"spool:{error.errno}")
        return kept

    def _back(self, queue: SpanQueue, batch: list[Any]) -> None:
        from tellwhy.delivery.attempt import Attempt

        queue.settle(batch, Attempt(batch))

    def _account(self, queue: SpanQueue) -> None:
        assert self._spool is not None
        losses = self._spool.losses()
        for reason, spans in losses.ours.items():
            queue.settle_lost_on_disk(reason, spans)
        if losses.of_others:
            diagnostics.note(
                f"spool: {losses.of_others} spans that other processes left were too many or too old; removed"
            )
