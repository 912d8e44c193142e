# SPDX-License-Identifier: Apache-2.0
"""Spans that are still open are seen before they end, marked, and give way to the finished ones."""

from __future__ import annotations

import gc
import itertools
import json
import subprocess
import threading
import time
import weakref
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.otlp import Answer, OtlpReceiver, ReceivedSpan
from support.program import Place, lines_of_ours, wait_until
from tellwhy.delivery import BatchSpanProcessor, OTLPSpanExporter
from tellwhy.delivery.intake import Intake
from tellwhy.engine import TracerProvider
from tellwhy.viewer.model import Span as ViewerSpan
from tellwhy.viewer.model import build_trace

MARK = "tellwhy.unfinished"
INTERVAL = 100  # ms


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as running:
        yield running


class Traced:
    """A provider whose open spans are shown, in this process."""

    def __init__(self, receiver: OtlpReceiver, cap: int = 0, interval: int = INTERVAL, delay: float = 5000) -> None:
        exporter = OTLPSpanExporter(receiver.endpoint + "/v1/traces", timeout=2)
        self.processor = BatchSpanProcessor(exporter, schedule_delay_millis=delay)
        self.intake = Intake([self.processor], cap, interval)
        self.provider = TracerProvider.lean({})
        self.provider.add_span_processor(self.intake)
        self.tracer: Any = self.provider.get_tracer("tests")

    def stats(self) -> dict[str, Any]:
        from tellwhy.delivery.stats import total

        return total(member.stats() for member in self.intake.members)


@pytest.fixture
def traced(receiver: OtlpReceiver) -> Iterator[Traced]:
    made = Traced(receiver)
    yield made
    made.provider.shutdown()


def copies_of(receiver: OtlpReceiver, name: str) -> list[ReceivedSpan]:
    return [span for span in receiver.spans() if span.name == name and MARK in span.attributes]


AGENT = """
import json, sys, time
import tellwhy
tellwhy.setup_tracing(service_name="agent")
with tellwhy.span("turn", user=7):
    for number in range(2):
        with tellwhy.span("chat"):
            time.sleep(0.05)
        tellwhy.annotate(step=number)
    print("thinking", flush=True)
    with tellwhy.span("think"):
        sys.stdin.read()
    tellwhy.annotate(answer="ready")
tellwhy.flush()
print(json.dumps(tellwhy.stats()), flush=True)
"""


def test_a_long_turn_is_seen_before_it_ends(tmp_path: Path, receiver: OtlpReceiver) -> None:
    """An agent that thinks: its turn is there with what has ended below it, and the finished one replaces it."""
    place = Place(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, TELLWHY_OPEN_SPANS="200")
    place.write("agent.py", AGENT)
    with place.start("python", "agent.py", stdin=subprocess.PIPE) as agent:
        agent.wait_for("thinking")
        copy = receiver.wait_for(lambda span: span.name == "turn" and span.attributes.get("step") == 1)
        thought = receiver.wait_for(lambda span: span.name == "think")
        assert copy.attributes == {"user": 7, "step": 1, MARK: True}
        assert thought.attributes[MARK] is True
        assert thought.parent_span_id == copy.span_id
        assert 0 < copy.duration_ms < 60_000
        # What has ended below is not held back until the next regular batch.
        assert [span.parent_span_id for span in receiver.spans() if span.name == "chat"] == [copy.span_id] * 2
        done = agent.finish("")
    assert done.returncode == 0, done.stderr
    whole = [span for span in receiver.spans() if MARK not in span.attributes]
    assert sorted(span.name for span in whole) == ["chat", "chat", "think", "turn"]
    (turn,) = [span for span in whole if span.name == "turn"]
    assert (turn.trace_id, turn.span_id, turn.start_ns) == (copy.trace_id, copy.span_id, copy.start_ns)
    assert turn.attributes == {"user": 7, "step": 1, "answer": "ready"}
    assert receiver.spans()[-1].attributes.get(MARK) is None
    stats = json.loads(done.stdout.splitlines()[-1])
    assert stats["snapshots"] >= 2
    assert stats["produced"] == stats["delivered"] == 4


