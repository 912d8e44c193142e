# SPDX-License-Identifier: Apache-2.0
"""Batches on disk: written whole or not at all, claimed by one, delivered by whoever comes, bounded, accounted for."""

from __future__ import annotations

import multiprocessing
import os
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider

from faults.receiver import FaultyReceiver, accept, partial, status, wait_until
from tellwhy.delivery import BatchSpanProcessor, OTLPSpanExporter
from tellwhy.delivery.disk.spool import Spool

TYPE = "application/x-protobuf"


@pytest.fixture
def receiver() -> Iterator[FaultyReceiver]:
    with FaultyReceiver() as running:
        yield running


def start(receiver: FaultyReceiver, folder: Path, **arguments: Any) -> tuple[BatchSpanProcessor, Any]:
    exporter = OTLPSpanExporter(receiver.endpoint + "/v1/traces", timeout=10)
    processor = BatchSpanProcessor(
        exporter,
        **{"schedule_delay_millis": 30, "exit_budget_millis": 300, "spool_dir": str(folder), **arguments},
    )
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)  # type: ignore[arg-type]
    return processor, provider.get_tracer("test")


def make(tracer: Any, count: int) -> None:
    for _ in range(count):
        tracer.start_span("span").end()


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_written_comes_back_oldest_first(tmp_path: Path) -> None:
    """Payload, count and content type as they were; a delivered file is gone."""
    spool = Spool(str(tmp_path / "made" / "for it"))
    spool.write(b"first\nwith a newline", 3, TYPE)
    spool.write(b"", 1, "application/json")
    one = spool.claim()
    assert one is not None
    assert (one.payload, one.spans, one.content_type) == (b"first\nwith a newline", 3, TYPE)
    assert spool.done(one) is True
    two = spool.claim()
    assert two is not None
    assert (two.payload, two.spans, two.content_type) == (b"", 1, "application/json")
    spool.release(two)
    again = spool.claim()
    assert again is not None
    spool.done(again)

    assert spool.claim() is None
    assert files(tmp_path / "made" / "for it") == []


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    """Spans may hold what is nobody else's business."""
    folder = tmp_path / "spool"
    Spool(str(folder)).write(b"x", 1, TYPE)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()] == [0o600]


def test_one_file_has_one_holder(tmp_path: Path) -> None:
    """A second claimant gets the next file; what its holder lets go of is free again."""
    mine, theirs = Spool(str(tmp_path)), Spool(str(tmp_path))
    mine.write(b"1", 1, TYPE)
    mine.write(b"2", 1, TYPE)
    first, second = mine.claim(), theirs.claim()
    assert first is not None
    assert second is not None
    assert (first.payload, second.payload) == (b"1", b"2")
    assert mine.claim() is None
    mine.release(first)
    taken_over = theirs.claim()
    assert taken_over is not None
    assert theirs.done(taken_over) is False, "not written by this one"


def _claim_and_die(folder: str, claimed: Any) -> None:
    assert Spool(folder).claim() is not None
    claimed.set()
    time.sleep(60)


def test_a_claim_dies_with_its_holder(tmp_path: Path) -> None:
    """kill -9 while a file is being delivered: the next process delivers it."""
    spool = Spool(str(tmp_path))
    spool.write(b"x", 1, TYPE)
    spawn = multiprocessing.get_context("spawn")
    claimed = spawn.Event()
    process = spawn.Process(target=_claim_and_die, args=(str(tmp_path), claimed))
    process.start()
    assert claimed.wait(20)
    assert spool.claim() is None
    process.kill()
    process.join()
    entry = spool.claim()

    assert entry is not None
    spool.done(entry)


def test_many_claimants_deliver_each_file_once(tmp_path: Path) -> None:
    """Four threads with spools of their own empty one folder: no file twice, none forgotten."""
    writer = Spool(str(tmp_path))
    for number in range(100):
        writer.write(b"%d" % number, 1, TYPE)
    got: list[bytes] = []

    def work() -> None:
        spool = Spool(str(tmp_path))
        while (entry := spool.claim()) is not None:
            got.append(entry.payload)
            spool.done(entry)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(got, key=int) == [b"%d" % number for number in range(100)]
    assert files(tmp_path) == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damage=st.binary(max_size=80), cut=st.integers(0, 60))
def test_damaged_files_are_set_aside_and_reported(tmp_path: Path, damage: bytes, cut: int) -> None:
    """Cut short or overwritten at any place: never delivered, never in the way of the others."""
    spool = Spool(str(tmp_path))
    spool.write(b"payload of some length", 2, TYPE)
    (name,) = [found for found in files(tmp_path) if found.endswith(".otlp")]
    whole = (tmp_path / name).read_bytes()
    spoiled = whole[: min(cut, len(whole) - 1)] + damage
    (tmp_path / name).write_bytes(spoiled)
    entry = spool.claim()

    if spoiled == whole:
        assert entry is not None
        spool.done(entry)
    else:
        assert entry is None
        assert name + ".corrupt" in files(tmp_path)
        assert spool.losses().ours == {"spool_corrupt": 2}


