# SPDX-License-Identifier: Apache-2.0
"""
Who looks at the metrics, the program's own and those of spans, and hands them on as one?

A ``MetricReader`` of the SDK's for one exporter. It has no thread and no clock:
``gather()`` is called by whoever exports or serves.
"""

from __future__ import annotations

from time import time_ns

from opentelemetry.sdk.metrics import (
    Counter,
    Histogram,
    ObservableCounter,
    ObservableUpDownCounter,
    UpDownCounter,
)
from opentelemetry.sdk.metrics.export import AggregationTemporality, MetricReader, MetricsData, ResourceMetrics
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation

from tellwhy import diagnostics
from tellwhy.metrics.points import Look

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from opentelemetry.sdk.metrics.export import ScopeMetrics
    from opentelemetry.sdk.resources import Resource

    from tellwhy.metrics.spans import SpanMetrics

_CUMULATIVE, _DELTA = AggregationTemporality.CUMULATIVE, AggregationTemporality.DELTA
# https://opentelemetry.io/docs/specs/otel/metrics/sdk_exporters/otlp/#additional-environment-variable-configuration
_TEMPORALITY: dict[str, dict[type, AggregationTemporality]] = {
    "cumulative": {},
    "delta": {
        Counter: _DELTA,
        Histogram: _DELTA,
        ObservableCounter: _DELTA,
        UpDownCounter: _CUMULATIVE,
        ObservableUpDownCounter: _CUMULATIVE,
    },
    "lowmemory": {Counter: _DELTA, Histogram: _DELTA},
}


class Reader(MetricReader):
    """
    Gathers the metrics for one exporter.

    Args:

        spans: Counts spans; None if nobody does.

        resource: Returns who this process is.

        temporality: ``cumulative``, ``delta`` or ``lowmemory``.

        exponential: Buckets of the program's histograms that follow the values.
    """

    def __init__(
        self,
        spans: SpanMetrics | None,
        resource: Callable[[], Resource],
        *,
        temporality: str = "cumulative",
        exponential: bool = False,
    ) -> None:
        super().__init__(
            preferred_temporality=_TEMPORALITY[temporality],
            preferred_aggregation={Histogram: ExponentialBucketHistogramAggregation()} if exponential else None,
        )
        self._resource = resource
        self._look = None if spans is None else Look(spans, delta=temporality != "cumulative", started=time_ns())
        self._received: list[Any] = []

    def gather(self, timeout: float = 10.0) -> MetricsData | None:
        """Return everything as it is now; None if there is nothing. A callback that fails costs its metric only."""
        self._received = []
        try:
            self.collect(timeout_millis=timeout * 1000)
        except Exception as error:
            diagnostics.fault("the collection of metrics", error)
        found: list[ScopeMetrics] = []
        for data in self._received:
            for of_resource in data.resource_metrics:
                found += of_resource.scope_metrics
        self._received = []
        if self._look is not None:
            found += self._look.scope_metrics(time_ns())
        if not found:
            return None
        resource = self._resource()
        return MetricsData([ResourceMetrics(resource, found, resource.schema_url)])

    def after_fork_in_child(self, provider: Any) -> None:
        """Count from nothing: what the parent has counted is the parent's to tell."""
        self._received = []
        if self._look is not None:
            self._look.reset(time_ns())
        _forget_measurements(provider, self)

    def shutdown(self, timeout_millis: float = 30_000, **_: Any) -> None:
        """Do nothing: whoever called ``gather()`` stops."""

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_: Any) -> None:  # noqa: ARG002
        self._received.append(metrics_data)


def _forget_measurements(provider: Any, reader: Reader) -> None:
    """
    Give the reader an empty storage in the SDK's provider.

    The SDK keeps a parent's sums in a forked child, under the child's own
    resource, so that they would be counted once for each process.
    """
    import threading

    try:
        consumer = provider._measurement_consumer
        consumer._lock = threading.Lock()  # a thread of the parent may have held it
        consumer.remove_metric_reader(reader)
        consumer.add_metric_reader(reader)
    except Exception as error:
        diagnostics.debug(f"the SDK's metrics are not reset in a forked child: {error}", key="metrics-fork")
