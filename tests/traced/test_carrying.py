# SPDX-License-Identifier: Apache-2.0
"""Traced functions carried elsewhere: pickled, copied, patched, run in threads, forks and greenlets."""

from __future__ import annotations

import asyncio
import concurrent.futures
import copy
import json
import multiprocessing
import os
import pickle
import subprocess
import sys
import textwrap
import threading
from typing import Annotated
from unittest import mock

import pytest

from tellwhy.engine import active
from tellwhy.engine.provider import TracerProvider
from tellwhy.manual import SpanAttr, current_span_id, current_trace_id, span, traced


@traced("double", capture="all")
def double(number):
    return number * 2


@traced
class Shop:
    def price(self, number: Annotated[int, SpanAttr("n")]):
        return number


def run(program):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_pickle_and_copy(made):
    """A module-level traced function pickles by name, and copies are itself (case 41)."""
    assert pickle.loads(pickle.dumps(double)) is double
    assert copy.deepcopy(double) is double
    assert pickle.loads(pickle.dumps(Shop())).price(3) == 3
    assert made.names == ["Shop.price"]


def test_spawned_process():
    """A spawned process gets the function by name (case 41)."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(double, [1, 2]) == [2, 4]


def test_cloudpickle_carries_functions_of_main():
    """A traced function of ``__main__`` is taken apart by cloudpickle and works elsewhere, traced there (case 41)."""
    pytest.importorskip("cloudpickle")
    carried = run("""
        import asyncio, cloudpickle, sys
        from typing import Annotated
        from tellwhy import traced, SpanAttr
        from tellwhy.testing import capture_spans

        @traced("double", capture="all", attributes={"computed": lambda number: number + 1})
        def double(number): return number * 2
        @traced
        async def adouble(number: Annotated[int, SpanAttr("n")]): return number * 2
        @traced
        def steps(number):
            yield number * 2
        @traced
        async def asteps(number):
            yield number * 2
        with capture_spans():
            double(1)
            asyncio.run(adouble(1))
        sys.stdout.write(cloudpickle.dumps([double, adouble, steps, asteps]).hex())
    """)
    out = run(f"""
        import asyncio, pickle
        from tellwhy.testing import capture_spans
        double, adouble, steps, asteps = pickle.loads(bytes.fromhex("{carried}"))
        async def collect(): return [item async for item in asteps(4)]
        with capture_spans() as spans:
            assert (double(4), asyncio.run(adouble(4)), list(steps(4)), asyncio.run(collect())) == (8, 8, [8], [8])
        print(spans.tree("number", "computed", "n"))
    """)
    assert out.splitlines() == ["double number=4 computed=5", "adouble n=4", "steps", "asteps"]


def test_patching_in_tests(made, monkeypatch):
    """Traced functions can be patched, called and asked for the original below (case 52)."""
    assert double.__wrapped__(4) == 8
    assert made.names == []
    with mock.patch(f"{__name__}.double", autospec=True) as fake:
        fake.return_value = 5
        assert double(1) == 5
    monkeypatch.setattr(Shop, "price", lambda self, number: -1)
    assert Shop().price(1) == -1
    assert double(1) == 2
    assert made.names == ["double"]


def test_to_thread_keeps_the_parent(made):
    """``asyncio.to_thread`` carries the current span along; a bare thread starts a trace (case 42)."""

    async def main():
        with span("caller"):
            await asyncio.to_thread(double, 1)
            thread = threading.Thread(target=double, args=(2,))
            thread.start()
            thread.join()

    asyncio.run(main())
    parents = {one.attributes["number"]: made.parent_of(one) for one in made.spans if one.name == "double"}
    assert parents == {1: "caller", 2: None}


def test_threads_do_not_see_each_others_spans(made):
    """In many threads at once each call's span is its own thread's."""

    @traced
    def outer():
        own = current_span_id()
        for _ in range(20):
            double(1)
            assert current_span_id() == own
        return current_trace_id()

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        traces = [future.result() for future in [pool.submit(outer) for _ in range(40)]]
    assert len(set(traces)) == 40
    assert len(made.spans) == 40 * 21
    assert len({(one.context.trace_id, one.parent.span_id) for one in made.spans if one.parent}) == 40


def test_first_calls_from_many_threads_at_once():
    """Functions whose very first traced calls come from many threads at once capture in each of them."""
    import sys as system

    from tellwhy.testing import capture_spans

    interval = system.getswitchinterval()
    system.setswitchinterval(1e-6)
    try:
        with capture_spans() as spans, concurrent.futures.ThreadPoolExecutor(8) as pool:
            for _ in range(20):
                function = traced("first", capture="all")(lambda number: number)
                barrier = threading.Barrier(8)

                def call(number, function=function, barrier=barrier):
                    barrier.wait()
                    return function(number)

                assert list(pool.map(call, range(8))) == list(range(8))
    finally:
        system.setswitchinterval(interval)
    assert sorted(one.attributes["number"] for one in spans) == sorted([*range(8)] * 20)
    assert all("code.function.name" in one.attributes for one in spans)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_fork_while_a_span_is_open():
    """A forked child leaves the parent's open span to the parent; its new spans have it as parent (case 44)."""
    ended = []

    class Sink:
        def on_end(self, span):
            ended.append((span.name, span.parent and span.parent.span_id))

        def shutdown(self): ...

    provider = TracerProvider.lean({})
    provider.add_span_processor(Sink())
    active.activate(provider)
    readable, writable = os.pipe()
    with span("open") as parent:
        child = os.fork()
        if child == 0:
            try:
                double(1)
                parent.end()
            finally:
                os.write(writable, json.dumps(ended).encode())
                os._exit(0)
        os.waitpid(child, 0)
    in_child = json.loads(os.read(readable, 10_000))
    os.close(readable)
    os.close(writable)

    assert in_child == [["double", parent.get_span_context().span_id]]
    assert ended == [("open", None)]


def test_greenlets_do_not_see_each_others_spans():
    """Greenlets that take turns keep their own current spans (case 43)."""
    pytest.importorskip("gevent")
    out = run("""
        from gevent import monkey; monkey.patch_all()
        import gevent, warnings
        from tellwhy import traced, current_span_id
        from tellwhy.testing import capture_spans

        @traced
        def inner(): gevent.sleep(0.001)
        @traced
        def outer(number):
            own = current_span_id()
            for _ in range(3):
                inner()
                assert current_span_id() == own
        with capture_spans() as spans:
            gevent.joinall([gevent.spawn(outer, number) for number in range(5)], raise_error=True)
        assert len({span.trace_id for span in spans}) == 5
        print(spans.tree())
    """)
    assert out.splitlines() == ["outer x5", "  inner x3"]


def test_optimised_python():
    """With ``python -O`` the same spans are made (case 50)."""
    done = subprocess.run(
        [sys.executable, "-O", "-c", "from tellwhy import traced, testing\n"
         "with testing.capture_spans() as spans: traced(lambda: 1)()\nprint(spans.names)"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout == "['<lambda>']\n"


def test_subinterpreter():
    """In a subinterpreter traced functions work, each with its own tracing (case 50)."""
    interpreters = pytest.importorskip("_xxsubinterpreters" if sys.version_info < (3, 13) else "_interpreters")
    created = interpreters.create()
    try:
        interpreters.run_string(created, "from tellwhy.manual import traced; assert traced(lambda: 3)() == 3")
    finally:
        interpreters.destroy(created)
