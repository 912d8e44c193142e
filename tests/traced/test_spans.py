# SPDX-License-Identifier: Apache-2.0
"""The context manager, the current span, traces of one's own, links, and what is dropped or kept."""

from __future__ import annotations

import asyncio
import contextvars
import datetime
import threading
import time
from typing import Annotated

import pytest
from opentelemetry import trace
from opentelemetry.context import Context, attach, detach, get_value
from opentelemetry.sdk.trace import SpanLimits
from opentelemetry.sdk.trace import TracerProvider as SdkProvider
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, StatusCode, TraceFlags, set_span_in_context

from tellwhy.engine import active
from tellwhy.engine.provider import TracerProvider
from tellwhy.errors import DecorationError
from tellwhy.manual import (
    SpanAttr,
    annotate,
    annotate_root,
    counts,
    current_span_id,
    current_trace_id,
    event,
    span,
    suppressed,
    traced,
)


def test_span_as_context_manager(made):
    """A span is current inside of the block, has its attributes, and is handed to ``as``."""
    with span("pricing.quote", currency="EUR", name="n", missing=None) as quote:
        quote.set_attribute("more", 1)
        assert trace.get_current_span() is quote

    assert dict(made["pricing.quote"].attributes) == {"currency": "EUR", "name": "n", "more": 1}


def test_span_in_async_with(made):
    """``async with`` does the same."""

    async def main():
        async with span("outer"), span("inner"):
            await asyncio.sleep(0)

    asyncio.run(main())
    assert made.parent_of(made["inner"]) == "outer"


def test_error_leaves_the_block(made):
    """An exception that leaves the block fails the span; an expected one does not."""
    for expected, status in (((), StatusCode.ERROR), ((KeyError,), StatusCode.UNSET)):
        made.spans.clear()
        with pytest.raises(KeyError), span("x", expected=expected):
            raise KeyError("k")
        assert made["x"].status.status_code is status
        assert made["x"].attributes["error.type"] == "KeyError"


def test_span_object_is_used_again_and_within_itself(made):
    """One span object may be entered again, also while it is entered; each entry is a span."""
    again = span("again")
    with again, again:
        pass
    with again:
        pass

    assert made.names == ["again"] * 3
    inner, outer, _ = made.spans
    assert inner.parent.span_id == outer.context.span_id
    assert current_span_id() is None


