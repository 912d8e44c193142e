# SPDX-License-Identifier: Apache-2.0
"""An outage: what is kept, how it is probed, and the two lines that people see."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from faults.receiver import FaultyReceiver, accept, hang, status, take_and_hang, wait_until
from tellwhy.delivery import BatchSpanProcessor, OTLPSpanExporter
from tellwhy.delivery.outage import PROBE_SIZE


@pytest.fixture
def receiver() -> Iterator[FaultyReceiver]:
    with FaultyReceiver() as running:
        yield running


def start(receiver: FaultyReceiver, **arguments: Any) -> tuple[BatchSpanProcessor, Any]:
    exporter = OTLPSpanExporter(receiver.endpoint + "/v1/traces", timeout=arguments.pop("timeout", 10))
    processor = BatchSpanProcessor(exporter, **{"schedule_delay_millis": 30, "exit_budget_millis": 300, **arguments})
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)  # type: ignore[arg-type]
    return processor, provider.get_tracer("test")


def make(tracer: Any, count: int) -> None:
    for _ in range(count):
        tracer.start_span("span").end()


def lines(capfd: Any) -> list[str]:
    return [line for line in capfd.readouterr().err.splitlines() if line.startswith("tellwhy: ")]


def test_two_lines_and_nothing_lost(receiver: FaultyReceiver, capfd: Any) -> None:
    """The receiver goes away and returns: one line for each, in words, and every span arrives once."""
    processor, tracer = start(receiver)
    make(tracer, 10)
    wait_until(lambda: processor.stats()["delivered"] == 10)
    receiver.go_away()
    make(tracer, 20)
    wait_until(lambda: processor.stats()["export_failures"] >= 3)
    make(tracer, 30)
    receiver.come_back()
    receiver.wait_for(60, timeout=10)
    wait_until(lambda: processor.stats()["delivered"] == 60)
    processor.shutdown()
    failing, recovered = lines(capfd)

    url = f"{receiver.endpoint}/v1/traces"
    assert failing == (
        f"tellwhy: cannot deliver spans to {url}: connection refused (nothing listens on port {receiver.port} of "
        "127.0.0.1; is the collector running?); keeping up to 2048 of them and trying again"
    )
    assert recovered.startswith(f"tellwhy: spans are delivered to {url} again after ")
    assert recovered.endswith(" s: 50 delivered late, 0 lost")
    assert receiver.duplicates == 0


def test_the_line_comes_within_seconds(receiver: FaultyReceiver, capfd: Any, real_waits: None) -> None:
    """With the specification's delay of 5 s, a closed port is told of within 5 s of the first span."""
    receiver.go_away()
    processor, tracer = start(receiver, schedule_delay_millis=5000)
    make(tracer, 1)
    wait_until(lambda: processor.has_said_why, timeout=5)
    processor.shutdown()

    assert len(lines(capfd)) == 1


def test_a_short_interruption_is_not_worth_a_line(receiver: FaultyReceiver, capfd: Any) -> None:
    """One failed attempt and a success: nobody needs to know."""
    receiver.behave = status(503)
    processor, tracer = start(receiver)
    make(tracer, 5)
    receiver.wait_for_requests(1)
    receiver.behave = accept
    receiver.wait_for(5)
    processor.shutdown()

    assert lines(capfd) == []


def test_a_refusal_is_told_at_once(receiver: FaultyReceiver, capfd: Any) -> None:
    """404 drops spans from the first batch on, so the first batch says so; the fix is in the line."""
    receiver.behave = status(404)
    processor, tracer = start(receiver)
    make(tracer, 5)
    wait_until(lambda: processor.has_said_why)
    receiver.behave = accept
    make(tracer, 2)
    receiver.wait_for(2)
    wait_until(lambda: processor.stats()["delivered"] == 2)
    processor.shutdown()
    refused, recovered = lines(capfd)

    assert "does not take spans: 404 Not Found (check the path); they are dropped and counted" in refused
    assert recovered.endswith("2 delivered late, 5 lost")
    assert processor.stats()["dropped"] == {"http_404": 5}