def test_off_unless_asked_for(tmp_path: Path, receiver: OtlpReceiver) -> None:
    """By default a span is sent once, when it has ended."""
    place = Place(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint)
    place.write(
        "job.py",
        "import tellwhy, time; tellwhy.setup_tracing()\nwith tellwhy.span('job'): time.sleep(2.5)\nprint(tellwhy.stats())",
    )
    done = place.run("python", "job.py")
    assert [span.name for span in receiver.spans()] == ["job"]
    assert "'snapshots': 0" in done.stdout


def test_the_sdk_engine_says_that_it_cannot(tmp_path: Path, receiver: OtlpReceiver) -> None:
    """What only the lean engine can do is said at the start."""
    place = Place(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, TELLWHY_ENGINE="sdk")
    place.write("job.py", "import tellwhy; tellwhy.setup_tracing()\nwith tellwhy.span('job'): pass")
    done = place.run("python", "job.py", TELLWHY_OPEN_SPANS="1000", TELLWHY_SPANS_PER_TRACE="10")
    said = [line for line in lines_of_ours(done.stderr) if "is ignored: TELLWHY_ENGINE=sdk" in line]
    assert [line.split(" ")[0] for line in said] == ["TELLWHY_SPANS_PER_TRACE", "TELLWHY_OPEN_SPANS"]
    assert lines_of_ours(place.run("python", "job.py").stderr)[1:] == []


def test_short_spans_are_sent_once(traced: Traced, receiver: OtlpReceiver) -> None:
    """What ends within the interval is never copied."""
    for _ in range(300):
        with traced.tracer.start_as_current_span("request"):
            with traced.tracer.start_as_current_span("query"):
                time.sleep(0.001)
    assert traced.provider.force_flush()
    assert len(receiver.spans()) == 600
    assert traced.stats()["snapshots"] == 0


def test_an_idle_span_is_sent_more_and_more_seldom(traced: Traced, receiver: OtlpReceiver) -> None:
    """Nothing new to tell: it is sent when it is open for twice as long, not at every turn."""
    with traced.tracer.start_as_current_span("socket"):
        time.sleep(INTERVAL * 20 / 1000)
    sent = copies_of(receiver, "socket")
    assert 2 <= len(sent) <= 6
    ages = [span.duration_ms for span in sent]
    assert all(later >= 1.9 * earlier for earlier, later in itertools.pairwise(ages))


def test_a_change_is_sent(traced: Traced, receiver: OtlpReceiver) -> None:
    """New attributes, values, events, names and states are sent within one and a half intervals."""
    with traced.tracer.start_as_current_span("turn") as span:
        for change in (
            lambda: span.set_attribute("step", 1),
            lambda: span.set_attribute("step", 2),
            lambda: span.add_event("tool"),
            lambda: span.update_name("turn"),
        ):
            change()
            before = len(copies_of(receiver, "turn"))
            wait_until(lambda before=before: len(copies_of(receiver, "turn")) > before, "a copy")
        wait_until(lambda: copies_of(receiver, "turn")[-1].events, "a copy with its event")
        assert copies_of(receiver, "turn")[-1].attributes == {"step": 2, MARK: True}


def test_no_copy_comes_after_its_span(receiver: OtlpReceiver) -> None:
    """Spans that end about when they are copied, from many threads: what arrives last is the finished one."""
    traced = Traced(receiver, interval=60)

    def work(seed: int) -> None:
        for number in range(25):
            with traced.tracer.start_as_current_span("work"):
                time.sleep(0.03 + (seed * 7 + number * 13) % 60 / 1000)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert traced.provider.force_flush()
    arrived: dict[str, list[bool]] = defaultdict(list)
    for span in receiver.spans():
        arrived[span.span_id].append(MARK in span.attributes)
    assert len(arrived) == 300
    assert {tuple(marks[-1:]) for marks in arrived.values()} == {(False,)}
    assert all(marks.count(False) == 1 for marks in arrived.values())
    stats = traced.stats()
    assert stats["snapshots"] == len(receiver.spans()) - 300 > 0
    assert stats["delivered"] == stats["produced"] == 300
    traced.provider.shutdown()


