# SPDX-License-Identifier: Apache-2.0
"""The batch processor: a drop-in for the SDK's, for any exporter, bounded, and every span accounted for."""

from __future__ import annotations

import io
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import context as context_api
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from faults.receiver import FaultyReceiver, accept, hang, status, wait_until
from tellwhy.delivery import BatchSpanProcessor, OTLPSpanExporter
from tellwhy.delivery.stats import exit_line, lost, total


def balanced(stats: dict[str, Any]) -> bool:
    """Tell whether the equation of law 2 holds."""
    return bool(
        stats["produced"] == stats["delivered"] + stats["queued"] + stats["spooled"] + sum(stats["dropped"].values())
    )


class Gate:
    """An exporter that is held up until it is let go."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.entered = threading.Event()
        self.batches: list[int] = []
        self.names: list[str] = []

    def export(self, spans: Any) -> SpanExportResult:
        self.entered.set()
        self.opened.wait(10)
        self.batches.append(len(spans))
        self.names += [span.name for span in spans]
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self.opened.set()


def provider_with(processor: BatchSpanProcessor, **arguments: Any) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False, **arguments)
    provider.add_span_processor(processor)  # type: ignore[arg-type]  # by protocol, not by inheritance
    return provider


def make(provider: TracerProvider, count: int) -> None:
    tracer = provider.get_tracer("test")
    for number in range(count):
        tracer.start_span(f"span {number}").end()


@pytest.fixture
def receiver() -> Iterator[FaultyReceiver]:
    with FaultyReceiver() as running:
        yield running


def to(receiver: FaultyReceiver, **arguments: Any) -> BatchSpanProcessor:
    """Return a processor that sends to the receiver, impatiently."""
    exporter = OTLPSpanExporter(receiver.endpoint + "/v1/traces", timeout=arguments.pop("timeout", 10))
    return BatchSpanProcessor(exporter, **{"schedule_delay_millis": 50, "exit_budget_millis": 500, **arguments})


def test_it_is_a_drop_in_for_the_sdks_processor() -> None:
    """Same keywords, same order of arguments; any exporter gets the spans, in order."""
    exporter = InMemorySpanExporter()
    provider = provider_with(BatchSpanProcessor(exporter, 100, 5000, 10, 30000))
    make(provider, 25)

    assert provider.force_flush() is True
    assert [span.name for span in exporter.get_finished_spans()] == [f"span {number}" for number in range(25)]
    provider.shutdown()


def test_the_console_exporter_works_too() -> None:
    """Exporters know nothing of who calls them."""
    out = io.StringIO()
    provider = provider_with(BatchSpanProcessor(ConsoleSpanExporter(out=out)))
    make(provider, 1)
    provider.shutdown()

    assert '"name": "span 0"' in out.getvalue()


@pytest.mark.parametrize(
    "arguments",
    [
        {"max_queue_size": 0},
        {"schedule_delay_millis": 0},
        {"max_export_batch_size": -1},
        {"max_queue_size": 10, "max_export_batch_size": 11},
    ],
)
def test_wrong_numbers_raise_as_in_the_sdk(arguments: dict[str, int]) -> None:
    """ValueError, at construction."""
    with pytest.raises(ValueError, match="must be"):
        BatchSpanProcessor(InMemorySpanExporter(), **arguments)


def test_a_queue_below_the_default_batch_size_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """OTEL_BSP_MAX_QUEUE_SIZE=100 alone is a sound setting: batches are no larger than the queue."""
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "100")
    exporter = Gate()
    exporter.opened.set()
    provider = provider_with(BatchSpanProcessor(exporter))
    make(provider, 100)
    provider.shutdown()

    assert sum(exporter.batches) == 100


def test_no_thread_before_the_first_span() -> None:
    """Nor a socket: an idle process pays nothing."""
    before = threading.active_count()
    processor = BatchSpanProcessor(OTLPSpanExporter("http://127.0.0.1:1/v1/traces"), exit_budget_millis=200)
    provider = provider_with(processor)

    assert threading.active_count() == before
    assert processor.force_flush() is True
    make(provider, 1)
    assert threading.active_count() == before + 1
    provider.shutdown()
    wait_until(lambda: threading.active_count() == before)


def test_unsampled_spans_are_not_queued() -> None:
    """A recorded but unsampled span is for processors, not for export."""
    exporter = InMemorySpanExporter()
    processor = BatchSpanProcessor(exporter)
    make(provider_with(processor, sampler=ALWAYS_OFF), 5)

    assert processor.stats()["produced"] == 0
    processor.shutdown()


def test_a_full_batch_wakes_the_worker(receiver: FaultyReceiver) -> None:
    """Long before the delay has passed; not only the first one of a process, which goes out early anyway."""
    processor = to(receiver, schedule_delay_millis=60_000, max_export_batch_size=100)
    provider = provider_with(processor)
    make(provider, 100)
    receiver.wait_for(100)
    make(provider, 100)

    receiver.wait_for(200)
    processor.shutdown()


def test_the_first_batch_of_a_process_goes_out_early(receiver: FaultyReceiver) -> None:
    """Whoever looks for a first trace waits a second, not five; later ones keep to the delay."""
    processor = to(receiver, schedule_delay_millis=60_000)
    provider = provider_with(processor)
    make(provider, 3)
    receiver.wait_for(3)
    make(provider, 1)
    time.sleep(0.3)

    assert receiver.unique == 3
    processor.shutdown()
    assert receiver.unique == 4


def test_the_queue_is_bounded_and_the_oldest_goes_first() -> None:
    """Every span is delivered or counted, to the span, and the newest survive."""
    exporter = Gate()
    processor = BatchSpanProcessor(
        exporter, max_queue_size=50, max_export_batch_size=10, schedule_delay_millis=1, exit_budget_millis=3000
    )
    provider = provider_with(processor)
    make(provider, 10)
    assert exporter.entered.wait(5)
    make(provider, 500)
    stats = processor.stats()

    assert balanced(stats)
    assert stats["produced"] == 510
    assert stats["queued"] <= 60
    exporter.opened.set()
    provider.shutdown()
    stats = processor.stats()
    assert balanced(stats)
    delivered = sum(exporter.batches)
    assert 51 <= delivered <= 60  # the queue, and the batch that was held up
    assert stats["delivered"] == delivered
    assert stats["dropped"] == {"queue_full": 510 - delivered}
    assert exporter.names[-50:] == [f"span {number}" for number in range(450, 500)]


def test_many_threads_lose_nothing_unaccounted(receiver: FaultyReceiver) -> None:
    """Eight threads end spans as fast as they can into a queue that is too small."""
    processor = to(receiver, max_queue_size=200, max_export_batch_size=50, exit_budget_millis=5000, timeout=5)
    provider = provider_with(processor)
    threads = [threading.Thread(target=make, args=(provider, 1000)) for _ in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert balanced(processor.stats())
    provider.shutdown()
    stats = processor.stats()

    assert balanced(stats)
    assert stats["produced"] == 8000
    assert stats["queued"] == 0
    assert stats["delivered"] == receiver.unique
    assert set(stats["dropped"]) <= {"queue_full"}
    assert receiver.duplicates == 0


def test_flush_keeps_its_time_and_tells_the_truth(receiver: FaultyReceiver) -> None:
    """True only when the receiver has everything; at a hanging one, False when the time is up."""
    processor = to(receiver, timeout=10)
    provider = provider_with(processor)
    make(provider, 10)
    assert processor.force_flush(5000) is True
    assert receiver.unique == 10

    receiver.behave = hang
    make(provider, 5)
    started = time.monotonic()
    assert processor.force_flush(200) is False
    assert 0.15 < time.monotonic() - started < 0.6
    receiver.go_away()
    processor.shutdown_within(0.2)


def test_flush_does_not_wait_for_a_receiver_that_is_not_there(receiver: FaultyReceiver) -> None:
    """A refused connection is an answer: False comes at once, the spans stay queued."""
    receiver.go_away()
    processor = to(receiver)
    make(provider_with(processor), 3)
    started = time.monotonic()

    assert processor.force_flush(5000) is False
    assert time.monotonic() - started < 1.0
    assert processor.stats()["queued"] == 3
    receiver.come_back()
    assert processor.force_flush(5000) is True
    assert receiver.unique == 3
    processor.shutdown()


def test_flush_tries_again_while_the_receiver_asks_for_patience(receiver: FaultyReceiver) -> None:
    """503 with Retry-After within the timeout: waited for."""
    answers = [status(503, {"retry-after": "0"}), status(503, {"retry-after": "0"})]
    receiver.behave = lambda exchange: (answers.pop() if answers else accept)(exchange)
    processor = to(receiver)
    make(provider_with(processor), 3)

    assert processor.force_flush(5000) is True
    assert receiver.requests == 3
    processor.shutdown()


def test_flush_respects_a_retry_after_beyond_its_time(receiver: FaultyReceiver) -> None:
    """The receiver has named a time; asking earlier would be against the rules."""
    receiver.behave = status(429, {"retry-after": "60"})
    processor = to(receiver)
    make(provider_with(processor), 3)
    assert processor.force_flush(300) is False
    requests = receiver.requests
    assert processor.force_flush(300) is False

    assert receiver.requests == requests == 1
    processor.shutdown()
    assert receiver.requests == 1


def test_after_shutdown_spans_are_counted(receiver: FaultyReceiver) -> None:
    """Neither queued nor lost in silence; a second shutdown does nothing."""
    processor = to(receiver)
    provider = provider_with(processor)
    make(provider, 2)
    processor.shutdown()
    processor.shutdown()
    make(provider, 3)

    assert processor.force_flush() is False
    assert receiver.unique == 2
    assert processor.stats()["dropped"] == {"after_shutdown": 3}


def test_shutdown_keeps_its_budget_at_a_hanging_receiver(receiver: FaultyReceiver) -> None:
    """What was not delivered is counted, what was in flight included."""
    receiver.behave = hang
    processor = to(receiver, timeout=10, exit_budget_millis=300)
    make(provider_with(processor), 700)
    started = time.monotonic()
    processor.shutdown()

    assert time.monotonic() - started < 0.9
    stats = processor.stats()
    assert balanced(stats)
    assert stats["dropped"] == {"exit": 700}


class Broken:
    """An exporter that fails in the way it is told to."""

    def __init__(self, how: object) -> None:
        self.how = how

    def export(self, spans: Any) -> Any:
        if isinstance(self.how, Exception):
            raise self.how
        return self.how

    def shutdown(self) -> None:
        raise RuntimeError("not even this")


@pytest.mark.parametrize("how", [SpanExportResult.FAILURE, ValueError("no")])
def test_what_a_foreign_exporter_gives_up_is_dropped_and_counted(how: object, capfd: Any) -> None:
    """The specification: a failed batch must be dropped. It is told of, with the exporter's name."""
    processor = BatchSpanProcessor(Broken(how))
    make(provider_with(processor), 7)
    processor.shutdown()

    assert processor.stats()["dropped"] == {"export_failed": 7}
    assert "Broken does not take spans" in capfd.readouterr().err