def test_probing_is_cheap(receiver: FaultyReceiver) -> None:
    """Once the circuit is open, a hanging receiver gets few spans at a time, so it causes few duplicates."""
    receiver.behave = take_and_hang
    processor, tracer = start(receiver, timeout=0.5)  # long enough for the receiver to have counted what it took
    make(tracer, 500)
    wait_until(lambda: processor.stats()["export_failures"] >= 3)
    before = sum(receiver.seen.values())
    requests = receiver.requests
    receiver.wait_for_requests(requests + 2)

    assert sum(receiver.seen.values()) - before <= 3 * PROBE_SIZE
    receiver.behave = accept
    receiver.wait_for(500)
    wait_until(lambda: processor.stats()["delivered"] == 500)
    processor.shutdown()


def test_a_flapping_receiver_does_not_fill_the_terminal(receiver: FaultyReceiver, capfd: Any) -> None:
    """Lines are rationed: however often the state changes, two lines in ten seconds."""
    processor, tracer = start(receiver)
    for _ in range(4):
        receiver.behave = status(401)
        failures = processor.stats()["export_failures"]
        make(tracer, 3)
        wait_until(lambda seen=failures: processor.stats()["export_failures"] > seen)  # type: ignore[misc]
        receiver.behave = accept
        delivered = processor.stats()["delivered"]
        make(tracer, 3)
        wait_until(lambda seen=delivered: processor.stats()["delivered"] > seen)  # type: ignore[misc]
    processor.shutdown()

    assert len(lines(capfd)) == 2


def test_the_queue_keeps_the_newest_through_an_outage(receiver: FaultyReceiver, capfd: Any) -> None:
    """More than the queue holds: the oldest are dropped and the recovery line says how many."""
    receiver.go_away()
    processor, tracer = start(receiver, max_queue_size=100, max_export_batch_size=50)
    make(tracer, 30)
    wait_until(lambda: processor.stats()["export_failures"] >= 3)
    make(tracer, 170)
    receiver.come_back()
    wait_until(lambda: processor.stats()["queued"] == 0)
    processor.shutdown()
    stats = processor.stats()

    assert (stats["delivered"], stats["dropped"]) == (100, {"queue_full": 100})
    assert receiver.unique == 100
    assert lines(capfd)[1].endswith("100 delivered late, 100 lost")


def test_exit_during_an_outage_is_quick(receiver: FaultyReceiver, capfd: Any) -> None:
    """A closed port is tried once more at exit, not for the whole budget."""
    receiver.go_away()
    processor, tracer = start(receiver, exit_budget_millis=5000)
    make(tracer, 100)
    started = time.monotonic()
    processor.shutdown()

    assert time.monotonic() - started < 1.0
    assert processor.stats()["dropped"] == {"exit": 100}


def test_retry_after_is_kept_by_the_worker(receiver: FaultyReceiver) -> None:
    """No request before the time that the receiver has named."""
    times: list[float] = []

    def busy(exchange: Any) -> None:
        times.append(time.monotonic())
        (status(429, {"retry-after": "1"}) if len(times) == 1 else accept)(exchange)

    receiver.behave = busy
    processor, tracer = start(receiver)
    make(tracer, 3)
    receiver.wait_for(3)
    processor.shutdown()

    assert times[1] - times[0] >= 1.0


def test_an_exporter_that_hangs_holds_nobody_up(receiver: FaultyReceiver) -> None:
    """Spans end as fast as ever, memory stays bounded, and when it is over delivery goes on."""
    receiver.behave = hang
    processor, tracer = start(receiver, timeout=0.5, max_queue_size=200, max_export_batch_size=100)
    make(tracer, 100)
    receiver.wait_for_requests(1)
    started = time.monotonic()
    make(tracer, 1000)

    assert time.monotonic() - started < 0.5
    assert processor.stats()["queued"] <= 300
    receiver.behave = accept
    wait_until(lambda: processor.stats()["queued"] == 0)
    processor.shutdown()
    stats = processor.stats()
    assert stats["produced"] == 1100 == stats["delivered"] + stats["dropped"]["queue_full"]
