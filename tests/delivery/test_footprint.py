# SPDX-License-Identifier: Apache-2.0
"""What delivery loads and shows: nothing heavy, nothing before it is needed; metrics under the SDK's names."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace import TracerProvider

from faults.receiver import Exchange, FaultyReceiver, hang
from support.otlp import OtlpReceiver
from support.program import Place
from tellwhy.delivery import BatchSpanProcessor, OTLPSpanExporter
from tellwhy.delivery.leaving.budget import Budget

FOREIGN = (
    "opentelemetry.sdk",
    "opentelemetry.exporter",
    "opentelemetry.proto",
    "google",
    "grpc",
    "requests",
    "urllib3",
)
FOR_SENDING = (
    "http.client",
    "socket",
    "ssl",
    "tellwhy.delivery.otlp.encoder",
    "tellwhy.delivery.otlp.transport",
)


@pytest.fixture
def receiver() -> Iterator[FaultyReceiver]:
    with FaultyReceiver() as running:
        yield running


def spans(count: int) -> list[Any]:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    made = [tracer.start_span("span") for _ in range(count)]
    for span in made:
        span.end()
    return made


def test_what_is_loaded_and_when(tmp_path: Path) -> None:
    """With our engine: no SDK, protobuf, gRPC or requests ever; no socket or TLS module before the first batch is sent."""
    with OtlpReceiver() as receiver:
        place = Place(tmp_path, ENDPOINT=receiver.endpoint)
        place.write(
            "program.py",
            "import json, os, sys, threading\n"
            "from tellwhy.engine.provider import TracerProvider\n"
            "from tellwhy.delivery import BatchSpanProcessor, OTLPSpanExporter\n"
            "from tellwhy.delivery.leaving.lifecycle import Lifecycle\n"
            "processor = BatchSpanProcessor(OTLPSpanExporter(os.environ['ENDPOINT'] + '/v1/traces'))\n"
            "provider = TracerProvider.lean({'service.name': 'test'})\n"
            "provider.add_span_processor(processor)\n"
            "lifecycle = Lifecycle(); lifecycle.add(processor); lifecycle.install()\n"
            "before = list(sys.modules), threading.active_count(), len(os.listdir('/proc/self/fd'))\n"
            "provider.get_tracer('t').start_span('one').end()\n"
            "assert lifecycle.flush(10)\n"
            "print(json.dumps([before[0], list(sys.modules), before[1:]]))\n",
        )
        done = place.run("python", "program.py")
        assert len(receiver.spans()) == 1, done.stderr
    before, after, (threads, descriptors) = json.loads(done.stdout)

    assert [name for name in after if name.startswith(FOREIGN)] == []
    assert [name for name in before if name in FOR_SENDING] == []
    assert threads == 1
    assert descriptors <= 4, "stdin, stdout, stderr and the listing itself"


def test_names_are_lazy() -> None:
    """The package itself is empty until asked; a wrong name says so."""
    import tellwhy.delivery

    assert dir(tellwhy.delivery) == ["BatchSpanProcessor", "OTLPSpanExporter"]
    with pytest.raises(AttributeError, match="no attribute 'SpanProcessor'"):
        tellwhy.delivery.SpanProcessor


def test_json_on_request(receiver: FaultyReceiver) -> None:
    """http/json: another body, another content type, the same answers; hex ids, enumerations as numbers."""
    bodies: list[tuple[str, Any]] = []

    def note(exchange: Exchange) -> None:
        bodies.append((exchange.headers["content-type"], json.loads(exchange.body)))
        exchange.reply(200, b'{"partialSuccess": {"rejectedSpans": "1"}}', {"content-type": "application/json"})

    receiver.behave = note
    exporter = OTLPSpanExporter(receiver.endpoint + "/v1/traces", protocol="http/json")
    made = spans(2)
    attempt = exporter.attempt(made, time.monotonic() + 5)
    ((content_type, message),) = bodies

    assert content_type == "application/json"
    sent = message["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert [span["spanId"] for span in sent] == [format(span.context.span_id, "016x") for span in made]
    assert (attempt.delivered, attempt.dropped) == (1, {"rejected": 1})


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self) -> None:
        self.spans = 0

    def Export(self, request: Any, context: Any) -> ExportTraceServiceResponse:
        self.spans += sum(len(scope.spans) for of in request.resource_spans for scope in of.scope_spans)
        return ExportTraceServiceResponse()


@pytest.fixture
def grpc_collector() -> Iterator[tuple[Collector, int]]:
    server = grpc.server(futures.ThreadPoolExecutor(2))
    collector = Collector()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield collector, port
    server.stop(None).wait()


def test_a_real_grpc_port_is_recognised(grpc_collector: tuple[Collector, int]) -> None:
    """HTTP/1.1 to a gRPC server: whatever it answers, the hint is there."""
    url = f"http://127.0.0.1:{grpc_collector[1]}/v1/traces"
    attempt = OTLPSpanExporter(url, timeout=2).attempt(spans(1), time.monotonic() + 5)

    assert "this looks like a gRPC port" in str(attempt.error)


def test_the_official_grpc_exporter_works_behind_our_queue(grpc_collector: tuple[Collector, int]) -> None:
    """Any exporter does; this one is what OTEL_EXPORTER_OTLP_PROTOCOL=grpc means."""
    collector, port = grpc_collector
    exporter = GrpcExporter(endpoint=f"http://127.0.0.1:{port}", insecure=True)
    processor = BatchSpanProcessor(exporter)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)  # type: ignore[arg-type]
    for number in range(30):
        provider.get_tracer("test").start_span(str(number)).end()
    assert provider.force_flush(10_000)
    provider.shutdown()

    assert collector.spans == 30
    assert processor.stats()["delivered"] == 30


def test_a_budget_is_one_account() -> None:
    """Nested spending counts once, a share spends from the whole, time between does not count."""
    whole = Budget(0.5)
    time.sleep(0.05)
    assert whole.remaining() == 0.5
    with whole as deadline, whole as same:
        assert deadline == same
        share = Budget(0.1, whole)
        with share as part:
            assert part <= deadline
            time.sleep(0.12)
        assert share.remaining() == 0
    assert 0.2 < whole.remaining() < 0.39
    with whole:
        time.sleep(0.5)
    assert whole.remaining() == 0
    with Budget(1.0, whole) as none:
        assert none <= time.monotonic()


def test_an_idle_worker_sleeps(receiver: FaultyReceiver) -> None:
    """Once everything is delivered the thread waits without a timeout: no wake-ups in an idle process."""
    processor = BatchSpanProcessor(OTLPSpanExporter(receiver.endpoint + "/v1/traces"), schedule_delay_millis=20)
    processor.on_end(spans(1)[0])
    assert processor.force_flush()
    slept: list[object] = []
    worker = processor._courier.worker
    real = worker.sleep
    worker.sleep = lambda seconds: (slept.append(seconds), real(seconds))[1]  # type: ignore[method-assign, func-returns-value]
    processor.on_end(spans(1)[0])
    assert processor.force_flush()
    time.sleep(0.2)

    assert slept[-1] is None
    processor.shutdown()


def test_a_hung_exporter_does_not_hold_the_interpreter(tmp_path: Path) -> None:
    """The worker is a daemon: a program ends though its receiver never answers."""
    with FaultyReceiver(hang) as hanging:
        place = Place(tmp_path, ENDPOINT=hanging.endpoint)
        place.write(
            "program.py",
            "import os\n"
            "from opentelemetry.sdk.trace import TracerProvider\n"
            "from tellwhy.delivery import BatchSpanProcessor, OTLPSpanExporter\n"
            "provider = TracerProvider()\n"
            "exporter = OTLPSpanExporter(os.environ['ENDPOINT'] + '/v1/traces')\n"
            "provider.add_span_processor(BatchSpanProcessor(exporter, exit_budget_millis=300))\n"
            "provider.get_tracer('t').start_span('one').end()\n",
        )
        started = time.monotonic()
        done = place.run("python", "program.py")

    assert done.returncode == 0
    assert time.monotonic() - started < 4
