# SPDX-License-Identifier: Apache-2.0
"""Does a span become current, and go again, as with the SDK's ``start_as_current_span`` and ``use_span``?"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, StatusCode, TraceFlags, TraceState, use_span

from support.engines import Engine, facts, ours, sdks
from tellwhy.engine import TracerProvider
from tellwhy.engine.context import enter, get_context, leave
from tellwhy.engine.samplers import ALWAYS_OFF, DEFAULT_OFF
from tellwhy.engine.span import Span, Unrecorded

ENGINES = [ours, sdks]


class Loud(Exception):
    """An exception whose text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize("make", ENGINES)
def test_nests_and_restores(make: Callable[[], Engine]) -> None:
    """Inside, the span is current; parents are those around; afterwards all is as before, baggage included."""
    engine = make()
    token = context.attach(baggage.set_baggage("k", "v"))
    before = trace.get_current_span()
    with engine.tracer.start_as_current_span("a") as a:
        assert trace.get_current_span() is a
        with engine.tracer.start_as_current_span("b") as b:
            assert trace.get_current_span() is b
            assert baggage.get_baggage("k") == "v"
        assert trace.get_current_span() is a
    assert trace.get_current_span() is before
    context.detach(token)

    assert [span.name for span in engine.spans] == ["b", "a"]
    assert engine.spans[0].parent == a.get_span_context()
    assert engine.spans[1].parent is None


EXCEPTIONS = [
    ValueError("v"),
    KeyError(),
    asyncio.CancelledError(),
    KeyboardInterrupt(),
    SystemExit(3),
    GeneratorExit(),
]


@pytest.mark.parametrize("error", EXCEPTIONS, ids=repr)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"record_exception": False},
        {"set_status_on_exception": False},
        {"end_on_exit": False},
        {"record_exception": False, "set_status_on_exception": False},
    ],
    ids=str,
)
def test_exceptions_are_recorded_as_the_sdk_does(error: BaseException, options: dict[str, bool]) -> None:
    """An Exception is an event and status Error, anything else is neither; it goes on unchanged, the span ends."""

    def run(engine: Engine) -> Any:
        with pytest.raises(type(error)) as caught, engine.tracer.start_as_current_span("x", **options) as span:
            raise error
        assert caught.value is error
        return span.is_recording(), _without_stack(facts(span))

    assert run(sdks()) == run(ours())


@pytest.mark.parametrize("error", EXCEPTIONS, ids=repr)
def test_a_span_as_context_manager_does_as_the_sdks(error: BaseException) -> None:
    """``with tracer.start_span()`` records whatever leaves it, as escaped, and ends the span."""

    def run(engine: Engine) -> Any:
        with pytest.raises(type(error)), engine.tracer.start_span("x") as span:
            assert trace.get_current_span() is not span
            raise error
        return span.is_recording(), _without_stack(facts(span))

    assert run(sdks()) == run(ours())


def test_the_apis_use_span_works_with_ours() -> None:
    """``opentelemetry.trace.use_span`` makes a span of ours current and records what leaves it."""

    def run(engine: Engine) -> Any:
        span = engine.tracer.start_span("x")
        with pytest.raises(ValueError, match="v"), use_span(span, end_on_exit=True):
            assert trace.get_current_span() is span
            raise ValueError("v")
        return span.is_recording(), _without_stack(facts(span))

    assert run(sdks()) == run(ours())


def test_the_recorded_stack_is_the_programs() -> None:
    """The stack trace ends where the exception was raised and holds no line of tellwhy's."""
    engine = ours()
    with pytest.raises(ZeroDivisionError), engine.tracer.start_as_current_span("x"):
        1 / 0
    stack = engine.spans[0].events[0].attributes["exception.stacktrace"]

    assert "1 / 0" in stack and "ZeroDivisionError" in stack
    assert f"{os.sep}tellwhy{os.sep}engine" not in stack


