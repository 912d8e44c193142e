# SPDX-License-Identifier: Apache-2.0
"""
What does ``@traced`` cost? In all its forms, beside the plain call and OpenTelemetry's SDK.

``python bench/micro_traced.py [--json]``: for each row the median of the rounds in CPU time,
which take turns, minus what the same work costs untraced.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Callable
from typing import Annotated, Any

from opentelemetry.sdk.trace import TracerProvider as SdkProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF as SDK_OFF
from opentelemetry.sdk.trace.sampling import ParentBased as SdkParentBased

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


def lean(**options: Any) -> Any:
    provider = TracerProvider.lean({}, **options)
    provider.add_span_processor(Nowhere())
    return provider


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()

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
    # name, budget in µs (None: no promise), provider, a parent around?, the work, the same work untraced
    rows: list[tuple[str, float | None, Any, bool, Any, Any]] = [
        ("off: call", 0.25, None, False, loop(call, 1, 2), loop(plain, 1, 2)),
        ("off: coroutine", 0.5, None, False, awaiting(traced(coroutine)), awaiting(coroutine)),
        ("off: span()", None, None, False, loop(block), loop(plain, 1)),
        ("sampled: call", 3.5, on, True, loop(call, 1, 2), loop(plain, 1, 2)),
        ("sampled: call, three arguments captured", 4.1, on, True, loop(capture, 1, "text"), loop(three, 1, "text")),
        ("sampled: coroutine", 3.5, on, True, awaiting(traced(coroutine)), awaiting(coroutine)),
        ("sampled: span()", None, on, True, loop(block), loop(plain, 1)),
        ("sampled: a generator's step", 0.8, on, True, stepping(traced(steps)), stepping(steps)),
        ("unsampled: root call", 1.5, out, False, loop(call, 1, 2), loop(plain, 1, 2)),
        ("unsampled: child call", 0.5, out, True, loop(call, 1, 2), loop(plain, 1, 2)),
        ("unsampled: child call with captures", 0.5, out, True, loop(capture, 1, "text"), loop(three, 1, "text")),
        ("sampled: annotate(a=1)", None, on, True, loop(lambda: annotate(a=1)), loop(lambda: None)),
        ("sampled: current_trace_id()", None, on, True, loop(current_trace_id), loop(plain, 1)),
        ("SDK's own with-block, sampled", None, None, False, loop(otel_block), loop(plain, 1)),
        ("SDK's own with-block, unsampled", None, None, False, loop(otel_out_block), loop(plain, 1)),
        ("@traced on the SDK, sampled", None, official, True, loop(call, 1, 2), loop(plain, 1, 2)),
    ]
    times: dict[str, list[float]] = {name: [] for name, *_ in rows}
    for _ in range(ROUNDS):
        for name, _, provider, parent, work, untraced in rows:
            active.deactivate()
            if provider is not None:
                active.activate(provider)
            times[name].append(_measure(work, untraced, parent))
    figures = {name: statistics.median(measured) for name, measured in times.items()}
    if arguments.json:
        print(json.dumps(figures))
        return
    for name, budget, *_ in rows:
        promised = "" if budget is None else f"  (budget {budget}{'' if figures[name] <= budget else ', MISSED'})"
        print(f"{figures[name]:8.2f} µs  {name}{promised}")


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
