# SPDX-License-Identifier: Apache-2.0
"""Is the engine safe with threads, and in forked children?"""

from __future__ import annotations

import dis
import itertools
import os
import random
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import StatusCode

from support.engines import Engine, ours
from tellwhy.engine import RandomIdGenerator, SpanLimits, TracerProvider
from tellwhy.engine.ids import random_bits
from tellwhy.engine.span import Span

fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


@pytest.fixture(autouse=True)
def _restless() -> Iterator[None]:
    """Threads take turns as often as they can, so that what is not one step comes apart."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def at_once(count: int, work: Callable[[int], None]) -> None:
    """Run work(0) … work(count - 1) in threads that start together; an exception in one fails the test."""
    gate = threading.Barrier(count)
    errors: list[BaseException] = []

    def run(number: int) -> None:
        gate.wait()
        try:
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def in_child(work: Callable[[], Any]) -> Any:
    """Fork, do the work in the child, and return what it returns, as text."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            told = repr(work())
        except BaseException as error:
            told = f"{type(error).__name__}: {error}"
        os.write(write, told.encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        told = pipe.read().decode()
    os.waitpid(pid, 0)
    return told


def test_of_many_threads_one_ends_the_span() -> None:
    """However many threads end a span at once, it is exported once."""
    engine = ours()
    for _ in range(200):
        span = engine.tracer.start_span("x")
        at_once(4, lambda _number, span=span: span.end())  # type: ignore[misc]

    assert len(engine.spans) == 200


def test_between_the_check_and_the_store_of_the_end_nothing_happens() -> None:
    """In ``Span.end`` the test of ``_end`` falls through to its assignment: no call and no taken jump in between."""
    code = list(dis.get_instructions(Span.end))
    store = next(place for place, one in enumerate(code) if (one.opname, one.argval) == ("STORE_ATTR", "_end"))
    check = max(place for place in range(store) if (code[place].opname, code[place].argval) == ("LOAD_ATTR", "_end"))
    between = [one.opname for one in code[check + 1 : store]]

    assert len([name for name in between if name.startswith("POP_JUMP")]) == 1
    assert all(
        name.startswith(("LOAD_FAST", "LOAD_CONST", "IS_OP", "POP_JUMP", "CACHE", "NOT_TAKEN")) for name in between
    )


def test_without_the_gil_one_thread_ends_the_span(monkeypatch: pytest.MonkeyPatch) -> None:
    """The way of free-threaded builds, with a lock, does the same."""
    monkeypatch.setattr("tellwhy.engine.span._CHECK_AND_STORE_IS_ATOMIC", False)

    test_of_many_threads_one_ends_the_span()


def test_threads_write_to_one_span() -> None:
    """Attributes, events, links and counts from eight threads: all there, or counted."""
    limits = SpanLimits(max_span_attributes=50, max_events=40, max_links=30)
    engine = Engine(TracerProvider.lean({}, limits=limits))
    span: Any = engine.tracer.start_span("x")

    def write(number: int) -> None:
        for turn in range(100):
            span.set_attribute(f"{number} {turn}", turn)
            span.set_attributes({f"{number} {turn} also": turn})
            span.add_event("e")
            span.add_link(span.get_span_context())
            span.set_status(StatusCode.ERROR if number else StatusCode.OK)

    at_once(8, write)

    assert (len(span.attributes), len(span.events), len(span.links)) == (50, 40, 30)
    assert (span.dropped_attributes, span.dropped_events, span.dropped_links) == (1600 - 50, 800 - 40, 800 - 30)
    assert span.status.status_code is StatusCode.OK


def test_threads_ask_for_one_tracer() -> None:
    """A scope that many threads ask for at once has one tracer."""
    for _ in range(50):
        provider = TracerProvider.lean({})
        found: list[Any] = []
        at_once(8, lambda _: found.append(provider.get_tracer("lib", "1", None, {"a": 1})))  # noqa: B023

        assert len(set(map(id, found))) == 1


def test_ids_of_many_threads_are_all_different() -> None:
    """No id comes twice, none is zero, all are within their bits."""
    made: list[list[int]] = [[] for _ in range(8)]
    generator = RandomIdGenerator()

    def make(number: int) -> None:
        for _ in range(5_000):
            made[number] += (generator.generate_span_id(), generator.generate_trace_id())

    at_once(8, make)
    ids = list(itertools.chain.from_iterable(made))

    assert len(set(ids)) == len(ids) == 80_000
    assert all(0 < one < 2**128 for one in ids)


def test_ids_do_not_follow_the_programs_seed() -> None:
    """A program that seeds ``random`` gets other trace ids each time."""
    random.seed(0)
    first = [random_bits(128) for _ in range(10)]
    random.seed(0)

    assert first != [random_bits(128) for _ in range(10)]


@pytest.mark.parametrize("answer", [0, -1, 2**128, "id", None, RuntimeError("none left")])
def test_an_id_generator_that_fails_is_replaced(answer: Any, capfd: pytest.CaptureFixture[str]) -> None:
    """Ids that are none are replaced by random ones, with a line; spans go on."""
    from tellwhy import diagnostics

    diagnostics.reset()

    class Ids(RandomIdGenerator):
        def generate_span_id(self) -> int:
            if isinstance(answer, Exception):
                raise answer
            return answer  # type: ignore[no-any-return]

        generate_trace_id = generate_span_id

    engine = Engine(TracerProvider.lean({}, id_generator=Ids()))
    for _ in range(3):
        engine.tracer.start_span("x").end()

    assert all(span.context.is_valid for span in engine.spans)
    assert 1 <= len(capfd.readouterr().err.splitlines()) <= 2
    diagnostics.reset()


def test_the_random_flag_is_the_generators_say() -> None:
    """Ours says random; an older generator without the method does not; children inherit."""

    class Old:
        def generate_span_id(self) -> int:
            return random_bits(64) or 1

        def generate_trace_id(self) -> int:
            return random_bits(128) or 1

    for generator, flags in ((None, 3), (Old(), 1)):
        engine = Engine(TracerProvider.lean({}, id_generator=generator))
        with engine.tracer.start_as_current_span("a") as a, engine.tracer.start_as_current_span("b") as b:
            assert a.get_span_context().trace_flags == b.get_span_context().trace_flags == flags


@fork
def test_forked_children_make_other_ids() -> None:
    """Two children and their parent never make the same ids."""
    told = {in_child(lambda: random_bits(128)) for _ in range(3)}

    assert len({*told, repr(random_bits(128))}) == 4


@fork
def test_spans_open_at_a_fork_are_the_parents() -> None:
    """The child does not export them; its own spans go on below them and are exported."""
    engine = Engine(TracerProvider.lean({"service.instance.id": "parent"}))
    with engine.tracer.start_as_current_span("outer") as outer, engine.tracer.start_as_current_span("inner"):

        def work() -> Any:
            with engine.tracer.start_as_current_span("of child") as own:
                pass
            trace.get_current_span().end()
            outer.end()
            below = own.parent == trace.get_current_span().get_span_context()
            return [span.name for span in engine.spans], below, own._local_root

        assert in_child(work) == repr((["of child"], True, None))
    assert [span.name for span in engine.spans] == ["inner", "outer"]


@fork
def test_a_forked_childs_resource_is_its_own() -> None:
    """What differs in the child is asked for there; the rest of the resource stays, the parent's too."""
    provider = TracerProvider.lean({"service.name": "x", "service.instance.id": "parent"})
    provider.after_fork = lambda: {"service.instance.id": f"child of {os.getppid()}"}
    tracer = provider.get_tracer("lib")

    def work() -> Any:
        span: Any = tracer.start_span("x")
        return span.resource.attributes["service.instance.id"], span.resource.attributes["service.name"]

    assert in_child(work) == repr((f"child of {os.getpid()}", "x"))
    assert provider.resource_attributes["service.instance.id"] == "parent"


@fork
@pytest.mark.parametrize("own", [None, "my-instance"])
def test_the_sdks_resource_is_refreshed_as_the_sdk_does(own: str | None) -> None:
    """In a child a generated instance id is made anew; unlike in the SDK one of the program's own stays."""
    resource = Resource.create({} if own is None else {"service.instance.id": own})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    before = str(resource.attributes["service.instance.id"])
    told = in_child(lambda: str(provider.resource.attributes["service.instance.id"]))

    assert (told == repr(before)) is (own is not None)


@fork
def test_forking_while_another_thread_writes_does_not_hang() -> None:
    """No lock of ours is held in a child for ever."""
    engine = Engine(TracerProvider.lean({}, limits=SpanLimits(max_span_attributes=1)))
    stop = threading.Event()

    def write() -> None:
        span: Any = engine.tracer.start_span("x")
        number = 0
        while not stop.is_set():
            number += 1
            span.set_attribute(str(number), number)
            span.set_status(StatusCode.ERROR)

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()

    def work() -> Any:
        span: Any = engine.tracer.start_span("y", attributes={"a": 1, "b": 2})
        span.set_status(StatusCode.OK)
        span.end()
        return dict(span.attributes)

    try:
        for _ in range(20):
            assert in_child(work) == repr({"b": 2})
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_a_signal_handler_may_end_spans() -> None:
    """Ending a span from a signal handler that interrupts the same span's thread does not hang."""
    import signal

    engine = Engine(TracerProvider.lean({}, limits=SpanLimits(max_span_attributes=1)))
    spans: list[Any] = []

    def end_all(*_: object) -> None:
        for span in spans:
            span.set_status(StatusCode.ERROR)
            span.set_attribute("interrupted", True)
            span.end()

    before = signal.signal(signal.SIGALRM, end_all)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        for number in range(2000):
            span = engine.tracer.start_span("x", attributes={"a": 1, "b": 2})
            spans.append(span)
            span.set_attribute(str(number), number)
            span.set_status(StatusCode.ERROR)
            spans.remove(span)
            span.end()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    assert len(engine.spans) == len({span.context.span_id for span in engine.spans}) == 2000
