# SPDX-License-Identifier: Apache-2.0
"""
What do metrics of spans cost a span, and what does a scrape?

``python bench/micro_metrics.py [--write]``: the same spans through two providers
of our engine, one that counts them and one that does not, in rounds that take
turns. What stands is the median of the rounds' differences: CPU of the calling
thread, the folding of what is pending included.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import page
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import SpanKind

from tellwhy.delivery import BatchSpanProcessor
from tellwhy.engine.provider import TracerProvider
from tellwhy.metrics import openmetrics
from tellwhy.metrics.reader import Reader
from tellwhy.metrics.spans import SpanMetrics
from tellwhy.sampling.head import ALWAYS_OFF, ALWAYS_ON, TraceIdRatioBased

ROUNDS = 60
SPANS = 2000
PAGE = Path(__file__).parent.parent / "docs" / "how-to" / "metrics.md"
HTTP = {"http.request.method": "GET", "url.scheme": "http", "http.route": "/", "http.response.status_code": 200}


class Exporter:
    """Takes spans, and keeps none."""

    def export(self, spans: Any) -> None:
        """Nothing: a success."""

    def shutdown(self) -> None:
        """Nothing."""


def work_of(
    counting: SpanMetrics | None, sampler: Any, scope: str, attributes: dict[str, Any] | None
) -> Callable[[], float]:
    """Return what makes spans and says the µs that each took."""
    provider = TracerProvider.lean({}, sampler=sampler)
    for one in (*((counting,) if counting else ()), BatchSpanProcessor(Exporter(), max_queue_size=100_000)):
        provider.add_span_processor(one)
    start = provider.get_tracer(scope).start_span

    def work() -> float:
        began = time.thread_time_ns()
        for _ in range(SPANS):
            start("GET /item", None, SpanKind.SERVER, attributes).end()
        return (time.thread_time_ns() - began) / SPANS / 1000

    return work


def recorded(scope: str) -> tuple[Callable[[], float], Callable[[], float]]:
    """Return spans without and with counting; always recorded, so that the difference is the counting alone."""
    attributes = HTTP if scope.startswith("tellwhy.patchers.") else None
    return work_of(None, ALWAYS_ON, scope, attributes), work_of(SpanMetrics("bench"), ALWAYS_ON, scope, attributes)


def unsampled() -> tuple[Callable[[], float], Callable[[], float]]:
    return work_of(None, ALWAYS_OFF, "bench", None), work_of(SpanMetrics("bench"), ALWAYS_OFF, "bench", None)


def at_one_percent() -> tuple[Callable[[], float], Callable[[], float]]:
    sampler = TraceIdRatioBased(0.01)
    return work_of(None, sampler, "bench", None), work_of(SpanMetrics("bench"), sampler, "bench", None)


def difference(pair: tuple[Callable[[], float], Callable[[], float]]) -> tuple[float, float]:
    """Return what a span costs without, and what counting adds: medians of rounds that take turns."""
    without, counted = pair
    without(), counted()
    plain, added = [], []
    for _ in range(ROUNDS):
        one, other = without(), counted()
        plain.append(one)
        added.append(other - one)
    return statistics.median(plain), statistics.median(added)


def scraped() -> float:
    """Return the ms that a page of 100 series takes."""
    spans = SpanMetrics("bench")
    provider = TracerProvider.lean({})
    provider.add_span_processor(spans)
    for number in range(100):
        provider.get_tracer("bench").start_span(f"span {number}").end()
    reader = Reader(spans, lambda: Resource({}))
    MeterProvider([reader], Resource({}), shutdown_on_exit=False)
    times = []
    for _ in range(20):
        began = time.thread_time_ns()
        data = reader.gather()
        assert data is not None
        families = openmetrics.families(data.resource_metrics[0].scope_metrics)
        openmetrics.render(openmetrics.add([(True, families)]), [], openmetrics=True)
        times.append((time.thread_time_ns() - began) / 1e6)
    return statistics.median(times)


ROWS: dict[str, tuple[float | None, Callable[[], tuple[Callable[[], float], Callable[[], float]]]]] = {
    "a sampled span, counted by name, kind and status": (0.8, lambda: recorded("bench")),
    "the same, and by the conventions' attributes": (None, lambda: recorded("tellwhy.patchers.flask")),
    "a span of a trace at 1 %: made, so that it can be counted": (None, at_one_percent),
    "an unsampled span: made, so that it can be counted": (None, unsampled),
}


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--write", action="store_true", help="put the figures into the page")
    write = parser.parse_args().write
    lines = ["| | without, µs | added, µs | at most |", "| --- | --: | --: | --: |"]
    for name, (budget, make) in ROWS.items():
        plain, added = difference(make())
        lines.append(f"| {name} | {plain:.2f} | {added:.2f} | {'' if budget is None else budget} |")
    lines += ["", f"A page of 100 series: {scraped():.1f} ms.", "", f"*{page.machine()}; median of {ROUNDS} rounds*"]
    print("\n".join(lines))
    if write:
        page.put(PAGE, "metrics", "\n".join(lines))


if __name__ == "__main__":
    main()
