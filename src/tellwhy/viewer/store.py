# SPDX-License-Identifier: Apache-2.0
"""Where do the spans wait until their trace is whole? In memory, by trace, the oldest leaving first."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tellwhy.viewer.model import Span, Trace, build_trace


@dataclass(slots=True)
class _Entry:
    spans: list[Span] = field(default_factory=list)
    changed_at: float = 0.0
    shown: bool = False


class TraceStore:
    """
    Spans by trace, for many threads that add and one that waits.

    Args:

        max_spans: How many spans are kept; beyond it whole traces are dropped, oldest first, and
            their spans counted in ``dropped``. Default 200,000.
    """

    def __init__(self, max_spans: int = 200_000) -> None:
        self.received = 0
        self.dropped = 0
        self._max_spans = max_spans
        self._traces: dict[str, _Entry] = {}
        self._changed = threading.Condition()

    def add(self, spans: Iterable[Span]) -> None:
        """Take spans in, of any traces, in any order."""
        now = time.monotonic()
        with self._changed:
            for span in spans:
                entry = self._traces.setdefault(span.trace_id, _Entry())
                entry.spans.append(span)
                entry.changed_at = now
                self.received += 1
            self._drop_oldest()
            self._changed.notify_all()

    def traces(self) -> list[Trace]:
        """Every trace that is here, in the order in which their first spans arrived."""
        with self._changed:
            spans = [list(entry.spans) for entry in self._traces.values()]
        return [build_trace(of_one) for of_one in spans]

    def wait_for(self, fits: Callable[[Trace], bool], timeout: float, *, quiet: float = math.inf) -> Trace | None:
        """
        Wait until a trace fits and return it; None after ``timeout`` seconds, or ``quiet`` ones without any span.

        What was returned does not come from ``next_settled()`` again.
        """
        deadline = time.monotonic() + timeout
        while True:
            with self._changed:
                seen = self.received
            for trace in self.traces():
                if fits(trace):
                    self._mark_shown(trace.trace_id)
                    return trace
            give_up_at = min(deadline, time.monotonic() + quiet)
            with self._changed:
                while self.received == seen:
                    left = give_up_at - time.monotonic()
                    if left <= 0:
                        return None
                    self._changed.wait(left)

    def next_settled(self, timeout: float, *, quiet: float = 1.0, patience: float = 5.0) -> Trace | None:
        """
        Wait for a trace that was not returned before and has come to rest; after ``timeout`` seconds, None.

        At rest is a trace whose root has arrived and to which nothing was added for ``quiet`` seconds,
        or, without a root, for ``patience`` seconds. Its late spans, if any, are in ``traces()`` only.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                now = time.monotonic()
                wake = deadline
                for entry in self._traces.values():
                    if entry.shown:
                        continue
                    has_root = any(not span.parent_id for span in entry.spans)
                    ready_at = entry.changed_at + (quiet if has_root else patience)
                    if ready_at <= now:
                        entry.shown = True
                        return build_trace(entry.spans)
                    wake = min(wake, ready_at)
                if now >= deadline:
                    return None
                self._changed.wait(wake - now)

    def _mark_shown(self, trace_id: str) -> None:
        with self._changed:
            if trace_id in self._traces:
                self._traces[trace_id].shown = True

    def _drop_oldest(self) -> None:
        while (excess := self.received - self.dropped - self._max_spans) > 0:
            oldest = next(iter(self._traces))
            spans = self._traces[oldest].spans
            if len(self._traces) == 1:  # one endless trace: its beginning explains more than its end
                del spans[-excess:]
                self.dropped += excess
            else:
                del self._traces[oldest]
                self.dropped += len(spans)
