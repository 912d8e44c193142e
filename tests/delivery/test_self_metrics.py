# SPDX-License-Identifier: Apache-2.0
"""The SDK's own metrics of itself, with ours in the place of its processor and exporter: the same names and counts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as OfficialExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor as OfficialProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from faults.receiver import FaultyReceiver, hang, partial, status
from support.otlp import Answer, OtlpReceiver, decode_attributes
from support.program import Place, wait_until
from tellwhy.delivery import BatchSpanProcessor, OTLPSpanExporter

ASKED_FOR = "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"


@pytest.fixture
def receiver() -> Iterator[FaultyReceiver]:
    with FaultyReceiver() as running:
        yield running


@pytest.fixture
def reader() -> Iterator[InMemoryMetricReader]:
    reader = InMemoryMetricReader()
    yield reader
    reader.shutdown()


def points(reader: InMemoryMetricReader) -> Iterator[tuple[Any, Any]]:
    data: Any = reader.get_metrics_data()
    for of_resource in data.resource_metrics if data else ():
        for of_scope in of_resource.scope_metrics:
            for metric in of_scope.metrics:
                for point in metric.data.data_points:
                    yield metric, point


def shapes(reader: InMemoryMetricReader) -> set[tuple[object, ...]]:
    """Return of every point all that does not depend on whose it is or how long it took."""
    found = set()
    for metric, point in points(reader):
        if not metric.name.startswith(("otel.sdk.processor", "otel.sdk.exporter")):
            continue
        own = ("otel.component.name", "error.type")
        attributes = {name: value for name, value in point.attributes.items() if name not in own}
        failed = "error.type" in point.attributes
        kind = type(metric.data).__name__, getattr(metric.data, "is_monotonic", None)
        value = getattr(point, "value", None)
        value = point.count if value is None else value
        found.add((metric.name, metric.unit, kind, tuple(sorted(attributes.items())), failed, value))
    return found


def counts(reader: InMemoryMetricReader) -> dict[tuple[str, str], float]:
    found = {}
    for metric, point in points(reader):
        value = getattr(point, "value", None)
        key = metric.name.removeprefix("otel.sdk."), point.attributes.get("error.type", "")
        found[key] = point.count if value is None else value
    return found


def make(provider: TracerProvider, number: int) -> None:
    for _ in range(number):
        provider.get_tracer("test").start_span("span").end()


def test_the_same_as_the_sdks_own(monkeypatch: pytest.MonkeyPatch, receiver: FaultyReceiver) -> None:
    """Ten spans delivered: every instrument, unit, attribute and number is what the SDK shows."""
    monkeypatch.setenv(ASKED_FOR, "true")
    found = []
    for exporter_class, processor_class in (
        (OfficialExporter, OfficialProcessor),
        (OTLPSpanExporter, BatchSpanProcessor),
    ):
        reader = InMemoryMetricReader()
        meters = MeterProvider([reader])
        provider = TracerProvider(shutdown_on_exit=False)
        exporter: Any = exporter_class(receiver.endpoint + "/v1/traces", meter_provider=meters)
        processor: Any = processor_class(exporter, 100, max_export_batch_size=10, meter_provider=meters)
        provider.add_span_processor(processor)
        make(provider, 10)
        assert processor.force_flush()
        found.append(shapes(reader))
        provider.shutdown()
        meters.shutdown()

    official, ours = found
    assert len(official) == 6
    assert official == ours


def test_what_is_dropped_has_its_reason(receiver: FaultyReceiver, reader: InMemoryMetricReader) -> None:
    """Refused, rejected, too many, at the end: ``error.type`` tells them apart, and each is counted once."""
    meters = MeterProvider([reader])
    processor = BatchSpanProcessor(
        OTLPSpanExporter(receiver.endpoint + "/v1/traces", timeout=10), 20, max_export_batch_size=10,
        schedule_delay_millis=60_000, exit_budget_millis=200, meter_provider=meters,
    )  # fmt: skip
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)  # type: ignore[arg-type]
    receiver.behave = partial(2, "no")
    make(provider, 5)
    assert not processor.force_flush()
    receiver.behave = status(400)
    make(provider, 3)
    assert not processor.force_flush()
    receiver.behave = hang
    make(provider, 10)
    receiver.wait_for_requests(3)
    assert counts(reader)["exporter.span.inflight", ""] == 10
    make(provider, 25)
    assert counts(reader)["processor.span.queue.size", ""] == 20
    provider.shutdown()
    make(provider, 1)

    assert counts(reader) == {
        ("processor.span.queue.size", ""): 0,
        ("processor.span.queue.capacity", ""): 20,
        ("processor.span.processed", ""): 8,
        ("processor.span.processed", "queue_full"): 5,
        ("processor.span.processed", "exit"): 30,
        ("processor.span.processed", "already_shutdown"): 1,
        ("exporter.span.exported", ""): 3,
        ("exporter.span.exported", "rejected"): 2,
        ("exporter.span.exported", "400"): 3,
        ("exporter.span.inflight", ""): 0,
        ("exporter.operation.duration", ""): 1,
        ("exporter.operation.duration", "400"): 1,
    }
    meters.shutdown()


def test_an_exporter_that_is_not_ours_counts_for_itself(reader: InMemoryMetricReader) -> None:
    """Only the processor's metrics are ours then."""
    meters = MeterProvider([reader])
    processor = BatchSpanProcessor(InMemorySpanExporter(), meter_provider=meters)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)  # type: ignore[arg-type]
    make(provider, 4)
    assert processor.force_flush()

    assert {name for name, _ in counts(reader)} == {
        "processor.span.queue.size", "processor.span.queue.capacity", "processor.span.processed",
    }  # fmt: skip
    provider.shutdown()
    meters.shutdown()


