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
    # Duration in ns, trace id, span id, time in ns since the epoch.
    Measurement: TypeAlias = tuple[int, int, int, int]

MOST_SERIES: Final = 2000  # the specification's default limit of cardinality
FOLD_AT: Final = 256
OVERFLOW: Final = "otel.metric.overflow"
MILLISECOND: Final = 1_000_000  # in nanoseconds
SECOND: Final = 1_000_000_000


class Series:
    """
    One combination of attributes.

    Attributes:

        pending: Durations in ns that are not in the histogram yet.

        latest, slowest: Of what is pending, two that were measured in kept traces:
            spans of our engine, or measurements. They are for the exemplars.

        peak: The duration of the slowest.

        exemplars: For each bucket the measurement that was chosen last.
    """

    __slots__ = ("attributes", "exemplars", "histogram", "latest", "peak", "pending", "slowest")

    def __init__(self, attributes: Attributes, histogram: Histogram) -> None:
        self.attributes = attributes
        self.histogram = histogram
        self.pending: deque[int] = deque()
        self.latest: Any = None
        self.slowest: Any = None
        self.peak = 0
        self.exemplars: dict[int, Measurement] = {}

    def note(self, duration: int, kept: Any) -> None:
        """Let a duration wait for its bucket; ``kept`` is the span or measurement if its trace is kept, else None."""
        self.pending.append(duration)
        if kept is not None:
            self.latest = kept
            if duration >= self.peak:
                self.peak = duration
                self.slowest = kept


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
        take = series.pending.popleft
        histogram = series.histogram
        histogram.add_all([take() for _ in range(len(series.pending))])
        slowest, latest = series.slowest, series.latest
        series.slowest = series.latest = None
        series.peak = 0
        for one in (slowest, latest):
            if one is not None:
                item = one if type(one) is tuple else _measurement(one)
                series.exemplars[histogram.bucket_of(item[0])] = item

    def _overflow(self) -> Series:
        if self.overflow is None:
            self.overflow = Series({OVERFLOW: True}, self._make())
            diagnostics.warn(
                f"{self.name}: more than {self._most} combinations of attributes; "
                f"what is new from here on is counted together, marked {OVERFLOW}"
            )
        return self.overflow


def _measurement(span: Any) -> Measurement:
    """Return what a span of our engine says, once it has ended."""
    return span._end - span._start, span._trace_id, span._span_id, span._end + span._anchor
