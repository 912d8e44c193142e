# SPDX-License-Identifier: Apache-2.0
"""Traced generators, sync and async: the span is current only while the body runs."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import logging
import sys
import types

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.trace import StatusCode, get_current_span

from tellwhy.manual import current_span_id, span, traced


def current():
    span = get_current_span()
    return getattr(span, "name", None)


@traced
def steps():
    got = []
    for number in range(3):
        got.append((yield number, current()))
    return got


def test_consumed_generator_is_one_span_and_keeps_its_value(made):
    """A generator that is consumed makes one span, and its return value comes through (case 14)."""

    def outer():
        return (yield from steps())

    with span("consumer"):
        generator = outer()
        seen = [next(generator), generator.send("a"), generator.send("b")]
        with pytest.raises(StopIteration) as stop:
            generator.send("c")

    assert seen == [(0, "steps"), (1, "steps"), (2, "steps")]
    assert stop.value.value == ["a", "b", "c"]
    assert made.names == ["steps", "consumer"]
    assert made["steps"].attributes["generator.items"] == 3
    assert "generator.closed_early" not in made["steps"].attributes
    assert made.parent_of(made["steps"]) == "consumer"


def test_consumer_keeps_its_own_current_span(made):
    """Between two steps the consumer's current span is its own (cases 15 and 16)."""
    with span("consumer"):
        own = current_span_id()
        for _ in steps():
            assert current_span_id() == own
            with span("between"):
                pass
    assert current() is None
    assert {made.parent_of(one) for one in made.spans if one.name == "between"} == {"consumer"}


def test_break_leaves_the_consumer_alone_and_close_ends_the_span(made):
    """After a break the generator's span is open and not current; close ends it as closed early (case 15)."""
    with span("consumer"):
        generator = steps()
        for _ in generator:
            break
        assert current() == "consumer"
        assert made.names == []
        generator.close()

    assert made.names == ["steps", "consumer"]
    assert made["steps"].attributes["generator.closed_early"] is True
    assert made["steps"].status.status_code is StatusCode.UNSET


def test_abandoned_generator_ends_with_garbage_collection(made):
    """A generator that is thrown away ends its span when it is collected (case 15)."""
    generator = steps()
    next(generator)
    del generator
    gc.collect()

    assert made["steps"].attributes["generator.closed_early"] is True


def test_span_inside_of_the_body_survives_the_yield(made):
    """What is current in the body when it yields is current there when it goes on (case 17)."""

    @traced
    def body():
        with span("inner"):
            yield current()
            yield current()
        yield current()

    with span("consumer"):
        seen = []
        for name in body():
            seen.append((name, current()))

    assert seen == [("inner", "consumer"), ("inner", "consumer"), ("body", "consumer")]
    assert made.parent_of(made["inner"]) == "body"


def test_generator_never_iterated_makes_no_span(made):
    """The span starts with the first step; without one there is none."""
    generator = steps()
    generator.close()
    del generator

    assert made.names == []


def test_generator_function_stays_one(made):
    """``inspect`` sees no difference between a traced generator function and a plain one."""

    @traced
    async def agen():
        yield 1

    assert inspect.isgeneratorfunction(steps)
    assert isinstance(steps(), types.GeneratorType)
    assert inspect.isasyncgenfunction(agen)
    assert not inspect.iscoroutinefunction(agen)


def test_thrown_exceptions_reach_the_body_without_context(made):
    """What is thrown in is raised at the yield; what the body raises later has no false context."""

    @traced
    def body():
        try:
            yield 1
        except KeyError as error:
            yield repr(error)
        raise ValueError("later")

    generator = body()
    next(generator)
    assert generator.throw(KeyError("thrown")) == "KeyError('thrown')"
    with pytest.raises(ValueError, match="later") as caught:
        next(generator)

    assert caught.value.__context__ is None
    assert made["body"].attributes["error.type"] == "ValueError"


def test_body_that_goes_on_after_close_is_told_so(made):
    """A body that yields again when it is closed gets Python's own RuntimeError."""

    @traced
    def stubborn():
        try:
            yield 1
        except GeneratorExit:
            yield 2

    generator = stubborn()
    next(generator)
    with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
        generator.close()
    assert list(generator) == []
    assert made["stubborn"].attributes["generator.items"] == 2


@pytest.mark.skipif(sys.version_info < (3, 13), reason="close() returns the value since Python 3.13")
def test_close_returns_the_value(made):
    """Since Python 3.13 ``close()`` returns what the body returns."""

    @traced
    def body():
        try:
            yield
        except GeneratorExit:
            return "rest"

    generator = body()
    next(generator)
    assert generator.close() == "rest"