@pytest.mark.parametrize("asked_for", ["true", "false"])
def test_in_a_program(tmp_path: Path, asked_for: str) -> None:
    """Asked for with the SDK's variable, in a program with a meter provider of its own: started, live, queue, exported."""
    code = (
        "from opentelemetry import metrics, trace\n"
        "from opentelemetry.sdk.metrics import MeterProvider\n"
        "from opentelemetry.sdk.metrics.export import InMemoryMetricReader\n"
        "import tellwhy; tellwhy.setup_tracing()\n"
        "tracer = trace.get_tracer('test')\n"
        "reader = InMemoryMetricReader()\n"
        "metrics.set_meter_provider(MeterProvider([reader]))\n"
        "for _ in range(7): tracer.start_span('span').end()\n"
        "assert tellwhy.flush(10)\n"
        "data = reader.get_metrics_data()\n"
        "for of_scope in data.resource_metrics[0].scope_metrics if data else ():\n"
        "    for metric in of_scope.metrics:\n"
        "        for point in metric.data.data_points: print(metric.name, getattr(point, 'value', None))\n"
    )
    with OtlpReceiver() as receiver:
        place = Place(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint)
        place.write("program.py", code)
        done = place.run("python", "program.py", **{ASKED_FOR: asked_for})
        wait_until(lambda: len(receiver.spans()) == 7, "the spans")

    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == (
        [
            "otel.sdk.exporter.operation.duration None",
            "otel.sdk.exporter.span.exported 7",
            "otel.sdk.exporter.span.inflight 0",
            "otel.sdk.processor.span.processed 7",
            "otel.sdk.processor.span.queue.capacity 2048",
            "otel.sdk.processor.span.queue.size 0",
            "otel.sdk.span.live 0",
            "otel.sdk.span.started 7",
        ]
        if asked_for == "true"
        else []
    )


@pytest.mark.parametrize("down", [False, True], ids=["healthy", "traces-refused"])
def test_with_a_metrics_exporter_they_come_along(tmp_path: Path, down: bool) -> None:
    """``OTEL_METRICS_EXPORTER=otlp`` is enough: whoever watches the metrics sees spans and log records being lost."""
    code = (
        "import logging, tellwhy\n"
        "tellwhy.setup_tracing()\n"
        "for _ in range(5):\n"
        "    with tellwhy.span('work'): logging.getLogger('shop').warning('hello')\n"
    )
    with OtlpReceiver() as receiver:
        if down:
            receiver.answer = lambda request: Answer(400) if request.path == "/v1/traces" else Answer()
        place = Place(
            tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, OTEL_METRICS_EXPORTER="otlp", OTEL_LOGS_EXPORTER="otlp"
        )  # fmt: skip
        place.write("program.py", code)
        done = place.run("python", "program.py")
        (message,) = receiver.metrics()

    assert done.returncode == 0, done.stderr
    found = {
        (metric.name.removeprefix("otel.sdk."), decode_attributes(point.attributes).get("error.type", "")): point.as_int
        for of_resource in message.resource_metrics
        for of_scope in of_resource.scope_metrics
        for metric in of_scope.metrics
        if metric.name.startswith("otel.sdk.") and metric.WhichOneof("data") == "sum"
        for point in metric.sum.data_points
    }
    refused = {("exporter.span.exported", "400"): 5} if down else {}
    assert found == {
        ("processor.span.queue.size", ""): 0,
        ("processor.span.queue.capacity", ""): 2048,
        ("processor.span.processed", ""): 5,
        ("exporter.span.exported", ""): 0 if down else 5,
        ("exporter.span.inflight", ""): 0,
        ("processor.log.queue.size", ""): 0,
        ("processor.log.queue.capacity", ""): 2048,
        ("processor.log.processed", ""): 5,
        ("exporter.log.exported", ""): 5,
        ("exporter.log.inflight", ""): 0,
        **refused,
    }