def test_an_exception_without_text_goes_on() -> None:
    """An exception whose __str__ raises is recorded and reaches the program unchanged."""
    engine = ours()
    with pytest.raises(Loud), engine.tracer.start_as_current_span("x"):
        raise Loud
    (event,) = engine.spans[0].events

    assert event.attributes["exception.message"] == "<unprintable>"
    assert event.attributes["exception.type"].endswith("test_current_span.Loud")
    assert engine.spans[0].status.description == "Loud: <unprintable>"


@pytest.mark.parametrize("make", ENGINES)
def test_decorates_functions_and_coroutine_functions(make: Callable[[], Engine]) -> None:
    """Every call is a span of its own, with its own parent, for as long as the body runs; metadata is kept."""
    engine = make()

    @engine.tracer.start_as_current_span("sync", attributes={"a": 1})
    def work(number: int) -> int:
        """Work."""
        return number if number == 0 else work(number - 1)

    @engine.tracer.start_as_current_span("async")
    async def wait() -> str:
        await asyncio.sleep(0)
        return trace.get_current_span().name  # type: ignore[attr-defined, no-any-return]

    assert (work(2), work.__name__, work.__doc__) == (0, "work", "Work.")
    assert inspect.iscoroutinefunction(wait)
    assert asyncio.run(wait()) == "async"
    inner, middle, outer, waited = engine.spans
    assert (inner.parent, middle.parent) == (middle.context, outer.context)
    assert [dict(span.attributes) for span in engine.spans] == [{"a": 1}] * 3 + [{}]
    assert waited.name == "async" and waited.parent is None


def test_starts_when_entered_and_not_before() -> None:
    """Parent and start are those of the ``with``, not of the call that made the object."""
    engine = ours()
    scope = engine.tracer.start_as_current_span("x")
    assert isinstance(scope, AbstractContextManager)
    with engine.tracer.start_as_current_span("parent") as parent, scope as span:
        assert span.parent == parent.get_span_context()


def test_takes_an_explicit_context_as_parent_only() -> None:
    """The given context tells the parent; what becomes current is the running context plus the span."""
    engine = ours()
    given = trace.set_span_in_context(engine.tracer.start_span("other"), context.set_value("only there", 1))
    with engine.tracer.start_as_current_span("x", context=given) as span:
        assert context.get_value("only there") is None
        assert trace.get_current_span() is span
    assert span.parent == trace.get_current_span(given).get_span_context()


REMOTE = SpanContext(
    trace_id=0xAB, span_id=0xCD, is_remote=True, trace_flags=TraceFlags(0x03), trace_state=TraceState([("k", "v")])
)
PARENTS: list[Any] = [
    NonRecordingSpan(REMOTE),
    NonRecordingSpan(SpanContext(1, 2, False, TraceFlags(1))),
    NonRecordingSpan(SpanContext(1, 2, False, TraceFlags(0))),
    NonRecordingSpan(SpanContext(1, 2, True, TraceFlags(0xFE))),
    NonRecordingSpan(SpanContext(0, 2, True, TraceFlags(1))),
    trace.INVALID_SPAN,
    "no span",
    None,
]


@pytest.mark.parametrize("parent", PARENTS, ids=repr)
def test_a_parent_of_any_kind_is_followed_as_the_sdk_does(parent: Any) -> None:
    """Remote, local, unsampled, invalid or no span at all: same ids, flags, state and decision as the SDK's."""

    def run(engine: Engine) -> Any:
        span = engine.tracer.start_span("x", context=context.set_value(trace._SPAN_KEY, parent))
        about = span.get_span_context()
        return span.is_recording(), about, about.trace_flags, about.trace_state, getattr(span, "parent", None)

    assert run(sdks()) == run(ours())


