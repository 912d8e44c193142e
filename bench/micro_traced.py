# SPDX-License-Identifier: Apache-2.0
"""
What does ``@traced`` cost? In all its forms, beside the plain call and OpenTelemetry's SDK (case 53).

``python bench/micro_traced.py [--json | --write]``: for each row the median of the rounds in CPU
time of the calling thread, which take turns, minus what the same work costs untraced. ``--write``
puts the table into docs/explanation/performance.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Callable
from typing import Annotated, Any

import page
from opentelemetry.sdk.trace import TracerProvider as SdkProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF as SDK_OFF
from opentelemetry.sdk.trace.sampling import ParentBased as SdkParentBased

from tellwhy.delivery import BatchSpanProcessor
from tellwhy.delivery.intake import Intake
from tellwhy.engine import active
from tellwhy.engine.provider import TracerProvider
from tellwhy.engine.samplers import DEFAULT_OFF
from tellwhy.manual import SpanAttr, annotate, current_trace_id, span, traced

ROUNDS = 11


class Nowhere:
    """A span processor that takes everything."""

    def on_end(self, span: Any) -> None:
        pass

    def shutdown(self) -> None:
        pass


def plain(a: int, b: int = 2) -> int:
    return a


def three(a: int, b: str, c: float = 1.5) -> int:
    return a


def captured(
    a: Annotated[int, SpanAttr("a")], b: Annotated[str, SpanAttr("b")], c: Annotated[float, SpanAttr("c")] = 1.5
) -> int:
    return a


async def coroutine() -> None:
    pass


def steps(count: int) -> Any:
    yield from range(count)


def loop(function: Callable[..., Any], *args: Any) -> Callable[[int], None]:
    def work(times: int) -> None:
        for _ in range(times):
            function(*args)

    return work


def awaiting(function: Callable[[], Any]) -> Callable[[int], None]:
    def work(times: int) -> None:
        async def main() -> None:
            for _ in range(times):
                await function()

        asyncio.run(main())

    return work


def stepping(function: Callable[[int], Any]) -> Callable[[int], None]:
    def work(times: int) -> None:
        for _ in function(times):
            pass

    return work


def block() -> None:
    with span("block"):
        pass


class Taken:
    """A span exporter that takes everything."""

    def export(self, spans: Any) -> None:
        pass

    def shutdown(self) -> None:
        pass


def lean(processor: Any = None, **options: Any) -> Any:
    provider = TracerProvider.lean({}, **options)
    provider.add_span_processor(processor or Nowhere())
    return provider


def delivering(cap: int = 0, open_spans: int = 0) -> Any:
    """A provider whose spans are queued and delivered, on another thread, to nobody."""
    queued = BatchSpanProcessor(Taken())
    return lean(Intake([queued], cap, open_spans) if cap or open_spans else queued)


def rows() -> list[tuple[str, float | None, Any, bool, Any, Any]]:
    """Return name, promised µs (None: no promise), provider, whether below a parent, the work, the same untraced."""
    on, out, official, official_out = (
        lean(),
        lean(sampler=DEFAULT_OFF),
        SdkProvider(shutdown_on_exit=False),
        SdkProvider(sampler=SdkParentBased(SDK_OFF), shutdown_on_exit=False),
    )
    otel, otel_out = official.get_tracer("x"), official_out.get_tracer("x")

    def otel_block() -> None:
        with otel.start_as_current_span("block"):
            pass

    def otel_out_block() -> None:
        with otel_out.start_as_current_span("block"):
            pass

    call, capture = traced(plain), traced(captured)
    calling, capturing = (loop(call, 1, 2), loop(plain, 1, 2)), (loop(capture, 1, "text"), loop(three, 1, "text"))
    return [
        ("not set up: a call", 0.25, None, False, *calling),
        ("not set up: a coroutine", 0.25, None, False, awaiting(traced(coroutine)), awaiting(coroutine)),
        ("not set up: `span()`", None, None, False, loop(block), loop(plain, 1)),
        ("sampled: a call", 3.5, on, True, *calling),
        (CAPTURED, None, on, True, *capturing),
        ("sampled: a coroutine", 3.5, on, True, awaiting(traced(coroutine)), awaiting(coroutine)),
        ("sampled: `span()`", None, on, True, loop(block), loop(plain, 1)),
        ("sampled: a generator's step", 0.8, on, True, stepping(traced(steps)), stepping(steps)),
        ("unsampled: a root call", 1.5, out, False, *calling),
        ("unsampled: a child call", 0.5, out, True, *calling),
        ("unsampled: a child call, three arguments marked for capture", 0.5, out, True, *capturing),
        ("`annotate(a=1)`", None, on, True, loop(lambda: annotate(a=1)), loop(lambda: None)),
        ("`current_trace_id()`", None, on, True, loop(current_trace_id), loop(plain, 1)),
        ("delivered: a call", None, delivering(), True, *calling),
        ("delivered: a call, spans of the trace counted", 4.0, delivering(cap=10**9), True, *calling),
        ("delivered: a call over the cap, folded", 4.0, delivering(cap=1), True, *calling),
        ("delivered: a call, open spans shown", None, delivering(cap=10**9, open_spans=5000), True, *calling),
        ("`@traced` on the SDK's provider, sampled", None, official, True, *calling),
        ("the SDK's own with-block, sampled", None, None, False, loop(otel_block), loop(plain, 1)),
        ("the SDK's own with-block, unsampled", None, None, False, loop(otel_out_block), loop(plain, 1)),
    ]


CAPTURED = "sampled: a call, three arguments captured"
CAPTURE_PROMISE = 0.6  # µs more than the same call without


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--write", action="store_true", help="put the table into the page on performance")
    arguments = parser.parse_args()
    measured = rows()
    times: dict[str, list[float]] = {name: [] for name, *_ in measured}
    for _ in range(ROUNDS):
        for name, _, provider, parent, work, untraced in measured:
            active.deactivate()
            if provider is not None:
                active.activate(provider)
            times[name].append(_measure(work, untraced, parent))
    figures = {name: statistics.median(found) for name, found in times.items()}
    promises = {name: promised for name, promised, *_ in measured}
    promises[CAPTURED] = figures["sampled: a call"] + CAPTURE_PROMISE
    if arguments.json:
        print(json.dumps(figures))
    elif arguments.write:
        page.put(page.PERFORMANCE, "traced", _table(figures, promises))
    else:
        for name, figure in figures.items():
            limit = promises[name]
            promised = "" if limit is None else f"  (at most {limit:.2f}{'' if figure <= limit else ', MISSED'})"
            print(f"{figure:8.2f} µs  {name}{promised}")


def _table(figures: dict[str, float], promises: dict[str, float | None]) -> str:
    lines = ["| | µs | at most |", "| --- | --: | --: |"]
    for name, figure in figures.items():
        limit = promises[name]
        lines.append(f"| {name} | {figure:.2f} | {'' if limit is None else f'{limit:.2f}'} |")
    return "\n".join([*lines, "", f"*{page.machine()}; median of {ROUNDS} rounds that take turns*"])


def _measure(work: Callable[[int], None], untraced: Callable[[int], None], parent: bool, times: int = 2000) -> float:
    if parent:
        with span("parent"):
            return _measure(work, untraced, False, times)
    work(10)
    start = time.thread_time_ns()
    work(times)
    middle = time.thread_time_ns()
    untraced(times)
    end = time.thread_time_ns()
    return ((middle - start) - (end - middle)) / times / 1000


if __name__ == "__main__":
    main()
