# SPDX-License-Identifier: Apache-2.0
"""
Does a span's price stay the same as things grow? Spans in a trace, threads, tasks, spans in the queue.

``python bench/growth.py [--write]``: CPU of the whole process per span, less that
of the same loops, threads and tasks without spans; medians of interleaved rounds.
The provider is the one that setup builds, with its own queue.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from page import PERFORMANCE, machine, put

from tellwhy.delivery import BatchSpanProcessor
from tellwhy.engine import TracerProvider

Work = Callable[[], Any]
BOUND = 2048
_FOREVER = 600_000


class Nowhere:
    """An exporter that takes everything."""

    def export(self, spans: Any) -> Any:
        from opentelemetry.sdk.trace.export import SpanExportResult

        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        pass

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return True


class Nothing:
    """Stands for a tracer and a span where the work is measured without them."""

    def __enter__(self) -> Nothing:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def start_as_current_span(self, name: str) -> Nothing:
        return self

    def set_attribute(self, key: str, value: Any) -> None:
        pass


def tracer_of(queue_size: int) -> tuple[Any, BatchSpanProcessor]:
    """Return a tracer whose processor never finds the time to export, and the processor."""
    provider = TracerProvider.lean({"service.name": "bench"})
    processor = BatchSpanProcessor(
        Nowhere(),
        max_queue_size=queue_size,
        max_export_batch_size=queue_size,
        schedule_delay_millis=_FOREVER,
        exit_budget_millis=1,
    )
    provider.add_span_processor(processor)
    return provider.get_tracer("bench"), processor


def per_trace(tracer: Any, size: int, spans: int) -> Work:
    def work() -> None:
        for _ in range(max(1, spans // size)):
            with tracer.start_as_current_span("root"):
                for _ in range(size - 1):
                    with tracer.start_as_current_span("child") as span:
                        span.set_attribute("n", 1)

    return work


def in_threads(tracer: Any, count: int, spans: int) -> Work:
    def one() -> None:
        for _ in range(spans // count):
            with tracer.start_as_current_span("work") as span:
                span.set_attribute("n", 1)

    def work() -> None:
        threads = [threading.Thread(target=one) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return work


def in_tasks(tracer: Any, count: int, spans: int) -> Work:
    async def one() -> None:
        for _ in range(spans // count // 10):
            with tracer.start_as_current_span("outer"):
                await asyncio.sleep(0)
                for _ in range(9):
                    with tracer.start_as_current_span("work") as span:
                        span.set_attribute("n", 1)

    async def all_of_them() -> None:
        await asyncio.gather(*(one() for _ in range(count)))

    return lambda: asyncio.run(all_of_them())


def one_by_one(tracer: Any, spans: int) -> Work:
    def work() -> None:
        for _ in range(spans):
            with tracer.start_as_current_span("work") as span:
                span.set_attribute("n", 1)

    return work


def cpu_per_span(work: Work, without: Work, spans: int) -> float:
    """Return the CPU time of a span, in µs."""
    times = []
    for each in (work, without):
        start = time.process_time_ns()
        each()
        times.append(time.process_time_ns() - start)
    return (times[0] - times[1]) / spans / 1000


def below_and_at_the_bound(spans: int) -> dict[str, float]:
    """Return the price of a span while the queue has room, and while it is at its bound and the oldest makes room."""
    figures = {}
    for name, size in (("below its bound", spans * 2), ("at its bound", BOUND)):
        tracer, processor = tracer_of(size)
        if size == BOUND:
            one_by_one(tracer, BOUND)()
            processor._queue.attend_at(BOUND + 1)  # as while the courier is busy with an outage
        figures[name] = cpu_per_span(one_by_one(tracer, spans), one_by_one(Nothing(), spans), spans)
        processor._queue.clear()
        processor.shutdown()
    return figures


def measure(spans: int, rounds: int) -> dict[str, dict[str, float]]:
    """Return ``what grows -> how many -> µs per span``."""
    kinds: dict[str, tuple[Callable[[Any, int, int], Work], tuple[int, ...]]] = {
        "spans in a trace": (per_trace, (1, 10, 100, 1_000, 10_000)),
        "threads": (in_threads, (1, 4, 16, 64)),
        "asyncio tasks": (in_tasks, (1, 10, 100, 1_000)),
    }
    tracer, processor = tracer_of(spans * 4)
    samples: dict[str, dict[str, list[float]]] = {}
    for _ in range(rounds):
        for what, (make, numbers) in kinds.items():
            for number in numbers:
                figure = cpu_per_span(make(tracer, number, spans), make(Nothing(), number, spans), spans)
                samples.setdefault(what, {}).setdefault(f"{number:,}", []).append(figure)
                processor._queue.clear()
        for name, figure in below_and_at_the_bound(spans).items():
            samples.setdefault("queue", {}).setdefault(name, []).append(figure)
    processor.shutdown()
    return {what: {name: statistics.median(values) for name, values in rows.items()} for what, rows in samples.items()}


def as_markdown(figures: dict[str, dict[str, float]], about: str) -> str:
    lines = ["| what grows | µs per span |", "|---|---|"]
    lines += [
        f"| {what} | {', '.join(f'{name}: {value:.2f}' for name, value in rows.items())} |"
        for what, rows in figures.items()
    ]
    return "\n".join([*lines, "", about])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--spans", type=int, default=20_000)
    parser.add_argument("--write", action="store_true", help="put the table into the performance page")
    options = parser.parse_args()
    figures = measure(options.spans, options.rounds)
    table = as_markdown(figures, f"{machine()}; medians of {options.rounds} rounds of {options.spans:,} spans.")
    print(table)
    if options.write:
        put(PERFORMANCE, "growth", table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
