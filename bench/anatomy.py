# SPDX-License-Identifier: Apache-2.0
"""
Where does the time of a sampled span go? The steps that it consists of, each measured alone.

``python bench/anatomy.py [--write]``: CPU of the thread, the least of many
rounds, garbage collection off. What the steps do not explain are Python's calls
between them, and the decisions.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Callable
from time import perf_counter_ns, thread_time_ns, time_ns
from typing import Any

from growth import Nowhere
from page import PERFORMANCE, machine, put

from tellwhy.delivery import BatchSpanProcessor
from tellwhy.engine import TracerProvider
from tellwhy.engine.context import get_context, reset_context, set_context
from tellwhy.engine.current import CurrentSpan
from tellwhy.engine.ids import random_bits
from tellwhy.engine.span import Span

ROUNDS, TIMES = 300, 1_000

provider = TracerProvider.lean({"service.name": "bench"})
processor = BatchSpanProcessor(Nowhere(), 1_000_000, 600_000, 500_000, exit_budget_millis=1)
provider.add_span_processor(processor)
queue: Any = provider._core.queue
tracer: Any = provider.get_tracer("bench")
open_span: Any = tracer.start_span("open")


class Bare:
    """A context manager that does nothing: what ``with`` itself asks for."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


bare = Bare()


def whole() -> None:
    with tracer.start_as_current_span("checkout") as span:
        span.set_attribute("order.id", "A-17")
        span.set_attribute("order.items", 3)
        span.set_attribute("order.paid", True)


def attributes() -> None:
    open_span._attributes = {}
    open_span.set_attribute("order.id", "A-17")
    open_span.set_attribute("order.items", 3)
    open_span.set_attribute("order.paid", True)


def span_object() -> None:
    span = object.__new__(Span)
    span._core = span._scope = span._name = span._kind = span._trace_id = span._span_id = span._flags = None  # type: ignore[assignment]
    span._trace_state = span._parent = span._ctx = span._events = span._links = span._dropped = None  # type: ignore[assignment]
    span._status = span._end = span._record_exception = span._set_status_on_exception = None  # type: ignore[assignment]
    span._local_root = span._start = span._anchor = None  # type: ignore[assignment]
    span._attributes = {}


def context_manager() -> None:
    scope = CurrentSpan()
    scope.tracer = scope.name = scope.context = scope.kind = scope.attributes = None  # type: ignore[assignment]
    scope.links = scope.start_time = scope.record_exception = scope.set_status_on_exception = None  # type: ignore[assignment]
    scope.end_on_exit = scope.span = None  # type: ignore[assignment]


def context_switch() -> None:
    reset_context(set_context(get_context()))


def clocks() -> None:
    start = perf_counter_ns()
    time_ns() - start
    perf_counter_ns()


def ids() -> None:
    random_bits(128)
    random_bits(64)


def with_itself() -> None:
    with bare:
        pass


def queued() -> None:
    queue.append(None)
    len(queue)


STEPS: dict[str, Callable[[], None]] = {
    "three `set_attribute` calls": attributes,
    "the span: an object, its slots and its dict": span_object,
    "what `start_as_current_span` returns, which is the context as well": context_manager,
    "the context switched, and back": context_switch,
    "three clock reads": clocks,
    "random ids of trace and span": ids,
    "the `with` statement's own two calls": with_itself,
    "the queue": queued,
}


def least(work: Callable[[], None]) -> float:
    best = sys.maxsize
    for _ in range(ROUNDS):
        start = thread_time_ns()
        for _ in range(TIMES):
            work()
        best = min(best, thread_time_ns() - start)
        queue.clear()
    return best / TIMES / 1000


def nothing() -> None:
    pass


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into the performance page")
    options = parser.parse_args()
    gc.disable()
    call = least(nothing)  # each step is a function here, and is none in a span
    total = least(whole) - call
    steps = {name: least(work) - call for name, work in STEPS.items()}
    steps["calls between them, and decisions: the rest"] = total - sum(steps.values())
    lines = ["| step | µs | share |", "|---|---:|---:|"]
    lines += [f"| {name} | {value:.2f} | {value / total:.0%} |" for name, value in steps.items()]
    lines += [f"| **all of it** | {total:.2f} | |", "", f"{machine()}; the least of {ROUNDS} rounds."]
    table = "\n".join(lines)
    print(table)
    if options.write:
        put(PERFORMANCE, "anatomy", table)
    processor.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
