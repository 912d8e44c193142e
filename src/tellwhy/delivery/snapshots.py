# SPDX-License-Identifier: Apache-2.0
"""
How is a span seen before it ends? From time to time a copy is sent of what is still open, marked as unfinished.

The copy has the ids of the span, which replaces it when it has ended: whoever
shows traces keeps the one that is finished, else the one that ends last. Copies are
sent by the courier's own thread, after what had ended before and before what
ends later, so that no copy comes after its span.

A copy is no span in the sense of law 2: it is counted apart (``snapshots``), and
none is tried again, for the span itself is still to come.
"""

from __future__ import annotations

import os
from collections import deque
from time import monotonic, perf_counter_ns
from weakref import ref

from tellwhy.delivery.leaving import fork
from tellwhy.delivery.leaving.open_spans import UNFINISHED
from tellwhy.delivery.signal import TRACES
from tellwhy.delivery.stats import empty
from tellwhy.engine.span import Span
from tellwhy.engine.span_data import SpanData

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Final

    from tellwhy.delivery.attempt import Attempt
    from tellwhy.delivery.leaving.budget import Budget
    from tellwhy.delivery.stats import Snapshot

_MOST_STARTED: Final = 65_536  # since the last look; of more, the first are seen when they have ended
_MOST_SENT: Final = 512  # copies at a time, the oldest spans first
_SHORTEST_TURN: Final = 0.05  # seconds
_NEVER: Final = float("inf")


class OpenSpans:
    """
    The sampled spans that are open in this process; takes part in the exit.

    Args:

        interval: How long a span is open before it is sent the first time, in
            seconds. Later it is sent when it has changed, or is open for twice as long.
    """

    signal = TRACES
    has_said_why = False
    when_started: Callable[[], None] | None = None

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self._senders: list[Sender] = []
        self._is_known_to_sleep = True
        self.after_fork_in_child()
        fork.register(self)

    def after_fork_in_child(self) -> None:
        """Forget everything: what was open is the parent's."""
        # Weak, for not every span ends: it must not stay in memory for our sake.
        self._started: deque[ref[Span]] = deque(maxlen=_MOST_STARTED)
        self._open: dict[int, ref[Span]] = {}  # those that were open at the last look
        self._pid = os.getpid()
        for sender in self._senders:
            sender.reset()
        self._is_known_to_sleep = True

    def sent_by(self, call: Callable[[], None]) -> Sender:
        """Return what one courier sends; ``call`` wakes its thread."""
        sender = Sender(self, call)
        self._senders.append(sender)
        return sender

    def on_start(self, span: Any, parent_context: Any = None) -> None:  # noqa: ARG002 - a processor's
        """Note a span that starts. Its end is not noted but seen: that costs nothing per span."""
        if type(span) is Span and span._flags & 1:
            self._started.append(ref(span))
            if self._is_known_to_sleep:
                self._is_known_to_sleep = False
                for sender in self._senders:
                    sender.call()

    def sleep(self) -> bool:
        """Tell whether nothing is open, so that a sender may sleep until it is called."""
        self._is_known_to_sleep = True  # first: who starts a span after the look below calls
        if self._open or self._started:
            self._is_known_to_sleep = False
        return self._is_known_to_sleep

    def now(self) -> Iterator[Span]:
        """Yield what is open, the oldest first, and forget what is not."""
        if os.getpid() != self._pid:  # a fork that did not reach us
            self.after_fork_in_child()
        known = self._open
        while self._started:
            reference = self._started.popleft()
            span = reference()
            if span is not None and span._end is None:
                known[span._span_id] = reference
        for number, reference in list(known.items()):
            span = reference()
            if span is None or span._end is not None:
                known.pop(number, None)
            else:
                yield span

    # ------------------------------------------------- as a member of the exit

    def force_flush(self, timeout_millis: float | None = None) -> bool:  # noqa: ARG002
        """Do nothing: what is open is not to be delivered."""
        return True

    def leave(self, budget: Budget) -> None:
        """Do nothing: what was open has been ended and marked."""

    def shutdown(self) -> None:
        """Send no more."""
        self._started.clear()
        self._open.clear()

    def stats(self) -> Snapshot:
        """Return how many copies were sent, and how many did not arrive."""
        snapshot = empty()
        snapshot["snapshots"] = sum(sender.sent for sender in self._senders)
        snapshot["snapshots_failed"] = sum(sender.failed for sender in self._senders)
        return snapshot


class Sender:
    """What one courier sends of the open spans, and when; asked on the courier's thread only."""

    def __init__(self, spans: OpenSpans, call: Callable[[], None]) -> None:
        self.call = call
        self._spans = spans
        self.reset()

    def reset(self) -> None:
        """Start afresh."""
        self.sent = 0
        self.failed = 0
        self._due = _NEVER
        self._known: dict[int, tuple[int, Any]] = {}  # by span id: when it was sent, and how it was

    def wait(self, longest: float | None) -> float | None:
        """Return how long the courier may sleep, which wants to sleep so long itself; None until it is called."""
        if self._spans.sleep():
            self._due = _NEVER
            return longest
        now = monotonic()
        if self._due == _NEVER:
            self._due = now + self._spans.interval
        left = max(_SHORTEST_TURN / 10, self._due - now)
        return left if longest is None else min(left, longest)

    def is_due(self) -> bool:
        """Tell whether it is time to look again."""
        return monotonic() >= self._due

    def take(self) -> list[Span]:
        """Return copies of the spans that are to be sent now."""
        # Half the interval: a span is seen after one and a half of it at the latest.
        self._due = monotonic() + max(_SHORTEST_TURN, self._spans.interval / 2)
        before, self._known = self._known, {}
        copies: list[Span] = []
        for span in self._spans.now():
            known = before.get(span._span_id)
            if len(copies) < _MOST_SENT and self._is_due(span, known) and (copy := _copy(span)) is not None:
                copies.append(copy)
                known = (perf_counter_ns(), _state(copy))
            if known is not None:
                self._known[span._span_id] = known
        return copies

    def settle(self, number: int, attempt: Attempt) -> None:
        """Account for copies that were sent, or not."""
        self.sent += attempt.delivered
        self.failed += number - attempt.delivered

    def _is_due(self, span: Span, known: tuple[int, Any] | None) -> bool:
        now, interval = perf_counter_ns(), self._spans.interval * 1e9
        if known is None:
            return now - span._start >= interval
        sent, state = known
        if now - sent < interval:
            return False
        return now - span._start >= 2 * (sent - span._start) or _state(span) != state


def _copy(span: Span) -> Span | None:
    """Return the span as it stands, as if it ended now, marked as unfinished; None if it has ended."""
    span.get_span_context()  # from here on somebody knows of it: it is not folded
    if span._end is not None:
        return None
    copy = Span.__new__(Span)
    for slot in SpanData.__slots__:
        value = getattr(span, slot, None)
        if value is not None or slot != "_has_children":
            setattr(copy, slot, value)
    copy._attributes = {**span._attributes, UNFINISHED: True}
    if span._events is not None:
        copy._events = list(span._events)
    copy._end = perf_counter_ns()
    return copy


def _state(span: Span) -> Any:
    """Return what tells whether a span has changed, apart from the mark."""
    attributes = dict(span._attributes)  # one step: the program may be setting some at this moment
    attributes.pop(UNFINISHED, None)
    return attributes, len(span._events or ()), len(span._links), span._name, span._status
