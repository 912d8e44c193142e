# SPDX-License-Identifier: Apache-2.0
"""A trace over its cap: repeated spans are folded into one that counts them, and every span is accounted for."""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import trace as trace_api
from opentelemetry.propagate import inject
from opentelemetry.trace import Link, SpanKind, StatusCode

from support.otlp import Answer, OtlpReceiver
from support.program import Place, lines_of_ours
from tellwhy.delivery import folding
from tellwhy.delivery.intake import Intake
from tellwhy.engine import TracerProvider
from tellwhy.engine.samplers import Sampler

CAP = 10


class Kept:
    """Who delivers: keeps what it is handed."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.is_crowded = False
        self.is_shut_down = False

    def on_end(self, span: Any) -> None:
        self.spans.append(span)

    def force_flush(self, timeout_millis: float | None = None) -> bool:
        return True

    def shutdown(self) -> None:
        self.is_shut_down = True


class Traced:
    """A provider with a cap, what it delivers, and the account."""

    def __init__(self, cap: int = CAP, **options: Any) -> None:
        self.kept = Kept()
        self.intake = Intake([self.kept], cap)
        self.provider = TracerProvider.lean({}, **options)
        self.provider.add_span_processor(self.intake)
        self.tracer: Any = self.provider.get_tracer("tests")

    def span(self, name: str, **options: Any) -> Any:
        return self.tracer.start_as_current_span(name, **options)

    @property
    def delivered(self) -> Counter[str]:
        return Counter(span.name for span in self.kept.spans)

    def folds(self) -> dict[str, int]:
        """The count on each span that stands for others, by its path of names."""
        return {self.path(span): span.attributes[COUNT] for span in self.kept.spans if COUNT in span.attributes}

    def path(self, span: Any) -> str:
        by_id = {one.context.span_id: one for one in self.kept.spans}
        names = [span.name]
        while span.parent is not None:
            span = by_id[span.parent.span_id]
            names.append(span.name)
        return "/".join(reversed(names))

    def check(self, produced: int) -> None:
        """The equation of law 2, nothing doubled, nothing held back for ever, and every parent there."""
        ids = [span.context.span_id for span in self.kept.spans]
        assert len(ids) == len(set(ids))
        assert {span.parent.span_id for span in self.kept.spans if span.parent} <= set(ids)
        stats = self.intake.members[0].stats()
        assert stats["produced"] == stats["folded"] + sum(stats["dropped"].values())
        assert stats["queued"] == 0
        assert produced == len(ids) + stats["produced"]


COUNT = "tellwhy.folded.count"
TOTAL, LEAST, MOST = (f"tellwhy.folded.duration.{what}" for what in ("total", "min", "max"))


@pytest.fixture
def traced() -> Traced:
    return Traced()


def test_below_the_cap_nothing_changes(traced: Traced) -> None:
    """A trace of as many spans as the cap allows is delivered as it is."""
    with traced.span("request"):
        for _ in range(CAP - 1):
            with traced.span("query"):
                pass
    assert traced.delivered == {"request": 1, "query": CAP - 1}
    assert traced.folds() == {}
    traced.check(CAP)


def test_a_loop_is_folded_into_one_span(traced: Traced) -> None:
    """The slowest of the spans over the cap is delivered; it says how many there were and how long they took."""
    with traced.span("request"):
        for number in range(50):
            span = traced.tracer.start_span("query", attributes={"number": number})
            span.end(span.start_time + (30 - abs(number - 30)) * 1_000_000_000)
    assert traced.delivered == {"request": 1, "query": CAP + 1}
    assert traced.folds() == {"request/query": 40}
    (slowest,) = [span for span in traced.kept.spans if COUNT in span.attributes]
    assert slowest.attributes["number"] == 30
    assert slowest.end_time - slowest.start_time == 30_000_000_000
    seconds = [30 - abs(number - 30) for number in range(10, 50)]
    assert slowest.attributes[TOTAL] == pytest.approx(sum(seconds))
    assert (slowest.attributes[LEAST], slowest.attributes[MOST]) == (pytest.approx(10), pytest.approx(30))
    traced.check(51)


def test_what_happens_once_is_not_marked(traced: Traced) -> None:
    """Spans over the cap that do not repeat themselves are all delivered, without a count."""
    with traced.span("request"):
        for number in range(50):
            with traced.span(f"step {number}"):
                pass
    assert len(traced.delivered) == 51
    assert traced.folds() == {}
    traced.check(51)


def test_names_kinds_and_parents_are_folded_apart(traced: Traced) -> None:
    """One name under two parents, or of two kinds, is two folds."""
    with traced.span("request"):
        for name in ("first", "second"):
            with traced.span(name):
                for _ in range(30):
                    with traced.span("query"):
                        pass
                    with traced.span("query", kind=SpanKind.CLIENT):
                        pass
    assert sorted(span.attributes[COUNT] for span in traced.kept.spans if COUNT in span.attributes) == [25, 25, 30, 30]
    traced.check(123)


def test_iterations_with_children_are_folded_whole(traced: Traced) -> None:
    """Of a loop whose steps make queries, one step is left with one query, each with its count."""
    with traced.span("request"):
        for _ in range(20):
            with traced.span("warm"):
                pass
        for _ in range(300):
            with traced.span("step"):
                for _ in range(2):
                    with traced.span("query"):
                        pass
    assert traced.folds() == {"request/warm": 10, "request/step": 300, "request/step/query": 600}
    assert traced.delivered["step"] == traced.delivered["query"] == 1
    traced.check(20 + 900 + 1)


def test_recursion_is_folded_by_depth() -> None:
    """A function that calls itself twice is one span for each depth, with the number of calls at that depth."""
    traced = Traced(cap=5)

    def work(depth: int) -> None:
        with traced.span("work"):
            if depth:
                work(depth - 1)
                work(depth - 1)

    with traced.span("request"):
        for _ in range(10):
            with traced.span("warm"):
                pass
        work(10)
    assert len(traced.kept.spans) < 60
    traced.check(1 + 10 + 2**11 - 1)


def test_an_error_is_never_folded(traced: Traced) -> None:
    """It is delivered, and so is everything above it; what is beside it is folded as before."""
    with traced.span("request"):
        for _ in range(CAP):
            with traced.span("warm"):
                pass
        for number in range(100):
            with traced.span("step"):
                for _ in range(3):
                    with traced.span("query"):
                        pass
                if number == 50:
                    with traced.span("charge") as span:
                        span.set_status(StatusCode.ERROR, "declined")
    (charge,) = [span for span in traced.kept.spans if span.name == "charge"]
    assert traced.path(charge) == "request/step/charge"
    assert traced.delivered["step"] == 2
    # The step of the error has its own queries, the other 99 have theirs together.
    assert sorted(span.attributes[COUNT] for span in traced.kept.spans if COUNT in span.attributes) == [3, 99, 297]
    traced.check(1 + CAP + 401)


def test_a_recorded_exception_is_an_error(traced: Traced) -> None:
    """Also where the program went on and the status is unset."""
    with traced.span("request"):
        for number in range(40):
            with traced.span("query") as span:
                if number == 30:
                    span.record_exception(ValueError("once"))
    assert len([span for span in traced.kept.spans if span.events]) == 1
    traced.check(41)


def test_who_is_referred_to_is_not_folded(traced: Traced) -> None:
    """A span whose context left the process is somebody's parent; one with a link, or a link's target, is referred to."""
    headers: list[dict[str, str]] = []
    with traced.span("request") as request:
        for number in range(60):
            with traced.span("call"):
                if number in (20, 40):
                    headers.append({})
                    inject(headers[-1])
            with traced.span("linked", links=[Link(request.get_span_context())] if number == 50 else None):
                pass
    ids = {f"{span.context.span_id:016x}" for span in traced.kept.spans}
    assert {one["traceparent"].split("-")[2] for one in headers} <= ids
    assert len([span for span in traced.kept.spans if span.links]) == 1
    traced.check(121)


def test_a_late_child_of_a_folded_span_finds_a_parent(traced: Traced) -> None:
    """A task that goes on when its step has ended hangs under what the step hung under."""
    with traced.span("request"):
        for _ in range(CAP + 5):
            slow = traced.tracer.start_span("step")
            slow.end(slow.start_time + 1_000_000_000)
        with traced.span("step") as step:
            pass
        late = traced.tracer.start_span("late", trace_api.set_span_in_context(step))
        late.set_status(StatusCode.ERROR)
        late.end()
    assert step not in traced.kept.spans, "it was folded"
    (found,) = [span for span in traced.kept.spans if span.name == "late"]
    assert traced.path(found) == "request/late"
    traced.check(CAP + 8)


def test_spans_after_the_end_of_their_trace_are_delivered(traced: Traced) -> None:
    """When the entry span has ended, nobody's end would release a fold: they go out as they come."""
    with traced.span("request") as request:
        pass
    for _ in range(50):
        traced.tracer.start_span("late", trace_api.set_span_in_context(request)).end()
    assert traced.delivered == {"request": 1, "late": 50}
    traced.check(51)