def test_a_copy_that_fails_is_not_tried_again(receiver: OtlpReceiver) -> None:
    """It is counted apart; the span itself is delivered when the receiver is back."""
    receiver.answer = lambda post: Answer(503)
    traced = Traced(receiver)
    with traced.tracer.start_as_current_span("turn"):
        wait_until(lambda: traced.stats()["snapshots_failed"] >= 1, "a copy that fails")
        receiver.answer = lambda post: Answer()
        wait_until(lambda: traced.stats()["snapshots"] >= 1, "a copy that arrives")
    assert traced.provider.force_flush()
    stats = traced.stats()
    assert (stats["produced"], stats["delivered"], stats["dropped"]) == (1, 1, {})
    traced.provider.shutdown()


def test_what_was_seen_is_not_folded(receiver: OtlpReceiver) -> None:
    """A span of which a copy was sent is delivered, though its trace is over its cap."""
    traced = Traced(receiver, cap=5)
    with traced.tracer.start_as_current_span("request"):
        for number in range(30):
            with traced.tracer.start_as_current_span("query"):
                if number == 20:
                    wait_until(lambda: copies_of(receiver, "query"), "a copy")
    assert traced.provider.force_flush()
    (copy,) = copies_of(receiver, "query")
    assert [span for span in receiver.spans() if span.span_id == copy.span_id and MARK not in span.attributes]
    traced.provider.shutdown()


def test_a_span_that_changes_while_it_is_copied(receiver: OtlpReceiver, capfd: Any) -> None:
    """Threads that set attributes and add events at that very moment: no fault, and each copy is whole."""
    traced = Traced(receiver, interval=60)
    until = time.monotonic() + 1.5
    with traced.tracer.start_as_current_span("busy") as span:

        def change(number: int) -> None:
            step = 0
            while time.monotonic() < until:
                step += 1
                span.set_attribute(f"key {number} {step % 40}", step)
                span.add_event("step")

        threads = [threading.Thread(target=change, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert traced.provider.force_flush()
    assert len(copies_of(receiver, "busy")) >= 5
    assert "fault" not in capfd.readouterr().err
    traced.provider.shutdown()


def test_spans_that_never_end_are_not_kept_in_memory(traced: Traced) -> None:
    """Whoever throws a span away without ending it has thrown it away."""
    span = traced.tracer.start_span("lost")
    gone = weakref.ref(span)
    del span
    gc.collect()
    assert gone() is None


def test_fork(tmp_path: Path, receiver: OtlpReceiver) -> None:
    """A child shows its own open spans, not its parent's."""
    place = Place(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, TELLWHY_OPEN_SPANS="100")
    place.write(
        "forks.py",
        "import os, time, tellwhy; tellwhy.setup_tracing()\n"
        "with tellwhy.span('parent', pid=os.getpid()):\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        with tellwhy.span('child', pid=os.getpid()): time.sleep(0.5)\n"
        "        time.sleep(0.4)\n"
        "        tellwhy.flush()\n"
        "        os._exit(0)\n"
        "    os.waitpid(child, 0)\n",
    )
    assert place.run("python", "forks.py").returncode == 0
    for name in ("parent", "child"):
        assert copies_of(receiver, name)
        assert len({span.attributes["pid"] for span in receiver.spans() if span.name == name}) == 1
        assert all(
            span.resource["process.pid"] == span.attributes["pid"] for span in receiver.spans() if span.name == name
        )


def test_the_viewer_keeps_the_finished_one() -> None:
    """Whatever the order of arrival and whatever the clocks say; of two copies, the later one."""

    def span(end: int, **attributes: Any) -> ViewerSpan:
        return ViewerSpan("7d2b" * 8, "1" * 16, "", "turn", "internal", 1, end, attributes=attributes)

    done, first, second = span(50, answer="ready"), span(20, **{MARK: True}), span(60, **{MARK: True})
    for order in ([first, second, done], [done, first, second], [second, done, first]):
        assert build_trace(order).entry is done
    assert build_trace([second, first]).entry is second