def test_foreign_files_are_left_alone(tmp_path: Path) -> None:
    """Whatever else lies in the folder is not ours to judge; a symbolic link is not followed."""
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "target").write_text("do not touch")
    (tmp_path / "00-1-1.otlp").symlink_to(tmp_path / "target")
    spool = Spool(str(tmp_path), max_bytes=0)
    assert spool.claim() is None

    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (tmp_path / "target").read_text() == "do not touch"


def test_the_folder_is_bounded_in_bytes_and_age(tmp_path: Path) -> None:
    """The oldest go first; what this process had written is accounted to it, other files apart."""
    spool = Spool(str(tmp_path), max_bytes=3000, max_age=3600)
    for _ in range(5):
        spool.write(b"x" * 900, 10, TYPE)
    spool.tidy()
    lost = spool.losses()
    assert (lost.ours, lost.of_others) == ({"spool_full": 20}, 0)
    assert len(files(tmp_path)) == 3

    oldest = files(tmp_path)[0]
    os.utime(tmp_path / oldest, (time.time() - 7200, time.time() - 7200))
    another = Spool(str(tmp_path), max_age=3600)
    another.tidy()
    lost = another.losses()
    assert (lost.ours, lost.of_others) == ({}, 10)
    assert len(files(tmp_path)) == 2


def test_an_outage_goes_to_disk_and_comes_back(receiver: FaultyReceiver, tmp_path: Path) -> None:
    """Many times what the queue holds, through an outage: nothing lost, nothing twice."""
    receiver.go_away()
    processor, tracer = start(receiver, tmp_path, max_queue_size=100, max_export_batch_size=50)
    make(tracer, 50)
    wait_until(lambda: processor.stats()["export_failures"] >= 3)
    for _ in range(10):
        make(tracer, 50)
        wait_until(lambda: processor.stats()["queued"] < 50)
    stats = processor.stats()
    assert stats["spooled"] >= 450
    assert stats["produced"] == 550 == stats["spooled"] + stats["queued"]
    receiver.come_back()
    receiver.wait_for(550, timeout=15)
    wait_until(lambda: processor.stats()["delivered"] == 550)
    processor.shutdown()

    assert processor.stats()["spooled"] == 0
    assert receiver.duplicates == 0
    assert files(tmp_path) == []


def test_what_exit_leaves_the_next_process_delivers(receiver: FaultyReceiver, tmp_path: Path, capfd: Any) -> None:
    """At exit the queue goes to disk; the next processor that meets a living receiver delivers it beside its own."""
    receiver.go_away()
    processor, tracer = start(receiver, tmp_path)
    make(tracer, 70)
    processor.shutdown()
    stats = processor.stats()
    assert (stats["spooled"], stats["dropped"]) == (70, {})
    receiver.come_back()
    successor, tracer = start(receiver, tmp_path)
    make(tracer, 3)
    receiver.wait_for(73)
    wait_until(lambda: successor.stats()["recovered"] == 70)
    successor.shutdown()
    stats = successor.stats()

    assert (stats["produced"], stats["delivered"], stats["spooled"]) == (3, 3, 0)
    assert receiver.duplicates == 0
    assert files(tmp_path) == []


def test_a_receiver_that_says_later_leaves_the_file(receiver: FaultyReceiver, tmp_path: Path) -> None:
    """503 for a file: it stays, claimed by nobody, and is delivered when the receiver can."""
    left = Spool(str(tmp_path))
    exporter = OTLPSpanExporter(receiver.endpoint + "/v1/traces")
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    spans = [tracer.start_span("old") for _ in range(4)]
    for span in spans:
        span.end()
    ((payload, _),) = exporter.payloads(spans)  # type: ignore[arg-type]
    left.write(payload, 4, TYPE)

    receiver.behave = lambda exchange: (status(503) if len(exchange.spans()) == 4 else accept)(exchange)
    processor, tracer = start(receiver, tmp_path)
    make(tracer, 1)
    receiver.wait_for_requests(2)
    assert len(files(tmp_path)) == 1
    receiver.behave = accept
    make(tracer, 1)
    receiver.wait_for(6)
    processor.shutdown()

    assert files(tmp_path) == []


def test_a_partial_success_for_a_file_counts_its_spans(receiver: FaultyReceiver, tmp_path: Path) -> None:
    """Of ten spans on disk two are rejected: eight delivered, two dropped, none on disk."""
    receiver.go_away()
    processor, tracer = start(receiver, tmp_path, max_export_batch_size=10)
    make(tracer, 10)
    wait_until(lambda: processor.stats()["export_failures"] >= 3)
    wait_until(lambda: processor.stats()["spooled"] == 10)
    receiver.behave = partial(2, "too old")
    receiver.come_back()
    make(tracer, 1)
    wait_until(lambda: processor.stats()["spooled"] == 0)
    receiver.behave = accept
    processor.shutdown()
    stats = processor.stats()

    assert stats["produced"] == 11 == stats["delivered"] + sum(stats["dropped"].values())
    assert stats["dropped"]["rejected"] in (2, 3)