def test_a_trace_over_its_cap_gives_way_to_others(traced: Traced) -> None:
    """What cannot be folded is delivered while there is room, and dropped and counted when there is little."""
    with traced.span("request"):
        for number in range(CAP + 20):
            traced.kept.is_crowded = number >= CAP + 5
            with traced.span(f"step {number}"):
                with traced.span("query") as query:
                    query.set_status(StatusCode.ERROR)
    stats = traced.intake.members[0].stats()
    assert stats["dropped"]["trace_full"] > 0
    assert traced.delivered["request"] == 1
    assert stats["produced"] + len(traced.kept.spans) == 2 * CAP + 41


def test_flush_delivers_what_is_held(traced: Traced) -> None:
    """What is asked to be delivered now is, though its parent is open; the parent is delivered in its time."""
    with traced.span("request"):
        for _ in range(CAP):
            with traced.span("warm"):
                pass
        with traced.span("step"):
            for _ in range(30):
                with traced.span("query"):
                    pass
            assert traced.intake.members[0].stats()["queued"] == 1
            assert traced.intake.force_flush()
            assert [span.attributes.get(COUNT) for span in traced.kept.spans][-1] == 30
            assert traced.intake.members[0].stats()["queued"] == 0
        with traced.span("step"):
            pass
    assert traced.delivered["step"] == 2
    traced.check(CAP + 33)


