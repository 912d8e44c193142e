# SPDX-License-Identifier: Apache-2.0
"""
How are durations counted into buckets? By bounds that are given, or by ones that follow the values.

Both count whole nanoseconds and only ever grow; what came since an earlier look
is ``minus()`` it. https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponentialhistogram
"""

from __future__ import annotations

from bisect import bisect_left
from math import ceil, log2

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

MAX_SIZE: Final = 160  # buckets of an exponential histogram, as in the specification
MAX_SCALE: Final = 20


class Explicit:
    """
    A histogram whose buckets end at given bounds, which belong to the bucket below them.

    Args:

        bounds: In nanoseconds, rising.
    """

    __slots__ = ("bounds", "buckets", "count", "max", "min", "sum")

    def __init__(self, bounds: tuple[int, ...]) -> None:
        self.bounds = bounds
        self.buckets = [0] * (len(bounds) + 1)
        self.count = 0
        self.sum = 0
        self.min: int | None = None
        self.max: int | None = None

    def add_all(self, values: list[int]) -> None:
        """Count values."""
        if not values:
            return
        bounds, buckets = self.bounds, self.buckets
        for value in values:
            buckets[bisect_left(bounds, value)] += 1
        self.count += len(values)
        self.sum += sum(values)
        self.min = min(values) if self.min is None else min(self.min, min(values))
        self.max = max(values) if self.max is None else max(self.max, max(values))

    def bucket_of(self, value: int) -> int:
        """Return the bucket that a value belongs to."""
        return bisect_left(self.bounds, value)

    def copy(self) -> Explicit:
        """Return the histogram as it is now."""
        copy = Explicit(self.bounds)
        copy.buckets = self.buckets[:]
        copy.count, copy.sum, copy.min, copy.max = self.count, self.sum, self.min, self.max
        return copy

    def minus(self, before: Explicit) -> Explicit:
        """Return what came since an earlier copy; its least and greatest value are not known."""
        since = Explicit(self.bounds)
        since.buckets = [now - then for now, then in zip(self.buckets, before.buckets, strict=True)]
        since.count, since.sum = self.count - before.count, self.sum - before.sum
        return since


class Exponential:
    """
    A histogram whose bounds are powers of 2 ** 2 ** -scale; the scale shrinks as the range of values grows.

    Args:

        unit: The unit of the exported values, in nanoseconds: the buckets are those of values in it.
    """

    __slots__ = ("buckets", "count", "max", "min", "scale", "sum", "unit", "zero_count")

    def __init__(self, unit: int) -> None:
        self.unit = unit
        self.scale = MAX_SCALE
        self.buckets: dict[int, int] = {}
        self.zero_count = 0
        self.count = 0
        self.sum = 0
        self.min: int | None = None
        self.max: int | None = None

    def add_all(self, values: list[int]) -> None:
        """Count values."""
        for value in values:
            self._add(value)

    def bucket_of(self, value: int) -> int:
        """Return a number that values near this one share, whatever the scale: of the powers of 2."""
        return ceil(log2(value / self.unit)) if value > 0 else -(1 << 10)

    def _add(self, value: int) -> None:
        self.count += 1
        self.sum += value
        if self.min is None or value < self.min:
            self.min = value
        if self.max is None or value > self.max:
            self.max = value
        if value <= 0:
            self.zero_count += 1
            return
        index = ceil(log2(value / self.unit) * 2.0**self.scale) - 1
        if self.buckets:
            low, high = min(min(self.buckets), index), max(max(self.buckets), index)
            shift = 0
            while (high >> shift) - (low >> shift) >= MAX_SIZE:
                shift += 1
            if shift:
                self._shrink(shift)
                index >>= shift
        self.buckets[index] = self.buckets.get(index, 0) + 1

    def dense(self) -> tuple[int, list[int]]:
        """Return the index of the first bucket, and the counts from there on."""
        if not self.buckets:
            return 0, []
        first = min(self.buckets)
        counts = [0] * (max(self.buckets) - first + 1)
        for index, count in self.buckets.items():
            counts[index - first] = count
        return first, counts

    def copy(self) -> Exponential:
        """Return the histogram as it is now."""
        copy = Exponential(self.unit)
        copy.scale, copy.buckets, copy.zero_count = self.scale, dict(self.buckets), self.zero_count
        copy.count, copy.sum, copy.min, copy.max = self.count, self.sum, self.min, self.max
        return copy

    def minus(self, before: Exponential) -> Exponential:
        """Return what came since an earlier copy; its least and greatest value are not known."""
        since = self.copy()
        before = before.copy()
        before._shrink(before.scale - since.scale)
        since.buckets = {
            index: left for index, count in since.buckets.items() if (left := count - before.buckets.get(index, 0))
        }
        since.zero_count -= before.zero_count
        since.count, since.sum = since.count - before.count, since.sum - before.sum
        since.min = since.max = None
        return since

    def _shrink(self, shift: int) -> None:
        merged: dict[int, int] = {}
        for index, count in self.buckets.items():
            merged[index >> shift] = merged.get(index >> shift, 0) + count
        self.buckets = merged
        self.scale -= shift
