# SPDX-License-Identifier: Apache-2.0
"""
What does a span cost? On the program's thread, on the worker that encodes it, and in memory.

``python bench/micro_engine.py [--json FILE] [--quick]``: the same work with our
engine and with opentelemetry-sdk, in interleaved rounds of one process, so that a
noisy machine is noisy for both. Each figure is the median of the rounds, each
ratio the median of the rounds' ratios. Beside them stands the floor: what the
interpreter alone asks for the steps that no tracer can do without.
"""

from __future__ import annotations

import argparse
import collections
import contextvars
import gc
import json
import platform
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, sampling
from opentelemetry.sdk.trace import TracerProvider as SdkProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.version import __version__ as sdk_version

from tellwhy.delivery.otlp import encoder
from tellwhy.engine import TracerProvider
from tellwhy.engine.context import enter, leave
from tellwhy.engine.samplers import ALWAYS_OFF, ParentBased

Work = Callable[[], Any]
BOUND = 2048
RESOURCE = {"service.name": "bench", "service.version": "1.0", "host.name": "bench"}


class Queue(SpanProcessor):
    """The simplest bounded queue, the same for both engines."""

    def __init__(self) -> None:
        self.spans: collections.deque[Any] = collections.deque(maxlen=BOUND)

    def on_end(self, span: Any) -> None:
        self.spans.append(span)


class Nowhere(SpanExporter):
    """An exporter that takes everything, for the SDK's own batch processor."""

    def export(self, spans: Any) -> SpanExportResult:
        return SpanExportResult.SUCCESS


class Case(NamedTuple):
    """One line of the table: the same work for both, done ``times`` times by one call."""

    name: str
    ours: Work
    sdks: Work
    times: int = 1
    target: float | None = None  # µs
    of_floor: tuple[str, ...] = ()


def our_tracer(sampler: Any = None, processor: Any = None) -> Any:
    provider = TracerProvider.lean(RESOURCE, sampler=sampler)
    provider.add_span_processor(processor or Queue())
    return provider.get_tracer("bench", "1.0")


def sdk_tracer(sampler: Any = None, processor: Any = None) -> Any:
    provider = SdkProvider(sampler=sampler, resource=Resource(RESOURCE), shutdown_on_exit=False)
    provider.add_span_processor(processor or Queue())
    return provider.get_tracer("bench", "1.0")


# -- the work -----------------------------------------------------------------------


def create(tracer: Any) -> Work:
    def work() -> None:
        span = tracer.start_span("work")
        span.set_attribute("order.id", 12345)
        span.set_attribute("order.kind", "express")
        span.set_attribute("order.total", 99.5)
        span.end()

    return work


def create_current(tracer: Any) -> Work:
    def work() -> None:
        with tracer.start_as_current_span("work") as span:
            span.set_attribute("order.id", 12345)
            span.set_attribute("order.kind", "express")
            span.set_attribute("order.total", 99.5)

    return work


def create_with_attributes(tracer: Any) -> Work:
    def work() -> None:
        with tracer.start_as_current_span(
            "work", attributes={"order.id": 12345, "order.kind": "express", "order.total": 99.5}
        ):
            pass

    return work


def below(parent: Any, work: Work, times: int = 20) -> Work:
    """Do the work so many times with the parent current."""

    def all_of_it() -> None:
        token = enter(parent)
        for _ in range(times):
            work()
        leave(token, parent)

    return all_of_it


def empty_span(tracer: Any) -> Work:
    def work() -> None:
        with tracer.start_as_current_span("work"):
            pass

    return work


def eight_attributes(number: int) -> dict[str, Any]:
    return {
        "http.request.method": "GET",
        "url.path": f"/api/orders/{number}",
        "http.response.status_code": 200,
        "server.address": "shop.example",
        "server.port": 8080,
        "user.id": f"user-{number * 7}",
        "cache.hit": number % 2 == 0,
        "db.seconds": number / 7,
    }


def finished(make: Callable[..., Any], count: int) -> list[Any]:
    queue = Queue()
    tracer = make(processor=queue)
    with tracer.start_as_current_span("root"):
        for number in range(count):
            with tracer.start_as_current_span("GET /api/orders/{id}", attributes=eight_attributes(number)):
                pass
    return list(queue.spans)[:count]


def cases() -> list[Case]:
    ours, sdks = our_tracer(), sdk_tracer()
    off, sdk_off = our_tracer(ParentBased(ALWAYS_OFF)), sdk_tracer(sampling.DEFAULT_OFF)
    batched = sdk_tracer(processor=BatchSpanProcessor(Nowhere()))
    root, sdk_root = ours.start_span("root"), sdks.start_span("root")
    off_root, sdk_off_root = off.start_span("root"), sdk_off.start_span("root")
    spans, sdk_spans = finished(our_tracer, 512), finished(sdk_tracer, 512)
    create_floor = ("call", "two clock reads")
    current_floor = ("call", "two clock reads", "contextvar switch")
    return [
        Case("span: create, 3 set_attribute, end, queue", create(ours), create(sdks), 1, 4.0, create_floor),
        Case("the same, SDK with its BatchSpanProcessor", create(ours), create(batched), 1, 4.0, create_floor),
        Case("the same as current span", create_current(ours), create_current(sdks), 1, 4.0, current_floor),
        Case(
            "the same as current span, 3 attributes at start",
            create_with_attributes(ours),
            create_with_attributes(sdks),
            1,
            4.0,
            current_floor,
        ),
        Case(
            "the same as a child",
            below(root, create_current(ours)),
            below(sdk_root, create_current(sdks)),
            20,
            4.0,
            current_floor,
        ),
        Case("root that is not sampled", empty_span(off), empty_span(sdk_off), 1, None, current_floor),
        Case(
            "child of an unsampled parent",
            below(off_root, empty_span(off)),
            below(sdk_off_root, empty_span(sdk_off)),
            20,
            1.0,
            ("call",),
        ),
        Case(
            "the same by begin() / start_span()",
            below(off_root, lambda: off.begin("work")),
            below(sdk_off_root, lambda: sdk_off.start_span("work")),
            20,
            0.5,
            ("call",),
        ),
        Case("get_current_span", below(root, trace.get_current_span), below(sdk_root, trace.get_current_span), 20),
        Case(
            "set_attribute",
            lambda: root.set_attribute("order.id", 12345),
            lambda: sdk_root.set_attribute("order.id", 12345),
        ),
        Case(
            "encode a span of 8 attributes",
            lambda: encoder.encode(spans),
            lambda: encode_spans(sdk_spans).SerializeToString(),
            512,
            5.0,
        ),
    ]