def test_span_object_in_many_threads_and_tasks(made):
    """One span object entered in threads and tasks at once ends in each the span that it began there."""
    shared = span("shared")
    barrier = threading.Barrier(8)

    def thread():
        barrier.wait()
        for _ in range(20):
            with shared:
                own = current_span_id()
                time.sleep(0)
                assert current_span_id() == own
            assert current_span_id() is None

    async def task():
        for _ in range(5):
            async with shared:
                own = current_span_id()
                await asyncio.sleep(0)
                assert current_span_id() == own
            assert current_span_id() is None

    async def main():
        await asyncio.gather(*(task() for _ in range(8)))

    threads = [threading.Thread(target=thread) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    asyncio.run(main())
    assert len(made.spans) == 8 * 20 + 8 * 5
    assert len({one.context.span_id for one in made.spans}) == len(made.spans)
    assert {one.parent for one in made.spans} == {None}


def test_span_object_entered_in_silence_within_itself(made):
    """An entry that makes no span, inside of one that does, ends neither early nor late."""
    again = span("again")
    with again:
        own = current_span_id()
        with suppressed(), again:
            with again:
                assert current_span_id() == own
            assert made.names == []
        assert current_span_id() == own
    assert made.names == ["again"]
    with suppressed(), again, again:
        assert current_span_id() is None
    active.deactivate()
    with again, again:
        pass
    assert made.names == ["again"]
    assert current_span_id() is None


@pytest.mark.parametrize("wrong", [None, 3, len])
def test_span_without_a_name_is_refused(wrong):
    """A span needs a name."""
    with pytest.raises(DecorationError, match="span's name"):
        span(wrong)


def test_span_is_no_decorator():
    """``@span(...)`` is refused with what to write."""
    with pytest.raises(DecorationError, match=r"@traced\('x'\)"):

        @span("x")
        def work(): ...


def test_ids(made):
    """Ids are hex as in every backend, padded with zeros; None outside."""
    assert (current_trace_id(), current_span_id()) == (None, None)
    with span("x") as one:
        context = one.get_span_context()
        assert current_trace_id() == f"{context.trace_id:032x}"
        assert current_span_id() == f"{context.span_id:016x}"

    low = set_span_in_context(NonRecordingSpan(SpanContext(0xABC, 0xD, is_remote=True)))
    token = attach(low)
    assert current_trace_id() == "00000000000000000000000000000abc"
    assert current_span_id() == "000000000000000d"
    detach(token)


def test_annotate_takes_mapping_and_keywords(made):
    """``annotate`` takes a mapping, keywords as written, and leaves None out."""
    with span("x"):
        annotate({"payment.status": "settled", "gone": None}, order_id=7, attributes="a")
        annotate()

    assert dict(made["x"].attributes) == {"payment.status": "settled", "order_id": 7, "attributes": "a"}


def test_annotate_root_reaches_the_entry_span(made):
    """``annotate_root`` reaches this process's entry span, whoever made it and whatever is between."""
    tracer = active.provider.get_tracer("some.instrumentation")
    remote = NonRecordingSpan(SpanContext(5, 6, is_remote=True, trace_flags=TraceFlags(1)))
    with tracer.start_as_current_span("GET /", context=set_span_in_context(remote)):
        with tracer.start_as_current_span("middleware"), span("view"), tracer.start_as_current_span("SELECT"):
            annotate_root(tenant="acme")
        annotate_root({"seen": True})
        with span("own trace", new_trace=True), span("below"):
            annotate_root(mine=1)
    annotate_root(lost=1)

    assert dict(made["GET /"].attributes) == {"tenant": "acme", "seen": True}
    assert dict(made["own trace"].attributes) == {"mine": 1}
    assert all("tenant" not in made[name].attributes for name in ("middleware", "view", "SELECT", "below"))


def test_new_trace(made):
    """``new_trace`` starts a trace of its own with a link back, decided anew, and the caller's goes on (case 47)."""

    @traced(new_trace=True)
    def job():
        with span("in job"):
            return current_trace_id()

    with span("request"):
        mine = current_trace_id()
        assert job() != mine
        assert current_trace_id() == mine
        with span("block", new_trace=True):
            assert current_trace_id() != mine
    job()

    first, second = [one for one in made.spans if one.name == "job"]
    assert (first.parent, second.parent) == (None, None)
    (link,) = first.links
    assert link.context.span_id == made["request"].context.span_id
    assert list(second.links) == []
    assert len(made["block"].links) == 1


def test_new_trace_is_decided_anew(made):
    """A new trace below an unsampled span is sampled by its own decision (case 47)."""
    unsampled = NonRecordingSpan(SpanContext(5, 6, is_remote=False, trace_flags=TraceFlags(0)))
    token = attach(set_span_in_context(unsampled))
    traced("child")(lambda: None)()
    traced("job", new_trace=True)(lambda: None)()
    detach(token)

    assert made.names == ["job"]


def test_links(made):
    """``links`` gives the links of a span from the call's parameters."""
    there = SpanContext(5, 6, is_remote=True)

    @traced(links=lambda messages: [Link(message) for message in messages])
    def consume(messages): ...

    consume([there])
    assert [link.context.trace_id for link in made["consume"].links] == [5]


def test_when(made):
    """``when`` skips the span of a call, and what is inside belongs to the caller."""

    @traced(when=lambda number: number > 1)
    def work(number):
        with span("inside"):
            pass

    with span("caller"):
        work(1)
        work(2)
    assert [made.parent_of(one) for one in made.spans if one.name == "inside"] == ["caller", "work"]


@pytest.mark.parametrize("least", [10.0, 10, datetime.timedelta(seconds=10)])
def test_short_leaf_is_dropped_and_counted(made, least):
    """A span shorter than ``min_duration`` is dropped and counted, unless it has children or failed."""
    before = counts.stats()["spans_too_short"]

    @traced(min_duration=least)
    def work(inside):
        inside()

    def child():
        with span("child"):
            pass

    def foreign_child():
        with active.provider.get_tracer("other").start_as_current_span("foreign child"):
            pass

    with span("caller"):
        work(lambda: None)
        work(child)
        work(foreign_child)
        with pytest.raises(ZeroDivisionError):
            work(lambda: 1 / 0)
    assert made.names == ["child", "work", "foreign child", "work", "work", "caller"]
    assert counts.stats()["spans_too_short"] == before + 1


def test_long_leaf_is_kept(made):
    """A span that lasted its ``min_duration`` is kept."""
    traced("long", min_duration=0.001)(lambda: time.sleep(0.005))()
    assert made.names == ["long"]


def test_span_that_the_program_ends_itself(made, caplog):
    """If the program has ended the current span, nothing of ours complains or changes it (case 46)."""

    @traced(result=lambda value: value)
    def work():
        trace.get_current_span().end()
        annotate(late=1)
        event("late")
        return 3

    @traced("fails")
    def fails():
        trace.get_current_span().end()
        raise ValueError

    assert work() == 3
    with pytest.raises(ValueError):
        fails()
    assert "result" not in made["work"].attributes
    assert made["fails"].status.status_code is StatusCode.UNSET
    assert caplog.records == []


def test_context_left_in_another_context(made, caplog):
    """A span left in another context than it was entered in is ended, silently (open-telemetry#2606)."""
    block = span("x")
    contextvars.copy_context().run(block.__enter__)
    block.__exit__(None, None, None)

    assert made.names == ["x"]
    assert caplog.records == []
    assert current_span_id() is None


def test_spans_in_the_open_telemetry_context(made):
    """Spans of OpenTelemetry's API and ours are parents of each other, in any context."""
    tracer = active.provider.get_tracer("mine")
    with tracer.start_as_current_span("theirs"), span("ours"), tracer.start_as_current_span("theirs again"):
        pass
    token = attach(Context({"other": "value"}))
    with span("in context"):
        assert get_value("other") == "value"
    detach(token)

    assert made.parent_of(made["theirs again"]) == "ours"
    assert made.parent_of(made["ours"]) == "theirs"
    assert made["in context"].parent is None


def test_start_attributes_are_seen_by_samplers():
    """Constants and annotated arguments are there when the sampler is asked (rule 5)."""
    seen = []

    class Asking(Sampler):
        def should_sample(self, parent_context, trace_id, name, kind=None, attributes=None, links=None):
            seen.append((name, {k: v for k, v in (attributes or {}).items() if not k.startswith("code.")}))
            return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes)

        def get_description(self):
            return "asking"

    @traced(attributes={"type": "web", "late": lambda order: 1})
    def place(order: Annotated[int, SpanAttr("order.id")]): ...

    for provider in (TracerProvider.lean({}, sampler=Asking()), SdkProvider(sampler=Asking(), shutdown_on_exit=False)):
        active.activate(provider)
        place(7)
        with span("x", a=1):
            pass
    assert seen == [("place", {"type": "web", "order.id": 7}), ("x", {"a": 1})] * 2


def test_span_limits_hold(made):
    """The provider's limits hold for what we write as for all else."""

    def limited(**limits):
        return made.provider(**{"span_limits" if made.engine == "sdk" else "limits": SpanLimits(**limits)})

    active.activate(limited(max_span_attributes=2))
    traced("work", capture="all")(lambda a, b, c, d: None)(1, 2, 3, 4)
    active.activate(limited(max_span_attribute_length=3))
    traced("short", capture="all")(lambda text: None)("x" * 9)

    assert dict(made["work"].attributes) == {"c": 3, "d": 4}
    assert made["work"].dropped_attributes == 5
    assert made["short"].attributes["text"] == "xxx"
