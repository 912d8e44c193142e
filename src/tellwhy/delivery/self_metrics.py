# SPDX-License-Identifier: Apache-2.0
"""
How does delivery show itself to those who collect metrics? Under the OpenTelemetry SDK's own names.

https://opentelemetry.io/docs/specs/semconv/otel/sdk-metrics/. The counts are
read from the account when a reader asks; only durations are recorded as they
happen. What the processor and what the exporter did are two components there,
as they are in the SDK, so dashboards made for it show ours.
"""

from __future__ import annotations

import os
from itertools import count

from tellwhy._version import __version__
from tellwhy.delivery import stats as reasons
from tellwhy.delivery.signal import LOGS, TRACES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any, Final

    from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation

    from tellwhy.delivery.attempt import Attempt
    from tellwhy.delivery.signal import Signal
    from tellwhy.delivery.stats import Snapshot

ASKED_FOR: Final = "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"
"""The SDK's variable: true publishes these metrics through the global meter provider."""

# What never came as far as the exporter, by the words that the conventions have for it.
_NEVER_SENT: Final = {
    reasons.QUEUE_FULL: "queue_full",
    reasons.AFTER_SHUTDOWN: "already_shutdown",
    reasons.EXIT: "exit",
}
WORDS: Final = {TRACES: ("span", "{span}"), LOGS: ("log", "{log_record}")}
_numbers = count()


def asked_for() -> bool:
    """Tell whether the environment asks for the SDK's metrics of itself."""
    return os.environ.get(ASKED_FOR, "").strip().lower() == "true"


class SelfMetrics:
    """
    The instruments of one queue and its exporter.

    Args:

        provider: Who collects.

        signal: What is delivered: spans or log records.

        stats: Returns what became of them so far.

        capacity: The bound of the queue.

        exporter: The attributes that name the exporter; empty for one that is not ours and counts for itself.
    """

    def __init__(
        self,
        provider: MeterProvider,
        signal: Signal,
        stats: Callable[[], Snapshot],
        capacity: int,
        exporter: Mapping[str, Any],
    ) -> None:
        meter = provider.get_meter("tellwhy", __version__)
        word, unit = WORDS[signal]
        number = next(_numbers)
        self._stats = stats
        self._processor = _named(f"batching_{word}_processor", number)
        self._exporter = {**_named(exporter["otel.component.type"], number), **exporter} if exporter else {}
        counter, level = meter.create_observable_counter, meter.create_observable_up_down_counter
        level(f"otel.sdk.processor.{word}.queue.size", [self._queued], unit, "What waits in the queue.")
        level(f"otel.sdk.processor.{word}.queue.capacity", [lambda _: self._of_processor(capacity)], unit, "Its bound.")
        counter(
            f"otel.sdk.processor.{word}.processed", [self._processed], unit, "What was exported, or dropped before."
        )
        self._duration: Any = None
        if exporter:
            counter(f"otel.sdk.exporter.{word}.exported", [self._exported], unit, "What the exporter is done with.")
            level(f"otel.sdk.exporter.{word}.inflight", [self._inflight], unit, "What the exporter is not done with.")
            self._duration = meter.create_histogram(
                "otel.sdk.exporter.operation.duration", "s", "How long one attempt to deliver a batch took."
            )

    def attempted(self, seconds: float, attempt: Attempt) -> None:
        """Record one attempt: to us each is an operation of its own, for what fails goes back to the queue."""
        if self._duration is None:
            return
        attributes = dict(self._exporter)
        if attempt.kind:
            attributes["error.type"] = attempt.kind
            if attempt.kind.isdecimal():
                attributes["http.response.status_code"] = int(attempt.kind)
        self._duration.record(seconds, attributes)

    def _queued(self, _: CallbackOptions) -> Iterable[Observation]:
        stats = self._stats()
        return self._of_processor(stats["queued"] - stats["in_flight"])

    def _processed(self, _: CallbackOptions) -> Iterator[Observation]:
        stats = self._stats()
        yield from self._of_processor(_passed_on(stats))
        for reason, word in _NEVER_SENT.items():
            if reason in stats["dropped"]:
                yield from self._of_processor(stats["dropped"][reason], word)

    def _exported(self, _: CallbackOptions) -> Iterator[Observation]:
        stats = self._stats()
        yield from self._of_exporter(stats["delivered"])
        for reason, number in stats["dropped"].items():
            if reason not in _NEVER_SENT:
                yield from self._of_exporter(number, reason.removeprefix("http_"))

    def _inflight(self, _: CallbackOptions) -> Iterable[Observation]:
        stats = self._stats()
        return self._of_exporter(stats["in_flight"] + stats["spooled"])

    def _of_processor(self, value: int, error: str | None = None) -> Iterable[Observation]:
        return _observation(value, self._processor, error)

    def _of_exporter(self, value: int, error: str | None = None) -> Iterable[Observation]:
        return _observation(value, self._exporter, error)


def _passed_on(stats: Snapshot) -> int:
    """Return how many the exporter is done with, or keeps on disk: a count that never goes back."""
    sent = sum(number for reason, number in stats["dropped"].items() if reason not in _NEVER_SENT)
    passed: int = stats["delivered"] + stats["spooled"] + stats["folded"] + sent
    return passed


def _named(kind: str, number: int) -> dict[str, Any]:
    return {"otel.component.type": kind, "otel.component.name": f"{kind}/tellwhy-{number}"}


def _observation(value: int, attributes: Mapping[str, Any], error: str | None) -> Iterable[Observation]:
    from opentelemetry.metrics import Observation

    return (Observation(value, {**attributes, "error.type": error} if error else attributes),)