def plain_actor(log):
    """Answer each command in a way that shows all of a generator's protocol."""
    value = None
    while True:
        try:
            log.append(value)
            if value == "return":
                return "returned"
            if value == "raise":
                raise ValueError("raised")
            value = yield value
        except KeyError as error:
            value = f"caught {error}"
        except GeneratorExit:
            log.append("closed")
            raise
        finally:
            log.append("finally")


COMMANDS = st.lists(
    st.sampled_from(["next", "send", "return", "raise", "throw-caught", "throw-other", "throw-stop", "close"]),
    max_size=8,
)


def play(function, commands):
    """Everything that can be seen of a generator by who drives it."""
    log, seen = [], []
    generator = function(log)
    for command in commands:
        try:
            if command == "next":
                seen.append(next(generator))
            elif command == "throw-caught":
                seen.append(generator.throw(KeyError("k")))
            elif command == "throw-other":
                seen.append(generator.throw(OSError("o")))
            elif command == "throw-stop":
                seen.append(generator.throw(StopIteration(1)))
            elif command == "close":
                seen.append(generator.close())
            else:
                seen.append(generator.send(command))
        except BaseException as error:
            seen.append((type(error), str(error), type(error.__cause__), type(error.__context__)))
    generator.close()
    return log, seen


@settings(max_examples=150, deadline=None)
@given(commands=COMMANDS)
def test_traced_generator_answers_as_the_plain_one(commands):
    """Whatever is done with a generator, traced and plain answer the same (cases 14 and 15)."""
    from tellwhy.testing import capture_spans

    with capture_spans() as spans:
        assert play(traced("actor")(plain_actor), commands) == play(plain_actor, commands)
        assert spans.unfinished == []
    assert play(traced("actor")(plain_actor), commands) == play(plain_actor, commands)


# -- async ---------------------------------------------------------------------


async def plain_async_actor(log):
    value = None
    while True:
        try:
            log.append(value)
            await asyncio.sleep(0)
            if value == "return":
                return
            if value == "raise":
                raise ValueError("raised")
            value = yield value
        except KeyError as error:
            value = f"caught {error}"
        except GeneratorExit:
            await asyncio.sleep(0)
            log.append("closed")
            raise
        finally:
            await asyncio.sleep(0)
            log.append("finally")


async def play_async(function, commands):
    log, seen = [], []
    generator = function(log)
    for command in commands:
        try:
            if command == "next":
                seen.append(await anext(generator))
            elif command == "throw-caught":
                seen.append(await generator.athrow(KeyError("k")))
            elif command == "throw-other":
                seen.append(await generator.athrow(OSError("o")))
            elif command == "throw-stop":
                seen.append(await generator.athrow(StopAsyncIteration(1)))
            elif command == "close":
                seen.append(await generator.aclose())
            else:
                seen.append(await generator.asend(command))
        except BaseException as error:
            seen.append((type(error), str(error), type(error.__cause__), type(error.__context__)))
    await generator.aclose()
    return log, seen


@settings(max_examples=75, deadline=None)
@given(commands=COMMANDS)
def test_traced_async_generator_answers_as_the_plain_one(commands):
    """Whatever is done with an async generator, traced and plain answer the same (case 18)."""
    from tellwhy.testing import capture_spans

    async def both():
        traced_one = traced("actor")(plain_async_actor)
        assert await play_async(traced_one, commands) == await play_async(plain_async_actor, commands)

    with capture_spans() as spans:
        asyncio.run(both())
        assert spans.unfinished == []
    asyncio.run(both())


@traced
async def asteps(log):
    try:
        with span("inner"):
            for number in range(3):
                await asyncio.sleep(0)
                yield number, current()
    finally:
        await asyncio.sleep(0)
        log.append("cleaned")


def test_async_generator_is_current_only_in_its_body(made):
    """The consumer of an async generator keeps its own current span (cases 15 to 18)."""

    async def main():
        with span("consumer"):
            return [(item, current()) async for item in asteps([])]

    seen = asyncio.run(main())
    assert seen == [((number, "inner"), "consumer") for number in range(3)]
    assert made.names == ["inner", "asteps", "consumer"]
    assert made["asteps"].attributes["generator.items"] == 3


def test_async_context_manager_over_traced_gets_the_error_in(made):
    """Under ``@asynccontextmanager`` an exception of the body reaches ``except`` and ``finally`` (case 18)."""
    log = []

    @contextlib.asynccontextmanager
    @traced
    async def transaction():
        try:
            yield "connection"
            log.append("commit")
        except ValueError:
            log.append("rollback")
            raise
        finally:
            await asyncio.sleep(0)
            log.append("closed")

    async def main():
        async with transaction() as connection:
            assert connection == "connection"
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        asyncio.run(main())
    assert log == ["rollback", "closed"]
    assert made["transaction"].attributes["error.type"] == "ValueError"


