# SPDX-License-Identifier: Apache-2.0
"""
How does delivery show itself to those who collect metrics? Under the OpenTelemetry SDK's own names.

https://opentelemetry.io/docs/specs/semconv/otel/sdk-metrics/. The counts are
read from the account when a reader asks; only durations are recorded as they happen.
"""

from __future__ import annotations

from itertools import count

from tellwhy._version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Final

    from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation

    from tellwhy.delivery.stats import Snapshot

_NEVER_SENT: Final = ("queue_full", "after_shutdown", "exit", "spool_full", "spool_expired", "spool_corrupt")
_numbers = count()


class SelfMetrics:
    """
    The instruments of one processor.

    Args:

        provider: Who collects.

        stats: Returns what became of the spans so far.

        capacity: The bound of the queue.
    """

    def __init__(self, provider: MeterProvider, stats: Callable[[], Snapshot], capacity: int) -> None:
        meter = provider.get_meter("tellwhy", __version__)
        self._stats = stats
        self._attributes = {
            "otel.component.type": "batching_span_processor",
            "otel.component.name": f"batching_span_processor/tellwhy-{next(_numbers)}",
        }
        size, capacity_name = "otel.sdk.processor.span.queue.size", "otel.sdk.processor.span.queue.capacity"
        meter.create_observable_up_down_counter(size, [self._queued], "{span}", "Spans in the queue.")
        meter.create_up_down_counter(capacity_name, "{span}", "The bound of the queue.").add(capacity, self._attributes)
        meter.create_observable_counter(
            "otel.sdk.processor.span.processed", [self._processed], "{span}", "Spans that have left the queue for good."
        )
        meter.create_observable_counter(
            "otel.sdk.exporter.span.exported", [self._exported], "{span}", "Spans that the exporter is done with."
        )
        self._duration = meter.create_histogram(
            "otel.sdk.exporter.operation.duration", "s", "How long one attempt to deliver a batch took."
        )

    def attempted(self, seconds: float, error: str | None) -> None:
        """Record one attempt."""
        self._duration.record(seconds, {**self._attributes, **({"error.type": "failed"} if error else {})})

    def _queued(self, _: CallbackOptions) -> Iterable[Observation]:
        yield self._observation(self._stats()["queued"])

    def _processed(self, _: CallbackOptions) -> Iterable[Observation]:
        stats = self._stats()
        yield self._observation(stats["delivered"] + stats["spooled"])
        for reason, number in stats["dropped"].items():
            yield self._observation(number, reason)

    def _exported(self, _: CallbackOptions) -> Iterable[Observation]:
        stats = self._stats()
        yield self._observation(stats["delivered"])
        for reason, number in stats["dropped"].items():
            if reason not in _NEVER_SENT:
                yield self._observation(number, reason)

    def _observation(self, value: int, error: str | None = None) -> Observation:
        from opentelemetry.metrics import Observation

        attributes: dict[str, Any] = dict(self._attributes)
        if error:
            attributes["error.type"] = error
        return Observation(value, attributes)