def test_shutdown_delivers_what_is_held_and_holds_nothing_more(traced: Traced) -> None:
    """After it spans go to those behind as they come, who count them."""
    with traced.span("request"):
        for _ in range(CAP + 5):
            with traced.span("query"):
                pass
        traced.provider.shutdown()
        assert traced.kept.is_shut_down
        assert len(traced.kept.spans) == CAP + 1
        for _ in range(3):
            with traced.span("query"):
                pass
    assert len(traced.kept.spans) == CAP + 5


def test_unsampled_spans_are_none_of_its_business() -> None:
    """Spans that are recorded and not sampled are handed on as ever: those behind leave them out."""

    class RecordOnly(Sampler):
        def should_sample(self, *_: Any, **__: Any) -> Any:
            from opentelemetry.sdk.trace.sampling import Decision, SamplingResult

            return SamplingResult(Decision.RECORD_ONLY)

        def get_description(self) -> str:
            return "record only"

    traced = Traced(sampler=RecordOnly())
    with traced.span("request"):
        for _ in range(50):
            with traced.span("query"):
                pass
    assert traced.delivered == {"request": 1, "query": 50}


def test_threads_lose_nothing(traced: Traced) -> None:
    """Threads that work under one request fold into the same spans, and the account is exact."""
    with traced.span("request") as request:
        context = trace_api.set_span_in_context(request)

        def work() -> None:
            for _ in range(500):
                with traced.span("step", context=context):
                    with traced.span("query"):
                        pass

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    traced.check(8001)
    assert len(traced.kept.spans) < CAP + 30


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_starts_afresh(traced: Traced) -> None:
    """What is held at a fork is the parent's to deliver."""
    with traced.span("request"):
        for _ in range(CAP + 5):
            with traced.span("query"):
                pass
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            traced.intake.force_flush()
            stats = traced.intake.members[0].stats()
            os.write(write, f"{stats['produced']} {len(traced.kept.spans)}".encode())
            os._exit(0)
        os.waitpid(child, 0)
        assert os.read(read, 100) == f"0 {CAP}".encode()
    traced.check(CAP + 6)


@st.composite
def _programs(draw: st.DrawFn) -> list[tuple[str, int, int]]:
    """Steps of a program: start a span under an open or ended one, end one in any order, flush."""
    return draw(
        st.lists(
            st.tuples(
                st.sampled_from(["start", "start", "end", "end", "fail", "send", "flush"]), *[st.integers(0, 50)] * 2
            ),
            max_size=80,
        )
    )