def floor() -> dict[str, Work]:
    variable: contextvars.ContextVar[Any] = contextvars.ContextVar("bench")
    clock = time.perf_counter_ns

    def nothing() -> None:
        pass

    def call() -> None:
        nothing()

    def switch() -> None:
        variable.reset(variable.set(None))

    def clocks() -> None:
        clock()
        clock()

    return {"call": call, "contextvar switch": switch, "two clock reads": clocks}


# -- measuring ----------------------------------------------------------------------


def timed(work: Work, loops: int) -> float:
    """Return the time of one call, in µs."""
    start = time.perf_counter_ns()
    for _ in range(loops):
        work()
    return (time.perf_counter_ns() - start) / loops / 1000


def compare(rounds: int) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """Return the floor, and a row for each case."""
    all_cases, floors = cases(), floor()
    nothing: list[float] = []
    of_floor: dict[str, list[float]] = {name: [] for name in floors}
    times: dict[str, tuple[list[float], list[float]]] = {case.name: ([], []) for case in all_cases}
    gc.collect()
    gc.freeze()
    for turn in range(rounds):
        nothing.append(timed(lambda: None, 2000))
        for name, work in floors.items():
            of_floor[name].append(timed(work, 2000))
        for case in all_cases:
            loops = max(1, 300 // case.times)
            pair = [(case.ours, times[case.name][0]), (case.sdks, times[case.name][1])]
            for work, measured in pair if turn % 2 else reversed(pair):
                measured.append(timed(work, loops) / case.times)
    gc.unfreeze()
    # A measured function is called itself: that is not part of the other floors.
    base = {name: statistics.median(of_floor[name]) - statistics.median(nothing) for name in floors}
    rows = []
    for case in all_cases:
        mine, theirs = times[case.name]
        rows.append(
            {
                "name": case.name,
                "ours_us": statistics.median(mine),
                "sdk_us": statistics.median(theirs),
                "ratio": statistics.median([b / a for a, b in zip(mine, theirs, strict=True)]),
                "target_us": case.target,
                "floor_us": sum(base[name] for name in case.of_floor) or None,
            }
        )
    return base, rows


def memory(make: Callable[..., Any], count: int = 2000) -> float:
    """Return the bytes that one queued span with 8 attributes holds, values included."""
    queue = Queue()
    tracer = make(processor=queue)
    with tracer.start_as_current_span("root"):
        for phase in range(2):  # the first fills caches
            queue.spans.clear()
            gc.collect()
            if phase:
                tracemalloc.start()
                before = tracemalloc.get_traced_memory()[0]
            for number in range(count):
                with tracer.start_as_current_span("GET /api/orders/{id}", attributes=eight_attributes(number)):
                    pass
    gc.collect()
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return held / len(queue.spans)


# -- telling ------------------------------------------------------------------------


def tell(report: dict[str, Any]) -> None:
    print(f"{report['python']}, opentelemetry-sdk {report['sdk']}; medians of {report['rounds']} rounds, µs\n")
    print("floor: " + ", ".join(f"{name} {value:.3f}" for name, value in report["floor"].items()) + "\n")
    print(f"{'':50} {'ours':>8} {'SDK':>8} {'ratio':>7} {'target':>7} {'floor':>7}")
    for row in report["rows"]:
        target = "" if row["target_us"] is None else f"{row['target_us']:.1f}"
        of_floor = "" if row["floor_us"] is None else f"{row['floor_us']:.2f}"
        print(
            f"{row['name']:50} {row['ours_us']:8.2f} {row['sdk_us']:8.2f} {row['ratio']:6.1f}x {target:>7} {of_floor:>7}"
        )
    held = report["memory"]
    print(
        f"{'memory of a queued span of 8 attributes, bytes':50} {held['ours']:8.0f} {held['sdk']:8.0f} "
        f"{held['sdk'] / held['ours']:6.1f}x"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1] if __doc__ else None)
    parser.add_argument("--json", metavar="FILE", help="write the figures there, too")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: to see that it runs")
    options = parser.parse_args()
    rounds = 5 if options.quick else 60
    floors, rows = compare(rounds)
    report = {
        "python": f"Python {platform.python_version()} on {platform.machine()}",
        "sdk": sdk_version,
        "rounds": rounds,
        "floor": floors,
        "rows": rows,
        "memory": {"ours": memory(our_tracer), "sdk": memory(sdk_tracer)},
    }
    tell(report)
    if options.json:
        Path(options.json).write_text(json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
