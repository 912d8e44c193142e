"""Our histograms beside the SDK's own, with any values."""

from __future__ import annotations

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.metrics._internal.exponential_histogram.mapping.logarithm_mapping import LogarithmMapping

from tellwhy.metrics.durations import MILLISECOND, OVERFLOW, Durations
from tellwhy.metrics.histograms import MAX_SIZE, Explicit, Exponential

DURATIONS = st.lists(st.integers(0, 10**13), min_size=1, max_size=300)


@given(DURATIONS, DURATIONS)
def test_explicit_buckets(first: list[int], second: list[int]) -> None:
    """A value on a bound is in the bucket below; what came since a copy is the difference."""
    bounds = (10, 1_000, 10**6, 10**9)
    histogram = Explicit(bounds)
    histogram.add_all(first)
    before = histogram.copy()
    histogram.add_all(second)
    since = histogram.minus(before)

    expected = [0] * (len(bounds) + 1)
    for value in first + second:
        expected[bisect_left(bounds, value)] += 1
    assert histogram.buckets == expected
    assert (since.count, since.sum, sum(since.buckets)) == (len(second), sum(second), len(second))
    assert (histogram.count, histogram.min, histogram.max) == (
        len(first) + len(second),
        min(first + second),
        max(first + second),
    )


@given(DURATIONS)
def test_exponential_buckets_are_the_sdks(values: list[int]) -> None:
    """At the scale that came out, every value is in the bucket that the SDK's mapping gives it; never too many."""
    histogram = Exponential(MILLISECOND)
    histogram.add_all(values)
    first, counts = histogram.dense()

    assert len(counts) <= MAX_SIZE
    assert histogram.zero_count == values.count(0)
    assert sum(counts) + histogram.zero_count == histogram.count == len(values)
    expected: dict[int, int] = {}
    if histogram.scale > 0:
        mapping = LogarithmMapping(histogram.scale)
        for value in filter(None, values):
            index = mapping.map_to_index(value / MILLISECOND)
            expected[index] = expected.get(index, 0) + 1
        # At a bound, two ways to take a logarithm may differ by the last bit.
        ours = {first + place: count for place, count in enumerate(counts) if count}
        assert sum(abs(ours.get(index, 0) - expected.get(index, 0)) for index in {*ours, *expected}) <= 2


@given(DURATIONS, DURATIONS)
def test_exponential_difference(first: list[int], second: list[int]) -> None:
    """What came since a copy is exactly what a histogram of it alone, at that scale, would say."""
    histogram = Exponential(MILLISECOND)
    histogram.add_all(first)
    before = histogram.copy()
    histogram.add_all(second)
    since = histogram.minus(before)
    alone = Exponential(MILLISECOND)
    alone.add_all(second)
    if alone.scale > since.scale:
        alone._shrink(alone.scale - since.scale)

    assert (since.count, since.sum, since.zero_count) == (alone.count, alone.sum, alone.zero_count)
    assert since.dense() == alone.dense()


@pytest.mark.parametrize("most", [1, 3])
def test_series_are_bounded(most: int, capfd: pytest.CaptureFixture[str]) -> None:
    """Beyond the bound everything is counted in one series, marked, and said once; nothing is lost."""
    durations = Durations("d", "ms", "", lambda: Explicit((1,)), most)
    for key in range(10):
        durations.series(key, lambda key=key: {"key": key}).pending.append(5)  # type: ignore[misc]
    found = durations.collect()

    assert [series.attributes for series in found] == [*({"key": key} for key in range(most)), {OVERFLOW: True}]
    assert sum(series.histogram.count for series in found) == 10
    assert capfd.readouterr().err.count("combinations of attributes") == 1