def test_a_parent_that_fails_starts_a_new_trace() -> None:
    """A span of somebody's whose context cannot be had, or is none, is no parent."""

    class Broken(NonRecordingSpan):
        def get_span_context(self) -> Any:
            raise RuntimeError("no context")

    class Odd(NonRecordingSpan):
        def get_span_context(self) -> Any:
            return "odd"

    engine = ours()
    for parent in (Broken(REMOTE), Odd(REMOTE)):
        span = engine.tracer.start_span("x", context=context.set_value(trace._SPAN_KEY, parent))

        assert span.is_recording() and span.parent is None


def test_below_an_unrecorded_span_nothing_is_made() -> None:
    """
    Below a local span that is not sampled, the parent stands for its children.

    Different from the SDK on purpose, which makes a span id for each: such a span
    is never exported, and the parent's id leads whoever follows it to the same decision.
    """
    engine = ours(DEFAULT_OFF)
    with engine.tracer.start_as_current_span("root") as root:
        outside = get_context()
        with engine.tracer.start_as_current_span("child", attributes={"a": 1}) as child:
            assert child is root
            assert get_context() is outside
            assert engine.tracer.begin("grandchild") is None
            child.set_attribute("a", 1)
            child.end()
        detached = engine.tracer.start_span("by hand")
    assert trace.get_current_span() is trace.INVALID_SPAN

    assert type(root) is Unrecorded and not root.is_recording()
    assert root.get_span_context().is_valid and not root.get_span_context().trace_flags.sampled
    assert detached.get_span_context().trace_id == root.get_span_context().trace_id
    assert detached.get_span_context().span_id != root.get_span_context().span_id
    assert engine.spans == []


def test_below_an_unrecorded_span_a_sampler_that_wants_more_is_asked() -> None:
    """Only ParentBased's constant no for local parents lets children pass unseen."""
    engine = Engine(TracerProvider.lean({}, sampler=ALWAYS_OFF))
    with engine.tracer.start_as_current_span("root") as root:
        engine.provider.reconfigure(sampler=sdks().provider.sampler)
        with engine.tracer.start_as_current_span("still off") as child:
            assert child is root
        engine.provider.reconfigure(sampler=trace_always_on())
        with engine.tracer.start_as_current_span("on") as on:
            assert on.is_recording() and on.parent == root.get_span_context()


def trace_always_on() -> Any:
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON

    return ALWAYS_ON


def test_local_root_and_children_are_known() -> None:
    """A span knows the entry span of its process, and whether there are spans below it."""
    engine = ours()
    with engine.tracer.start_as_current_span("a") as a, engine.tracer.start_as_current_span("b") as b:
        c = engine.tracer.start_span("c")

    assert (a._local_root, b._local_root, c._local_root) == (None, a, a)
    assert [getattr(span, "_has_children", False) for span in (a, b, c)] == [True, True, False]


def test_leaving_in_another_context_is_quiet(caplog: pytest.LogCaptureFixture, capfd: Any) -> None:
    """An abandoned async generator, finalised in another task, logs nothing and disturbs no parent."""
    engine = ours()

    async def numbers() -> AsyncIterator[int]:
        with engine.tracer.start_as_current_span("generator"):
            yield 1
            yield 2

    async def finish(generator: Any) -> Any:
        with engine.tracer.start_as_current_span("task") as span:
            await generator.aclose()
            return trace.get_current_span() is span

    async def main() -> bool:
        generator = numbers()
        await generator.__anext__()
        return await asyncio.create_task(finish(generator), context=contextvars.Context())  # type: ignore[call-arg]

    with caplog.at_level(logging.DEBUG):
        if sys.version_info >= (3, 11):
            assert asyncio.run(main())
        one, other = contextvars.copy_context(), contextvars.copy_context()
        scope = engine.tracer.start_as_current_span("x")
        span = one.run(scope.__enter__)
        other.run(scope.__exit__, None, None, None)
        assert not span.is_recording()
    assert [record.message for record in caplog.records if record.name != "asyncio"] == []
    assert capfd.readouterr().err == ""