def test_a_folder_that_cannot_be_used_is_said(receiver: FaultyReceiver, tmp_path: Path, capfd: Any) -> None:
    """Memory has to do; nothing raises."""
    (tmp_path / "file").write_text("")
    processor, tracer = start(receiver, tmp_path / "file" / "spool")
    make(tracer, 3)
    receiver.wait_for(3)
    processor.shutdown()

    assert "TELLWHY_SPOOL_DIR=" in capfd.readouterr().err


def test_a_full_disk_leaves_the_spans_in_memory(
    receiver: FaultyReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    """No space left: said once, the queue keeps what it can, delivery goes on when the receiver returns."""
    receiver.go_away()
    processor, tracer = start(receiver, tmp_path, max_export_batch_size=10)

    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Spool, "write", no_space)
    make(tracer, 50)
    wait_until(lambda: processor.stats()["export_failures"] >= 4)
    assert processor.stats()["queued"] == 50
    receiver.come_back()
    receiver.wait_for(50)
    processor.shutdown()

    assert capfd.readouterr().err.count("No space left on device") == 1


def test_other_exporters_have_no_spool(tmp_path: Path, capfd: Any) -> None:
    """Only OTLP bytes can wait on disk; said, and the loss counted."""

    class Absent:
        destination = "elsewhere"

        def attempt(self, spans: Any, deadline: float, pause: Any) -> Any:
            from tellwhy.delivery.attempt import Attempt

            return Attempt(spans).fail("not there")

        def shutdown(self) -> None:
            pass

    processor = BatchSpanProcessor(Absent(), spool_dir=str(tmp_path))
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)  # type: ignore[arg-type]
    make(provider.get_tracer("test"), 2)
    processor.shutdown()

    assert processor.stats()["dropped"] == {"exit": 2}
    assert "elsewhere is no OTLP/HTTP exporter of ours" in capfd.readouterr().err


def test_a_refusal_does_not_cost_the_whole_folder(receiver: FaultyReceiver, tmp_path: Path) -> None:
    """401 for a file: that one is dropped, as OTLP demands; the others wait until the credential is right."""
    receiver.go_away()
    processor, tracer = start(receiver, tmp_path, max_export_batch_size=10)
    make(tracer, 10)
    wait_until(lambda: processor.stats()["export_failures"] >= 3)
    for number in range(1, 11):
        make(tracer, 10)
        wait_until(lambda spooled=number * 10: processor.stats()["spooled"] >= spooled)  # type: ignore[misc]
    receiver.behave = status(401)
    receiver.come_back()
    wait_until(lambda: processor.stats()["dropped"].get("http_401", 0) >= 10)
    receiver.behave = accept
    wait_until(lambda: processor.stats()["spooled"] == 0)
    processor.shutdown()
    stats = processor.stats()

    assert stats["produced"] == 110 == stats["delivered"] + stats["dropped"]["http_401"]
    assert stats["dropped"]["http_401"] <= 50


def test_a_disk_that_fills_up_in_the_middle(
    receiver: FaultyReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written counts as spooled, what was not stays in the queue; the equation holds."""
    receiver.go_away()
    real, left = Spool.write, [3]

    def write(self: Spool, *arguments: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        real(self, *arguments)

    monkeypatch.setattr(Spool, "write", write)
    exporter = OTLPSpanExporter(receiver.endpoint + "/v1/traces", timeout=10, max_request_size=20_000)
    processor = BatchSpanProcessor(
        exporter, max_export_batch_size=10, schedule_delay_millis=30, spool_dir=str(tmp_path), exit_budget_millis=300
    )
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)  # type: ignore[arg-type]
    tracer = provider.get_tracer("test")
    for _ in range(10):
        tracer.start_span("span", attributes={"text": "x" * 5000}).end()
    wait_until(lambda: processor.stats()["spooled"] > 0)
    wait_until(lambda: processor.stats()["export_failures"] >= 4)
    stats = processor.stats()
    assert stats["produced"] == 10 == stats["spooled"] + stats["queued"]
    assert 0 < stats["spooled"] < 10
    receiver.come_back()
    receiver.wait_for(10)
    wait_until(lambda: processor.stats()["delivered"] == 10)
    processor.shutdown()


def test_a_flush_does_not_wait_for_the_files_of_others(receiver: FaultyReceiver, tmp_path: Path) -> None:
    """What earlier processes left may take long; whoever flushes asks for their own spans only."""
    left = Spool(str(tmp_path))
    exporter = OTLPSpanExporter(receiver.endpoint + "/v1/traces")
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    for _ in range(30):
        span = tracer.start_span("old")
        span.end()
        ((payload, _),) = exporter.payloads([span])
        left.write(payload, 1, TYPE)

    def slow(exchange: Any) -> None:
        time.sleep(0.1)
        accept(exchange)

    receiver.behave = slow
    processor, tracer = start(receiver, tmp_path)
    make(tracer, 1)
    started = time.monotonic()

    assert processor.force_flush(10_000) is True
    assert time.monotonic() - started < 2.0
    receiver.wait_for(31)
    wait_until(lambda: processor.stats()["recovered"] == 30)
    processor.shutdown()
