# SPDX-License-Identifier: Apache-2.0
"""Traced functions while tracing is off, and as it is switched on, off and over."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, TraceIdRatioBased
from opentelemetry.trace import get_current_span

from tellwhy.engine import active
from tellwhy.manual import (
    annotate,
    annotate_root,
    counts,
    current_span_id,
    current_trace_id,
    event,
    fail,
    span,
    suppressed,
    traced,
)


def run(program):
    """Run a program of its own; what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout.split()


@traced
def work(a=1):
    return a, current_span_id()


@traced
async def awork():
    return current_span_id()


@traced
def steps():
    yield current_span_id()


@traced
async def asteps():
    got = yield current_span_id()
    yield got


def everything():
    """What all forms answer while there is no span."""

    async def main():
        generator = asteps()
        return [await awork(), await anext(generator), await generator.asend("sent"), await generator.aclose()]

    with span("block", a=1) as block:
        block.set_attribute("b", 2)
        annotate(a=1)
        annotate_root(a=1)
        event("e")
        fail("x")
        inside = (block.is_recording(), current_trace_id(), current_span_id())
    return [work(5), list(steps()), asyncio.run(main()), inside]


def test_off_everything_works_and_nothing_is_said(said):
    """Without setup there are no spans, no output, and all results are as they should be (cases 2 and 3)."""
    assert everything() == [(5, None), [None], [None, None, "sent", None], (False, None, None)]
    assert said == []


def test_on_off_and_over(made):
    """Spans begin with the first call after setup, end with its end, and follow a new setup (rule 11)."""
    provider = active.provider
    active.deactivate()
    work()
    active.prepare(lambda: provider)
    work()
    active.deactivate()
    work()
    assert made.names == ["work"]
    again: list = []
    other = type(made)(made.engine)
    other.spans = again
    active.activate(other.provider())
    work()
    assert (made.names, other.names) == (["work"], ["work"])


def test_failing_setup_harms_nobody(said):
    """If the provider cannot be built, calls go through and it is said once."""

    def broken():
        raise RuntimeError("no provider")

    active.prepare(broken)
    assert work(3) == (3, None)
    assert work(4) == (4, None)
    assert len([line for line in said if "no provider" in line and "internal fault" in line]) == 1


def test_failing_tracer_harms_nobody(said):
    """A sampler, processor or span of the program's own that raises does not reach the caller."""

    class Tracer:
        def start_span(self, *args, **kwargs):
            raise RuntimeError("cannot start")

    active.tracer = Tracer()
    assert work(3) == (3, None)
    with span("x"):
        pass

    class Span:
        def is_recording(self):
            raise RuntimeError("cannot tell")

        get_span_context = end = set_attributes = is_recording

    active.tracer.start_span = lambda *args, **kwargs: Span()
    assert traced(lambda: 3)() == 3
    with pytest.raises(KeyError):
        traced(lambda: {}["x"])()
    assert len([line for line in said if "internal fault" in line]) >= 2


def test_importing_and_calling_loads_no_opentelemetry():
    """Decorating and calling without setup loads neither OpenTelemetry nor anything slow (rule 2)."""
    loaded = run("""
        import sys
        from tellwhy.manual import traced, span, annotate, event, fail, current_trace_id, suppressed, annotate_root
        @traced("n", capture="all", result=lambda r: r)
        def work(a): return a
        @traced
        class Shop:
            def open(self): return work(1)
        Shop().open()
        with span("x"), suppressed():
            annotate(a=1); annotate_root(b=2); event("c"); fail("d"); current_trace_id()
        slow = ("opentelemetry", "typing", "re", "argparse", "json", "dataclasses", "inspect", "asyncio")
        print(*(name for name in slow if name in sys.modules))
    """)
    assert loaded == []