@settings(max_examples=500, deadline=None)
@given(_programs(), st.integers(0, 6))
def test_the_account_is_exact_whatever_the_order(steps: list[tuple[str, int, int]], cap: int) -> None:
    """Children that outlive parents, flushes in between: each span is delivered once or folded, errors are delivered."""
    traced = Traced(cap=max(1, cap))
    root = traced.tracer.start_span("request")
    started, open_spans, failed = [root], [], []
    for what, one, two in steps:
        if what == "start":
            parent = started[one % len(started)]
            span = traced.tracer.start_span(f"work {two % 3}", trace_api.set_span_in_context(parent))
            started.append(span)
            open_spans.append(span)
        elif what == "flush":
            traced.intake.force_flush()
        elif open_spans:
            span = open_spans.pop(one % len(open_spans))
            if what == "fail":
                span.set_status(StatusCode.ERROR)
                failed.append(span)
            elif what == "send":
                failed.append(span)
                span.get_span_context()
            span.end(span.start_time + two * 1_000_000)
    for span in open_spans:
        span.end()
    root.end()
    delivered = {id(span) for span in traced.kept.spans}
    assert {id(span) for span in failed} <= delivered
    counted = sum(span.attributes.get(COUNT, 1) for span in traced.kept.spans)
    assert counted == len(started)
    traced.check(len(started))


@pytest.fixture
def place(tmp_path: Any) -> Iterator[tuple[Place, OtlpReceiver]]:
    with OtlpReceiver() as receiver:
        yield Place(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint), receiver


LOOP = """
import tellwhy, json
tellwhy.setup_tracing(service_name="shop")

@tellwhy.traced
def query(number): return number

@tellwhy.traced
def other_request(): return 1

for _ in range(100): other_request()
with tellwhy.span("GET /report"):
    for number in range(50_000): query(number)
for _ in range(100): other_request()
tellwhy.flush(10)
print(json.dumps(tellwhy.stats()))
"""


def test_fifty_thousand_queries_evict_nobody(place: tuple[Place, OtlpReceiver]) -> None:
    """A program as a user has it: everyone else's spans arrive, and the loop's are counted on one span."""
    program, receiver = place
    program.write("report.py", LOOP)

    done = program.run("python", "report.py")

    stats = json.loads(done.stdout)
    arrived = Counter(span.name for span in receiver.spans())
    assert arrived["other_request"] == 200
    assert arrived["GET /report"] == 1
    (fold,) = [span for span in receiver.spans() if COUNT in span.attributes]
    assert fold.attributes[COUNT] + arrived["query"] - 1 == 50_000
    assert fold.attributes[LEAST] <= fold.attributes[MOST] == pytest.approx(fold.duration_ms / 1000)
    assert stats["produced"] == 50_201 == stats["delivered"] + stats["folded"] and stats["dropped"] == {}
    assert [line for line in lines_of_ours(done.stderr) if "not delivered" in line] == []


@pytest.mark.parametrize(("cap", "arrive"), [("0", 301), ("50", 52)])
def test_the_cap_is_a_setting(place: tuple[Place, OtlpReceiver], cap: str, arrive: int) -> None:
    """``TELLWHY_SPANS_PER_TRACE=50`` is another cap, and 0 is none."""
    program, receiver = place
    program.write("report.py", LOOP.replace("50_000", "300").replace("range(100)", "range(0)"))
    program.run("python", "report.py", TELLWHY_SPANS_PER_TRACE=cap)
    spans = receiver.spans(count=arrive)
    assert sum(span.attributes.get(COUNT, 1) for span in spans) == 301


def test_a_provider_of_the_sdk_may_have_it_too() -> None:
    """Its spans go through as they are: whether they may be folded, nobody can tell."""
    from opentelemetry.sdk.trace import TracerProvider as SdkProvider

    kept = Kept()
    provider = SdkProvider(shutdown_on_exit=False)
    provider.add_span_processor(Intake([kept], CAP, open_spans=1000))  # type: ignore[arg-type]  # by protocol
    tracer = provider.get_tracer("tests")
    with tracer.start_as_current_span("request"):
        for _ in range(3 * CAP):
            with tracer.start_as_current_span("query"):
                pass
    assert len(kept.spans) == 3 * CAP + 1
    assert provider.force_flush()
    provider.shutdown()
    assert kept.is_shut_down


def test_spans_that_log_are_folded_all_the_same(place: tuple[Place, OtlpReceiver]) -> None:
    """The ids on a log line are read, not handed on; with metrics of spans on, every span is counted there."""
    program, receiver = place
    program.write(
        "report.py",
        "import logging, tellwhy\nlogging.basicConfig(format='%(message)s %(span_id)s', level=logging.INFO)\n"
        "tellwhy.setup_tracing()\n"
        "@tellwhy.traced\ndef query(number): logging.info('query')\n"
        "with tellwhy.span('report'):\n    for number in range(300): query(number)\n",
    )
    done = program.run("python", "report.py", TELLWHY_SPANS_PER_TRACE="50", OTEL_METRICS_EXPORTER="otlp")
    assert done.returncode == 0, done.stderr
    assert sum(span.attributes.get(COUNT, 1) for span in receiver.spans(count=52)) == 301


