# SPDX-License-Identifier: Apache-2.0
"""
When to try again: the OTLP rules for statuses and waiting.

https://opentelemetry.io/docs/specs/otlp/#otlphttp-response: only 429, 502, 503
and 504 may be retried; ``Retry-After`` is honoured, else the waits grow
exponentially with jitter.
"""

from __future__ import annotations

import random

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

RETRYABLE: Final = frozenset((429, 502, 503, 504))
TOO_LARGE: Final = 413

FIRST_WAIT: Final = 0.5  # seconds
FACTOR: Final = 2.0
# A receiver that comes back after minutes finds us within this time; a
# try that meets a closed port costs no more than the connect.
LONGEST_WAIT: Final = 10.0
# A receiver that asks for more (a day, by a slip in its configuration) gets this much.
LONGEST_RETRY_AFTER: Final = 600.0


class Backoff:
    """Waits that double from half a second to ten seconds, each shortened by up to half at random."""

    __slots__ = ("_random", "_wait")

    def __init__(self) -> None:
        # Not the program's generator: its seeds and sequences are its own.
        self._random = random.Random()  # noqa: S311  # spreads load, guards nothing
        self._wait = FIRST_WAIT

    def next(self, retry_after: float | None = None) -> float:
        """Return how many seconds to wait now; what the receiver asks for wins."""
        wait = self._wait * self._random.uniform(0.5, 1.0)
        self._wait = min(self._wait * FACTOR, LONGEST_WAIT)
        if retry_after is not None:
            # Never earlier than asked; the jitter keeps a fleet from coming all at once.
            return min(retry_after, LONGEST_RETRY_AFTER) + wait * 0.1
        return wait

    def reset(self) -> None:
        """Start over after a success."""
        self._wait = FIRST_WAIT


def retry_after(value: str | None, now: float) -> float | None:
    """
    Return the seconds that a ``Retry-After`` header asks for, or None if it is absent or unreadable.

    Args:

        value: The header's text: whole seconds, or an HTTP date.

        now: The present, in seconds since the epoch.
    """
    if not value:
        return None
    value = value.strip()
    if value.isdecimal() and value.isascii():
        return float(value[:9])
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