def test_async_generator_closed_in_another_task(made, caplog):
    """Finalising in another task is no detach error, and the span ends (case 18)."""
    log = []

    async def main():
        generator = asteps(log)
        await asyncio.create_task(anext(generator))
        await asyncio.create_task(generator.aclose())
        assert current() is None

    with caplog.at_level(logging.DEBUG):
        asyncio.run(main())
    assert log == ["cleaned"]
    assert made["asteps"].attributes["generator.closed_early"] is True
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_async_generator_abandoned_at_the_end_of_the_loop(made, caplog):
    """An abandoned async generator is closed once when the loop shuts down, without a complaint (case 19)."""
    log = []

    async def main():
        generator = asteps(log)
        await anext(generator)
        kept.append(generator)

    kept = []
    complaints = []

    async def run():
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        await main()

    with caplog.at_level(logging.WARNING):
        asyncio.run(run())
    assert log == ["cleaned"]
    assert complaints == []
    assert caplog.records == []
    assert made["asteps"].attributes["generator.closed_early"] is True


def test_async_generator_dropped_while_the_loop_runs(made):
    """A dropped async generator is closed by the loop's own hook."""
    log = []

    async def main():
        generator = asteps(log)
        await anext(generator)
        del generator
        gc.collect()
        for _ in range(10):
            await asyncio.sleep(0)

    asyncio.run(main())
    assert log == ["cleaned"]
    assert made["asteps"].attributes["generator.closed_early"] is True


# -- both orders with contextlib, and generators that come out of plain functions --


def test_context_manager_over_traced(made, said):
    """``@contextmanager`` above ``@traced``: one span around both halves, no warning (case 20)."""

    @contextlib.contextmanager
    @traced
    def opened():
        with span("half"):
            yield current()

    with span("caller"), opened() as name:
        assert name == "half"
        assert current() == "caller"

    assert made.names == ["half", "opened", "caller"]
    assert [line for line in said if "@contextmanager" in line] == []


def test_traced_over_context_manager_warns_once(made, said):
    """``@traced`` above ``@contextmanager`` works, and says once that it times only the making (case 20)."""

    @traced
    @contextlib.contextmanager
    def opened():
        yield 5

    with opened() as five:
        assert five == 5
    assert len([line for line in said if "@contextmanager" in line]) == 1
    assert len(made.spans) == 1


def test_function_that_returns_a_generator(made):
    """A generator that a plain function returns runs lazily under the function's span (case 23)."""

    def numbers():
        seen.append(current())
        yield 1
        seen.append(current())
        yield 2

    @traced
    def make():
        return numbers()

    seen = []
    generator = make()
    assert isinstance(generator, types.GeneratorType)
    assert generator.__name__ == "numbers"
    assert (seen, made.names) == ([], [])
    for _ in generator:
        assert current() is None
    assert seen == ["make", "make"]
    assert made["make"].attributes["generator.items"] == 2


def test_function_that_returns_an_async_generator(made):
    """An async generator that a plain function returns runs under the function's span (case 23)."""

    @traced("make")
    def make():
        async def numbers():
            yield current()

        return numbers()

    async def main():
        return [name async for name in make()]

    assert asyncio.run(main()) == ["make"]
    assert made.names == ["make"]


def test_returned_generator_that_never_runs(made):
    """A returned generator that is thrown away before its first step ends its span as unfinished."""

    @traced("make")
    def make():
        return (number for number in range(3))

    generator = make()
    assert made.names == []
    del generator
    gc.collect()
    assert made["make"].attributes["unfinished"] is True


def test_old_style_coroutine_stays_awaitable(made):
    """A generator-based coroutine (``types.coroutine``) can still be awaited."""

    @traced("old")
    @types.coroutine
    def old():
        yield from asyncio.sleep(0).__await__()
        return current()

    async def main():
        return await old()

    assert asyncio.run(main()) == "old"
    assert made.names == ["old"]


def test_wrong_arguments_of_a_generator(made):
    """A generator called wrongly raises Python's own TypeError, at its first step (case 33)."""

    @traced("gen")
    def gen(a):
        yield a

    with pytest.raises(TypeError, match=r"gen\(\) missing 1 required positional argument: 'a'"):
        next(gen())
    assert made["gen"].status.status_code is StatusCode.ERROR