def test_a_span_that_ends_while_its_thread_sorts(traced: Traced, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a signal handler or finalizer, which come at any moment: it is sorted next, and nothing gets lost."""
    ends: list[Any] = []

    class InterruptedFold(folding.Fold):
        def __init__(self, span: Any, below: Any) -> None:
            if ends and span.name.startswith("step"):
                ends.pop().end()
            super().__init__(span, below)

    monkeypatch.setattr(folding, "Fold", InterruptedFold)
    with traced.span("request"):
        for number in range(100):
            ends.append(traced.tracer.start_span(f"step {number}"))
            with traced.span(f"step {number}"):
                for _ in range(2):
                    with traced.span("query"):
                        pass
    traced.check(401)


STORM = """
import json, threading, time
import tellwhy
tellwhy.setup_tracing(service_name="shop")

@tellwhy.traced
def query(number):
    raise ConnectionError(f"no database {number}")

@tellwhy.traced
def request(number): return number

def storm():
    with tellwhy.span("GET /report"):
        for number in range(20_000):
            try:
                query(number)
            except ConnectionError:
                pass

request(0)
thread = threading.Thread(target=storm)
thread.start()
made = 1
while thread.is_alive():
    request(made)
    made += 1
    time.sleep(0.005)
thread.join()
tellwhy.flush(30)
print(json.dumps({**tellwhy.stats(), "made": made}))
"""


def test_a_storm_of_errors_evicts_nobody(place: tuple[Place, OtlpReceiver]) -> None:
    """Errors are not folded. At a slow receiver those of one trace give way, and every other trace arrives whole."""
    program, receiver = place
    receiver.answer = lambda post: Answer(delay=0.2)
    program.write("storm.py", STORM)

    done = program.run("python", "storm.py")

    stats = json.loads(done.stdout)
    arrived = Counter(span.name for span in receiver.spans())
    assert arrived["request"] == stats["made"] > 50
    assert arrived["GET /report"] == 1
    assert set(stats["dropped"]) == {"trace_full"}
    assert arrived["query"] + stats["dropped"]["trace_full"] == 20_000
    assert stats["produced"] == stats["delivered"] + stats["dropped"]["trace_full"] == 20_001 + stats["made"]
    assert any("trace_full" in line for line in lines_of_ours(done.stderr)), "said at exit"


LOOP_UNDER_AN_OPEN_SPAN = """
import tellwhy
tellwhy.setup_tracing(service_name="shop", spans_per_trace=20)

@tellwhy.traced
def query(number): return number

block = tellwhy.span("report")
block.__enter__()
for number in range(300): query(number)
"""


@pytest.mark.parametrize(
    "end", ["", "tellwhy.shutdown()", "tellwhy.flush()\nimport os; os._exit(0)", "import sys; sys.exit(3)"]
)
def test_what_is_held_arrives_however_it_ends(place: tuple[Place, OtlpReceiver], end: str) -> None:
    """A fold waits for its parent; an exit, a shutdown and a flush do not."""
    program, receiver = place
    program.write("report.py", LOOP_UNDER_AN_OPEN_SPAN + end)
    program.run("python", "report.py")
    queries = [span for span in receiver.spans() if span.name == "query"]
    assert len(queries) == 21
    assert sum(span.attributes.get(COUNT, 1) for span in queries) == 300


def test_the_cap_can_be_changed_while_the_program_runs(place: tuple[Place, OtlpReceiver]) -> None:
    """A second ``setup_tracing()`` takes another cap into force; what is held by then is delivered."""
    program, receiver = place
    program.write(
        "report.py",
        LOOP_UNDER_AN_OPEN_SPAN
        + "tellwhy.setup_tracing(spans_per_trace=0)\nfor number in range(300): query(number)\n"
        + "block.__exit__(None, None, None)\ntellwhy.flush()\nprint(tellwhy.stats())\n",
    )
    done = program.run("python", "report.py")
    assert done.returncode == 0, done.stderr
    spans = receiver.spans(count=322)
    assert sum(span.attributes.get(COUNT, 1) for span in spans) == 601
