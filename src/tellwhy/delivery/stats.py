# SPDX-License-Identifier: Apache-2.0
"""
What became of the spans? One vocabulary for ``tellwhy.stats()``, the exit line and the tests.

Law 2: at any time ``produced = delivered + queued + spooled + folded + dropped``. Of
those queued, ``in_flight`` are with the exporter. A reason under ``dropped`` is one of
the names below or ``http_<status>``; ``folded`` are those that another span of the same
name stands for (``tellwhy.folded.count``). ``snapshots`` were sent of spans that were
still open (``TELLWHY_OPEN_SPANS``): they are no spans of their own, and not in the
equation.
"""

from __future__ import annotations

from itertools import count

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, Final, TypeAlias

    Snapshot: TypeAlias = dict[str, Any]

QUEUE_FULL: Final = "queue_full"  # the oldest, because the queue was at its bound
EXIT: Final = "exit"  # not delivered when the exit budget was used up, or nobody answered at exit
TRACE_FULL: Final = "trace_full"  # of a trace over its cap, not to be folded, when the queue was half full
AFTER_SHUTDOWN: Final = "after_shutdown"  # ended when the processor was shut down already
REJECTED: Final = "rejected"  # the receiver said so in a partial success
TOO_LARGE: Final = "too_large"  # one span that the receiver does not take, however much is cut
ENCODING: Final = "encoding"  # could not be put into bytes
EXPORT_FAILED: Final = "export_failed"  # an exporter that is not ours failed; it has its own retries
SPOOL_FULL: Final = "spool_full"  # the oldest on disk, because the spool was at its bound
SPOOL_EXPIRED: Final = "spool_expired"  # on disk for longer than the spool keeps
SPOOL_CORRUPT: Final = "spool_corrupt"  # on disk, and not readable any more
ABSENT: Final = "no_endpoint"  # the receiver does not know this signal, which was therefore switched off


class Counter:
    """
    A count that any thread, signal handler or finalizer may raise without a lock.

    ``next(counter.numbers)`` adds one: a single step of the interpreter, as
    ``+=`` is not. Reading takes a number too, so the readings are counted as well.
    """

    __slots__ = ("_readings", "numbers")

    def __init__(self) -> None:
        self.numbers: Iterator[int] = count()
        self._readings = 0

    def value(self) -> int:
        """Return the count; the caller holds the lock that keeps other readers out."""
        value = next(self.numbers) - self._readings
        self._readings += 1
        return value


def empty() -> Snapshot:
    """Return the snapshot of a processor that has seen nothing."""
    return {
        "produced": 0,
        "delivered": 0,
        "queued": 0,
        "in_flight": 0,
        "spooled": 0,
        "folded": 0,
        "dropped": {},
        "recovered": 0,
        "snapshots": 0,
        "snapshots_failed": 0,
        "export_failures": 0,
        "last_error": None,
        "last_latency_ms": None,
    }


def total(snapshots: Iterable[Snapshot]) -> Snapshot:
    """Return the sum of several processors' snapshots; of errors and latencies the last that is known."""
    whole = empty()
    for snapshot in snapshots:
        for name, value in snapshot.items():
            if name == "dropped":
                for reason, number in value.items():
                    whole["dropped"][reason] = whole["dropped"].get(reason, 0) + number
            elif name.startswith("last_"):
                whole[name] = value if value is not None else whole[name]
            else:
                whole[name] += value
    return whole


def lost(snapshot: Snapshot) -> int:
    """Return how many spans were dropped, for whatever reason."""
    return sum(snapshot["dropped"].values())


def exit_line(snapshot: Snapshot, *, explain: bool = False, noun: str = "spans") -> str | None:
    """
    Return the line that says at exit what was not delivered, or None if nothing was lost.

    Args:

        snapshot: What became of the spans.

        explain: Add the last error; for when no earlier line has named it.

        noun: What they are, in the plural.
    """
    dropped = lost(snapshot)
    if not dropped:
        return None
    reasons = ", ".join(f"{number} {reason}" for reason, number in sorted(snapshot["dropped"].items()))
    verb = "was" if dropped == 1 else "were"
    line = f"{dropped} of {snapshot['produced']} {noun} {verb} not delivered: {reasons}"
    if explain and snapshot["last_error"]:
        line += f"; {snapshot['last_error']}"
    return line