def test_provider_that_the_program_installed_itself():
    """Without tellwhy's setup, spans go to a provider of the program's own, decorated before or after."""
    names = run("""
        from tellwhy import traced, span, annotate_root
        @traced
        def outer():
            with span("inner"):
                annotate_root(tenant="acme")
        outer()
        from opentelemetry import trace
        outer()
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        memory = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(memory))
        trace.set_tracer_provider(provider)
        outer()
        for span in memory.get_finished_spans():
            print(span.name, span.instrumentation_scope.name, span.attributes.get("tenant"))
    """)
    assert names == ["inner", "tellwhy", "None", "outer", "tellwhy", "acme"]


def test_counts_traced_functions():
    """How many functions are traced is known, for the doctor to tell (case 3)."""
    before = counts.stats()["traced_functions"]
    traced(lambda: None)
    traced(lambda: None)
    assert counts.stats()["traced_functions"] == before + 2


@pytest.mark.parametrize("sampler", [ALWAYS_OFF, ParentBased(ALWAYS_OFF), ParentBased(TraceIdRatioBased(0))])
def test_sampled_out(made, sampler):
    """A trace that is sampled out makes no spans, and its ids are still there for logs and callees."""
    active.activate(made.provider(sampler=sampler))

    @traced
    def outer():
        return current_trace_id(), inner(), list(steps()), asyncio.run(awork())

    @traced
    def inner():
        annotate(a=1)
        return current_trace_id()

    trace_id, inner_id, *_ = outer()
    assert trace_id is not None
    assert inner_id == trace_id
    assert made.names == []
    assert current_trace_id() is None


@pytest.mark.parametrize("sampler", [ParentBased(ALWAYS_ON, local_parent_not_sampled=ALWAYS_ON), ALWAYS_ON])
def test_child_of_unsampled_parent_is_made_if_the_sampler_wants_it(made, sampler):
    """The short cut below an unsampled parent is taken only where it is sure (case 48)."""
    active.activate(made.provider(sampler=ParentBased(ALWAYS_OFF)))
    with span("outer"):
        active.activate(made.provider(sampler=sampler))
        work()
        assert list(steps()) != [None]
    assert made.names == ["work", "steps"]


def test_unsampled_child_computes_nothing(made):
    """Below an unsampled parent no argument is looked at (law 3)."""
    active.activate(made.provider(sampler=ParentBased(ALWAYS_OFF)))
    looked = []

    def look(a):
        looked.append(a)

    child = traced(attributes={"x": look}, when=look, links=look, result=looked.append, capture="all")(lambda a: None)
    with span("outer"):
        child(1)
    assert looked == []


def test_suppressed(made):
    """Inside ``suppressed()`` nothing makes spans, instrumentations neither; the current span stays (case 2)."""
    from opentelemetry.instrumentation.utils import is_http_instrumentation_enabled, is_instrumentation_enabled

    with span("outer"):
        own = current_span_id()
        with suppressed():
            assert work() == (1, own)
            assert list(steps()) == [own]
            with span("inner"):
                assert current_span_id() == own
            assert not is_instrumentation_enabled()
            assert not is_http_instrumentation_enabled()
            with suppressed():
                pass
            assert work() == (1, own)
        assert is_instrumentation_enabled()
        work()
    assert made.names == ["work", "outer"]


def test_suppressed_in_one_task_only(made):
    """What one task suppresses is no other's concern."""

    async def quiet():
        with suppressed():
            await asyncio.sleep(0)
            await awork()

    async def main():
        await asyncio.gather(quiet(), awork(), quiet())

    asyncio.run(main())
    assert made.names == ["awork"]


def test_context_is_as_before(made):
    """After any traced call the current context is the very object it was (law 1)."""
    from opentelemetry import context

    before = context.get_current()
    work()
    list(steps())
    with pytest.raises(ZeroDivisionError):
        traced(lambda: 1 / 0)()
    with span("x"):
        pass
    assert context.get_current() is before
    assert not get_current_span().is_recording()
