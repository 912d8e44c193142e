# SPDX-License-Identifier: Apache-2.0
"""What every peer's process does: read ``workload count``, do one round, answer seconds per operation."""

from __future__ import annotations

import gc
import json
import os
import sys
import time
import tracemalloc
from collections.abc import Callable
from contextvars import ContextVar

ENDPOINT = os.environ.get("BENCH_ENDPOINT", "http://127.0.0.1:4318")
_variable: ContextVar[int] = ContextVar("bench")

Work = Callable[[int], None]


def eight_attributes(number: int) -> dict[str, str | int]:
    """Return what a server's span says: most of it again and again, its path and order only once."""
    return {
        "http.request.method": "GET",
        "http.route": "/orders/<id>",
        "http.response.status_code": 200,
        "server.address": "shop.internal",
        "server.port": 8080,
        "url.path": f"/orders/{number}",
        "order.id": f"A-{number}",
        "network.protocol.version": "1.1",
    }


def _nothing() -> None:
    pass


def floor_call(count: int) -> None:
    for _ in range(count):
        _nothing()


def floor_context(count: int) -> None:
    for _ in range(count):
        token = _variable.set(1)
        _variable.reset(token)


def floor_clock(count: int) -> None:
    clock = time.time_ns
    for _ in range(count):
        clock()
        clock()


def _seconds(work: Work, count: int, clock: Callable[[], float]) -> float:
    gc.collect()
    started = clock()
    work(count)
    return (clock() - started) / count


def _memory(work: Work, count: int, flush: Callable[[], None]) -> float:
    flush()
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    work(count)
    gc.collect()
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return used / count


def serve(version: str, works: dict[str, Work], flush: Callable[[], None]) -> None:
    """
    Answer rounds until the parent closes the pipe.

    ``export`` is the CPU of all threads until everything was sent; ``memory``
    the bytes held per queued span; all others the calling thread's CPU.
    """
    works = {"made": works["export"], **works}
    works = {"floor_call": floor_call, "floor_context": floor_context, "floor_clock": floor_clock, **works}
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a peer prints is no answer
    print(json.dumps(version), file=answers, flush=True)
    for line in sys.stdin:
        name, count = line.split()
        work = works.get(name)
        figure: float | None
        if work is None:
            figure = None
        elif name == "export":

            def made_and_sent(count: int, work: Work = work) -> None:
                work(count)
                flush()

            figure = _seconds(made_and_sent, int(count), time.process_time)
        elif name == "memory":
            figure = _memory(work, int(count), flush)
        else:
            figure = _seconds(work, int(count), time.thread_time)
        flush()
        print(json.dumps(figure), file=answers, flush=True)
    os._exit(0)