def test_a_foreign_exporter_that_returns_nothing_is_believed() -> None:
    """Many a hand-written one forgets the result."""
    processor = BatchSpanProcessor(Broken(None))
    make(provider_with(processor), 7)
    processor.shutdown()

    assert processor.stats()["delivered"] == 7


def test_exporters_run_with_instrumentation_suppressed() -> None:
    """Whatever an exporter calls makes no spans: OpenTelemetry's key and ours are set, for it alone."""
    seen: list[object] = []

    class Nosy(Broken):
        def export(self, spans: Any) -> Any:
            from tellwhy.engine import active

            seen.append(context_api.get_value(context_api._SUPPRESS_INSTRUMENTATION_KEY))
            seen.append(context_api.get_value(context_api._SUPPRESS_HTTP_INSTRUMENTATION_KEY))
            seen.append(active.suppress.get())
            return None

    processor = BatchSpanProcessor(Nosy(None))
    make(provider_with(processor), 1)
    assert processor.force_flush() is True

    assert seen == [True, True, True]
    assert context_api.get_value(context_api._SUPPRESS_INSTRUMENTATION_KEY) is None
    processor.shutdown()


def test_an_exporter_that_flushes_its_own_provider_does_not_deadlock() -> None:
    """It would wait for itself."""
    answers: list[bool] = []

    class Loop(Broken):
        def export(self, spans: Any) -> Any:
            answers.append(processor.force_flush(5000))
            return None

    processor = BatchSpanProcessor(Loop(None))
    make(provider_with(processor), 1)

    assert processor.force_flush(3000) is True
    assert answers == [False]
    processor.shutdown()


