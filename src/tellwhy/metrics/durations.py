# SPDX-License-Identifier: Apache-2.0
"""
How long did things take, told apart by a few attributes? One metric, its series, and their bound.

Whoever counts appends to a series' ``pending``, which is one step of the
interpreter and needs no lock. What is pending is folded into the histogram when
there is enough of it, or when somebody looks.
"""

from __future__ import annotations

import threading
from collections import deque

from tellwhy import diagnostics
from tellwhy.metrics.histograms import Explicit, Exponential

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from typing import Any, Final, TypeAlias

    Histogram: TypeAlias = Explicit | Exponential
    Attributes: TypeAlias = dict[str, Any]
    # A duration in ns, or with it: trace id, span id, time in ns since the epoch.
    Pending: TypeAlias = int | tuple[int, int, int, int]

MOST_SERIES: Final = 2000  # the specification's default limit of cardinality
FOLD_AT: Final = 256
OVERFLOW: Final = "otel.metric.overflow"
MILLISECOND: Final = 1_000_000  # in nanoseconds
SECOND: Final = 1_000_000_000


class Series:
    """One combination of attributes: its histogram, and for each bucket the latest measurement inside a kept trace."""

    __slots__ = ("attributes", "exemplars", "histogram", "pending")

    def __init__(self, attributes: Attributes, histogram: Histogram) -> None:
        self.attributes = attributes
        self.histogram = histogram
        self.exemplars: dict[int, tuple[int, int, int, int]] = {}
        self.pending: deque[Pending] = deque()


class Durations:
    """
    One metric of durations.

    Args:

        name: Its name.

        unit: ``ms`` or ``s``.

        description: What it says, for people.

        make: Makes an empty histogram.

        most: The most series; what comes then is counted in one more, marked ``otel.metric.overflow``.
    """

    def __init__(
        self, name: str, unit: str, description: str, make: Callable[[], Histogram], most: int = MOST_SERIES
    ) -> None:
        self.name = name
        self.unit = unit
        self.description = description
        self.per_unit = MILLISECOND if unit == "ms" else SECOND
        self._make = make
        self._most = most
        self.reset()

    def reset(self) -> None:
        """Forget everything: a forked child counts from nothing."""
        self.known: dict[Hashable, Series] = {}
        self.overflow: Series | None = None
        self._lock = threading.Lock()

    def series(self, key: Hashable, attributes: Callable[[], Attributes]) -> Series:
        """Return the series of a key, making it if there is room; ``attributes`` says what it stands for."""
        found = self.known.get(key)
        if found is not None:
            return found
        with self._lock:
            found = self.known.get(key)
            if found is None and len(self.known) < self._most:
                found = self.known[key] = Series(attributes(), self._make())
            if found is None:
                found = self._overflow()
            return found

    def fold(self, series: Series) -> None:
        """Count what is pending."""
        with self._lock:
            self._fold(series)

    def collect(self) -> list[Series]:
        """Return all series, with everything counted that was there at the call."""
        with self._lock:
            every = [*self.known.values(), *((self.overflow,) if self.overflow else ())]
            for series in every:
                self._fold(series)
            return every

    def _fold(self, series: Series) -> None:
        pending, add, exemplars = series.pending, series.histogram.add, series.exemplars
        for _ in range(len(pending)):
            item = pending.popleft()
            if type(item) is int:
                add(item)
            else:
                exemplars[add(item[0])] = item  # type: ignore[index,assignment]  # the other kind

    def _overflow(self) -> Series:
        if self.overflow is None:
            self.overflow = Series({OVERFLOW: True}, self._make())
            diagnostics.warn(
                f"{self.name}: more than {self._most} combinations of attributes; "
                f"what is new from here on is counted together, marked {OVERFLOW}"
            )
        return self.overflow
