# SPDX-License-Identifier: Apache-2.0
"""
Is the receiver failing, when is it tried again, and what has been said about it?

After three failures in a row the circuit is open: from then on one small
batch at a time asks whether the receiver is back. What is said is a change of
state: one line when spans cannot be delivered, one when they can again.
"""

from __future__ import annotations

from time import monotonic

from tellwhy import diagnostics
from tellwhy.delivery.otlp.retry import Backoff

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from tellwhy.delivery.attempt import Attempt

FAILURES_TO_OPEN: Final = 3
PROBE_SIZE: Final = 16  # spans: lost if the receiver says no for good, sent twice if it hangs
# A receiver that comes and goes every second must not fill a terminal.
QUIET_AFTER_LINE: Final = 10.0


class Outage:
    """The state of one receiver, from the answers to our attempts."""

    def __init__(self, destination: str, *, kept: str, noun: str = "spans") -> None:
        self.destination = destination
        self._noun = noun
        self._kept = kept
        self._backoff = Backoff()
        self._last_line = float("-inf")
        self.reset()

    def reset(self) -> None:
        """Forget the failures: a forked child judges for itself."""
        self.failures = 0
        self.retry_at = 0.0  # 0: at the next regular turn
        self.asks_for_patience = False
        self.asked_to_wait = False
        self.said = False
        self._since = 0.0
        self._delivered_before = 0
        self._lost_before = 0
        self._backoff.reset()

    @property
    def is_open(self) -> bool:
        """Whether the receiver has failed so often that it is only probed."""
        return self.failures >= FAILURES_TO_OPEN

    @property
    def is_failing(self) -> bool:
        """Whether the latest attempt failed."""
        return self.failures > 0

    def failed(self, attempt: Attempt, lost: int) -> None:
        """Note a failed attempt: count it, choose when to try again, say so if it is news."""
        now = monotonic()
        if not self.failures:
            self._since = now
            # What this very attempt lost belongs to the outage.
            self._lost_before = lost - sum(attempt.dropped.values())
        self.failures += 1
        self.asks_for_patience = attempt.answered and not attempt.refused
        self.asked_to_wait = attempt.retry_after is not None
        wait = self._backoff.next(attempt.retry_after)
        # One refused batch says nothing about the next one; three in a row do.
        self.retry_at = 0.0 if attempt.refused and not self.is_open else now + wait
        if (self.is_open or attempt.refused) and not self.said and now - self._last_line >= QUIET_AFTER_LINE:
            self.said = True
            self._last_line = now
            diagnostics.note(self._opening(attempt))

    def _opening(self, attempt: Attempt) -> str:
        if attempt.refused:
            return f"{self.destination} does not take {self._noun}: {attempt.error}; they are dropped and counted"
        return f"cannot deliver {self._noun} to {self.destination}: {attempt.error}; {self._kept}"

    def succeeded(self) -> None:
        """Note that the receiver has taken a batch."""
        self.failures = 0
        self.retry_at = 0.0
        self._backoff.reset()

    def over(self, kept: int, lost: int) -> None:
        """Say that the outage is over, if it was said that there is one. ``kept`` were delivered late."""
        if not self.said:
            return
        self.said = False
        now = monotonic()
        self._last_line = now
        diagnostics.note(
            f"{self._noun} are delivered to {self.destination} again after {now - self._since:.0f} s: "
            f"{kept} delivered late, {lost - self._lost_before} lost"
        )