def test_a_span_may_end_in_a_signal_handler(receiver: FaultyReceiver) -> None:
    """Whatever the main thread is doing with the processor at that moment: no deadlock, nothing lost."""
    processor = to(receiver, max_queue_size=1_000_000, timeout=10)
    span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("span")
    span.end()
    fired = made = 0

    def handler(*_: object) -> None:
        nonlocal fired
        fired += 1
        processor.on_end(span)
        assert balanced(processor.stats())

    old = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
        while fired < 100:
            processor.on_end(span)
            made += 1
            processor.stats()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    processor.shutdown_within(20)
    stats = processor.stats()

    assert stats["dropped"] == {}
    assert stats["produced"] == made + fired == stats["delivered"]


def test_ending_a_span_never_raises(capfd: Any) -> None:
    """Not even for something that is no span."""
    processor = BatchSpanProcessor(InMemorySpanExporter())
    processor.on_end(object())  # type: ignore[arg-type]
    processor.on_start(object())  # type: ignore[arg-type]
    processor._on_ending(object())  # type: ignore[arg-type]

    assert "internal fault in the end of a span" in capfd.readouterr().err
    processor.shutdown()


@settings(max_examples=30, deadline=None)
@given(
    bound=st.integers(1, 40),
    batch=st.integers(1, 40),
    steps=st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["flush", "fail", "reject", "none"])), max_size=8),
)
def test_the_equation_holds_whatever_happens(bound: int, batch: int, steps: list[tuple[int, str]]) -> None:
    """Any bound, any batch size, any order of success, failure, partial rejection and waiting."""
    from tellwhy.delivery.attempt import Attempt

    class Moody:
        destination = "http://moody"
        mood = "none"
        taken = 0

        def attempt(self, spans: Any, deadline: float, pause: Any) -> Attempt:
            attempt = Attempt(spans)
            if self.mood == "fail":
                return attempt.fail("not now")
            attempt.deliver(spans)
            if self.mood == "reject":
                attempt.delivered -= 1
                attempt.count("rejected", 1)
            self.taken += attempt.delivered
            return attempt

        def shutdown(self) -> None:
            pass

    exporter = Moody()
    processor = BatchSpanProcessor(
        exporter, max_queue_size=bound, max_export_batch_size=min(batch, bound), schedule_delay_millis=60_000,
        exit_budget_millis=1000,
    )  # fmt: skip
    provider = provider_with(processor)
    made = 0
    for count, mood in steps:
        exporter.mood = mood
        make(provider, count)
        made += count
        if mood != "none":
            processor.force_flush(1000)
        stats = processor.stats()
        assert balanced(stats)
        assert stats["produced"] == made
        assert stats["queued"] <= bound + batch
    exporter.mood = "flush"
    processor.shutdown()
    stats = processor.stats()
    assert balanced(stats)
    assert (stats["produced"], stats["queued"]) == (made, 0)
    assert stats["delivered"] == exporter.taken


def test_snapshots_add_up() -> None:
    """Several processors make one account; errors and latencies do not add, the last known one stands."""
    one = {"produced": 5, "delivered": 3, "queued": 0, "in_flight": 0, "spooled": 0, "dropped": {"exit": 2}, "recovered": 1,
           "export_failures": 1, "last_error": "refused", "last_latency_ms": 2.0}  # fmt: skip
    other = {"produced": 1, "delivered": 0, "queued": 0, "in_flight": 0, "spooled": 0, "dropped": {"exit": 1}, "recovered": 0,
             "export_failures": 0, "last_error": None, "last_latency_ms": None}  # fmt: skip
    whole = total([one, other])

    assert whole["produced"] == 6
    assert lost(whole) == 3
    assert whole["last_error"] == "refused"
    assert exit_line(whole, explain=True) == "3 of 6 spans were not delivered: 3 exit; refused"
    assert exit_line(other) == "1 of 1 spans was not delivered: 1 exit"
    assert exit_line(total([])) is None
