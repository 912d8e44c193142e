# SPDX-License-Identifier: Apache-2.0
"""Traced coroutines, and plain functions whose result is still to come."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import gc
import inspect
import logging
import sys
import types
import warnings

import pytest
from opentelemetry.trace import StatusCode, get_current_span

from tellwhy.manual import current_span_id, span, traced


def current():
    return getattr(get_current_span(), "name", None)


@traced
async def work(seconds=0.0):
    await asyncio.sleep(seconds)
    return current()


def test_coroutine_function_stays_one(made):
    """An async function stays one; the span is current in it, across awaits, and not after (case 4)."""
    assert inspect.iscoroutinefunction(work)
    assert asyncio.iscoroutinefunction(work)

    async def main():
        with span("caller"):
            return await work(), current()

    assert asyncio.run(main()) == ("work", "caller")
    assert made.parent_of(made["work"]) == "caller"


def test_span_covers_the_time_of_other_tasks(made):
    """The span lasts while the coroutine waits, also when others run meanwhile (case 4)."""

    async def main():
        await asyncio.gather(work(0.02), work(0.03), work(0.01))
        assert current() is None

    asyncio.run(main())
    durations = sorted(one.end_time - one.start_time for one in made.spans)
    assert all(took >= least for took, least in zip(durations, (0.009e9, 0.019e9, 0.029e9), strict=True))


def test_cancelled_task_is_no_error(made):
    """A cancelled task's span is ended without error, and the cancellation goes on (case 5)."""

    async def main():
        task = asyncio.create_task(work(10))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    asyncio.run(main())
    assert made["work"].status.status_code is StatusCode.UNSET
    assert made["work"].attributes["cancelled"] is True
    assert made["work"].events == ()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.timeout came with Python 3.11")
def test_timeout_is_an_error(made):
    """A TimeoutError of ``asyncio.timeout`` is an error; what it cancelled is not (case 6)."""

    @traced
    async def limited():
        async with asyncio.timeout(0.01):
            await work(10)

    with pytest.raises(TimeoutError):
        asyncio.run(limited())
    assert made["limited"].status.status_code is StatusCode.ERROR
    assert made["limited"].attributes["error.type"] == "TimeoutError"
    assert made["work"].attributes["cancelled"] is True


def test_coroutine_never_awaited(made):
    """A coroutine that is never awaited makes no span, and Python warns of it by its own name."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        work()
        gc.collect()

    assert ["coroutine 'work' was never awaited" in str(warning.message) for warning in caught] == [True]
    assert made.names == []


def test_coroutine_closed_half_way(made):
    """A coroutine that is closed while it waits ends its span without error."""

    @types.coroutine
    def wait():
        yield

    @traced("waiting")
    async def waiting():
        await wait()

    coroutine = waiting()
    coroutine.send(None)
    coroutine.close()

    assert made["waiting"].status.status_code is StatusCode.UNSET
    assert current() is None


def test_function_that_returns_a_coroutine(made):
    """A plain function that returns a coroutine: the span ends when that has been awaited (case 21)."""

    async def answer():
        await asyncio.sleep(0)
        return current()

    @traced("ask")
    def ask():
        return answer()

    async def main():
        coroutine = ask()
        assert inspect.iscoroutine(coroutine)
        assert coroutine.__name__ == "answer"
        assert (current(), made.names) == (None, [])
        return await coroutine

    assert asyncio.run(main()) == "ask"
    assert made.names == ["ask"]


def test_returned_coroutine_fails(made):
    """An exception of a returned coroutine is recorded, and a task made of it is cancelled cleanly (case 21)."""

    async def answer(error):
        await asyncio.sleep(0)
        raise error

    @traced("ask")
    def ask(error):
        return answer(error)

    with pytest.raises(ValueError, match="no"):
        asyncio.run(ask(ValueError("no")))
    assert made["ask"].attributes["error.type"] == "ValueError"


def test_returned_coroutine_never_awaited(made):
    """A returned coroutine that is dropped: one warning by its own name, and an unfinished span (case 21)."""

    async def answer(): ...

    @traced("ask")
    def ask():
        return answer()

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ask()
        gc.collect()

    assert [str(warning.message) for warning in caught] == [f"coroutine '{answer.__qualname__}' was never awaited"]
    assert made["ask"].attributes["unfinished"] is True


def test_function_that_returns_a_task(made):
    """The span ends when the returned task is done; the same task comes back (case 22)."""

    @traced("start")
    def start():
        started.append(asyncio.get_running_loop().create_task(work(0.01)))
        return started[0]

    started = []

    async def main():
        task = start()
        assert task is started[0]
        assert current() is None
        assert made.names == []
        assert await task == "work"
        await asyncio.sleep(0)

    asyncio.run(main())
    assert made.names == ["work", "start"]
    assert made.parent_of(made["work"]) == "start"


def test_returned_task_is_cancelled(made):
    """A returned task that is cancelled leaves a cancelled span (case 22)."""

    @traced("start")
    def start():
        return asyncio.get_running_loop().create_task(asyncio.sleep(10))

    async def main():
        task = start()
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await asyncio.sleep(0)

    asyncio.run(main())
    assert made["start"].attributes["cancelled"] is True
    assert made["start"].status.status_code is StatusCode.UNSET


def test_returned_future_fails_and_asyncio_still_says_so(made, caplog):
    """A failed future marks the span, and asyncio still complains that nobody asked for the error (case 22)."""

    @traced("start")
    def start():
        future = asyncio.get_running_loop().create_future()
        future.set_exception(ValueError("lost"))
        return future

    async def main():
        start()
        await asyncio.sleep(0.01)
        gc.collect()

    with caplog.at_level(logging.ERROR, "asyncio"):
        asyncio.run(main())
    assert made["start"].attributes["error.type"] == "ValueError"
    assert ["never retrieved" in record.message for record in caplog.records] == [True]


def test_function_that_returns_a_pool_future(made):
    """The span ends when the pool has done the work; its result can be looked at (case 22)."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:

        @traced("submit", result=lambda value: {"answer": value})
        def submit(value):
            return pool.submit(lambda: value)

        future = submit(42)
        assert isinstance(future, concurrent.futures.Future)
        assert future.result() == 42

        with pytest.raises(ZeroDivisionError):
            traced("fails")(lambda: pool.submit(lambda: 1 / 0))().result()

    assert made["submit"].attributes["answer"] == 42
    assert made["fails"].attributes["error.type"] == "ZeroDivisionError"


def test_async_callables(made):
    """Async ``__call__``, partials and bound methods of async functions are traced as async (case 24)."""

    class Client:
        async def __call__(self):
            return current()

        async def get(self, path):
            return current()

    client = Client()
    calls = [(traced(client), ()), (traced(functools.partial(client.get, "/")), ()), (traced(client.get), ("/",))]
    assert all(inspect.iscoroutinefunction(one) for one, _ in calls)
    assert [asyncio.run(one(*args)) for one, args in calls] == ["Client", "Client.get", "Client.get"]


def test_awaiting_many_times_is_flat(made):
    """Spans of coroutines awaited in one another nest, and leave nothing behind."""

    @traced
    async def level(depth):
        if depth:
            await level(depth - 1)
        return current_span_id()

    asyncio.run(level(20))
    assert len(made.spans) == 21
    assert current() is None
