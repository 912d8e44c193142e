# SPDX-License-Identifier: Apache-2.0
"""How do our own counts become the SDK's metrics, which every exporter understands?"""

from __future__ import annotations

from opentelemetry.sdk.metrics._internal.exemplar import Exemplar
from opentelemetry.sdk.metrics._internal.point import Buckets
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Histogram as HistogramData
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from tellwhy._version import __version__
from tellwhy.metrics.histograms import Exponential
from tellwhy.metrics.spans import CALLS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tellwhy.metrics.durations import Durations, Histogram, Series
    from tellwhy.metrics.spans import SpanMetrics


class Look:
    """
    One reader's view of what spans have counted: everything, or what is new since it looked last.

    Args:

        spans: Who counts.

        delta: Whether each look shows only what is new.

        started: When counting began, in ns since the epoch.
    """

    def __init__(self, spans: SpanMetrics, *, delta: bool, started: int) -> None:
        self._spans = spans
        self._delta = delta
        self.reset(started)

    def reset(self, started: int) -> None:
        """Begin anew, in a forked child."""
        self._since = started
        self._before: dict[tuple[str, int], Histogram] = {}

    def scope_metrics(self, now: int) -> list[ScopeMetrics]:
        """Return the metrics as of now, in ns since the epoch; none if nothing was counted."""
        metrics: list[Metric] = []
        for durations in self._spans.metrics:
            found = [
                (series, histogram)
                for series in durations.collect()
                if (histogram := self._seen(durations, series)).count
            ]
            if found and durations is self._spans.durations:
                metrics.append(self._calls(found, now))
            if found:
                metrics.append(self._durations(durations, found, now))
        if self._delta:
            self._since = now
        if not metrics:
            return []
        return [ScopeMetrics(InstrumentationScope("tellwhy", __version__), metrics, "")]

    @property
    def _temporality(self) -> AggregationTemporality:
        return AggregationTemporality.DELTA if self._delta else AggregationTemporality.CUMULATIVE

    def _seen(self, durations: Durations, series: Series) -> Histogram:
        histogram = series.histogram.copy()
        if not self._delta:
            return histogram
        key = durations.name, id(series)
        before: Any = self._before.get(key)
        self._before[key] = histogram
        return histogram if before is None else histogram.minus(before)

    def _calls(self, found: list[tuple[Series, Histogram]], now: int) -> Metric:
        points = [
            NumberDataPoint(series.attributes, self._since, now, histogram.count, self._exemplars(series, None))
            for series, histogram in found
        ]
        return Metric(CALLS, "How many spans have ended.", "", Sum(points, self._temporality, True))

    def _durations(self, durations: Durations, found: list[tuple[Series, Histogram]], now: int) -> Metric:
        unit = durations.per_unit
        points: list[Any] = [self._point(series, histogram, unit, now) for series, histogram in found]
        data: Any = ExponentialHistogram if isinstance(found[0][1], Exponential) else HistogramData
        return Metric(durations.name, durations.description, durations.unit, data(points, self._temporality))

    def _point(self, series: Series, histogram: Any, unit: int, now: int) -> Any:
        common = {
            "attributes": series.attributes,
            "start_time_unix_nano": self._since,
            "time_unix_nano": now,
            "count": histogram.count,
            "sum": histogram.sum / unit,
            "min": None if histogram.min is None else histogram.min / unit,
            "max": None if histogram.max is None else histogram.max / unit,
            "exemplars": self._exemplars(series, unit),
        }
        if not isinstance(histogram, Exponential):
            bounds = [bound / unit for bound in histogram.bounds]
            return HistogramDataPoint(**common, bucket_counts=histogram.buckets, explicit_bounds=bounds)
        offset, counts = histogram.dense()
        return ExponentialHistogramDataPoint(
            **common,
            scale=histogram.scale,
            zero_count=histogram.zero_count,
            positive=Buckets(offset, counts),
            negative=Buckets(0, []),
            flags=0,
        )

    def _exemplars(self, series: Series, unit: int | None) -> list[Exemplar]:
        """Return what was measured in kept traces since the start or the last look; for a count the latest, as 1."""
        fresh = [item for item in list(series.exemplars.values()) if item[3] >= self._since or not self._delta]
        if unit is None:
            latest = max(fresh, key=lambda item: item[3], default=None)
            return [] if latest is None else [Exemplar({}, 1, latest[3], latest[2], latest[1])]
        return [Exemplar({}, item[0] / unit, item[3], item[2], item[1]) for item in fresh]