def test_leaving_in_a_copy_of_the_context_restores_the_parent() -> None:
    """A task that was started inside the block and leaves it goes on below the block's parent."""
    engine = ours()
    with engine.tracer.start_as_current_span("parent") as parent:
        scope = engine.tracer.start_as_current_span("x")
        scope.__enter__()
        inside = contextvars.copy_context()
        scope.__exit__(None, None, None)

        def leave_again() -> Any:
            scope.__exit__(None, None, None)
            return trace.get_current_span()

        assert inside.run(leave_again) is parent
        assert trace.get_current_span() is parent


def test_enter_and_leave_are_the_same_in_two_steps() -> None:
    """The inner functions make a span current and undo it, twice too, without a complaint."""
    engine = ours()
    span = engine.tracer.start_span("x")
    token = enter(span)
    assert trace.get_current_span() is span
    leave(token, span)
    leave(token, span)
    assert trace.get_current_span() is trace.INVALID_SPAN

    outcome: list[Any] = []
    token = enter(span)
    thread = threading.Thread(target=lambda: outcome.append((leave(token, span), trace.get_current_span())))
    thread.start()
    thread.join()
    assert outcome == [(None, trace.INVALID_SPAN)]
    leave(token, span)


def test_works_with_another_runtime_context() -> None:
    """With OTEL_PYTHON_CONTEXT set, the public attach and detach are used."""
    code = """
        from opentelemetry import context
        from opentelemetry.context.context import _RuntimeContext, Context
        class Mine(_RuntimeContext):
            stack = [Context()]
            def attach(self, new):
                self.stack.append(new)
                return len(self.stack)
            def get_current(self):
                return self.stack[-1]
            def detach(self, token):
                assert token == len(self.stack)
                self.stack.pop()
        context._RUNTIME_CONTEXT = Mine()
        from opentelemetry import trace
        from tellwhy.engine import TracerProvider
        tracer = TracerProvider.lean({}).get_tracer("x")
        with tracer.start_as_current_span("a") as a, tracer.start_as_current_span("b") as b:
            assert trace.get_current_span() is b and b.parent == a.get_span_context()
        assert len(Mine.stack) == 1
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stderr) == (0, "")


def test_tasks_and_threads_have_their_own_current_span() -> None:
    """A thousand tasks and eight threads nest their spans at once; every child has its own parent."""
    engine = ours()

    async def one(number: int) -> None:
        with engine.tracer.start_as_current_span(f"parent {number}"):
            await asyncio.sleep(0)
            with engine.tracer.start_as_current_span(f"child {number}"):
                await asyncio.sleep(0)

    async def many() -> None:
        await asyncio.gather(*(one(number) for number in range(1000)))

    def thread() -> None:
        for number in range(200):
            with engine.tracer.start_as_current_span(f"parent {number}"):
                with engine.tracer.start_as_current_span(f"child {number}"):
                    pass

    asyncio.run(many())
    threads = [threading.Thread(target=thread) for _ in range(8)]
    for one_thread in threads:
        one_thread.start()
    for one_thread in threads:
        one_thread.join()

    spans = {span.context.span_id: span for span in engine.spans}
    children = [span for span in spans.values() if span.name.startswith("child")]
    assert len(spans) == 2 * 1000 + 2 * 8 * 200
    assert all(spans[child.parent.span_id].name == f"parent {child.name[6:]}" for child in children)


def test_status_after_an_exception_does_not_override_ok() -> None:
    """A span that the program called Ok stays Ok."""
    engine = ours()
    with pytest.raises(ValueError, match="v"), engine.tracer.start_as_current_span("x") as span:
        span.set_status(StatusCode.OK)
        raise ValueError("v")

    assert type(span) is Span and span.status.status_code is StatusCode.OK


def _without_stack(found: dict[str, Any]) -> dict[str, Any]:
    """Leave out the clock's times, and the stack, in which the SDK shows its own lines."""
    events = [
        (name, [pair for pair in attributes if pair[0] != "exception.stacktrace"], dropped)
        for name, _, attributes, dropped in found["events"]
    ]
    return {**found, "events": events}
