"""The metrics' encoder beside OpenTelemetry's own: every kind of instrument, both temporalities, both forms."""

from __future__ import annotations

import re
from typing import Any

import pytest
from google.protobuf import json_format
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.metrics import Observation
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import MetricsData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from tellwhy.delivery.otlp import encoder_metrics
from tellwhy.metrics.reader import Reader
from tellwhy.metrics.spans import SpanMetrics

RESOURCE = Resource({"service.name": "shop", "zones": ("a", "b")}, "https://example.org/schema")


def collection(*, temporality: str = "cumulative", exponential: bool = False, series: int = 3) -> MetricsData:
    """Return what a program with every kind of instrument has, and spans too."""
    spans = SpanMetrics("shop", exponential=exponential)
    reader = Reader(spans, lambda: RESOURCE, temporality=temporality, exponential=exponential)
    provider = MeterProvider([reader], RESOURCE, exemplar_filter=AlwaysOnExemplarFilter(), shutdown_on_exit=False)
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(spans)  # type: ignore[arg-type]
    meter = provider.get_meter("mine", "1.0", "https://example.org/mine", {"a": 1})
    meter.create_observable_gauge("gauge", [lambda _: [Observation(2.5, {"x": "y"}), Observation(-3)]], "1", "ä")
    meter.create_observable_up_down_counter("level", [lambda _: [Observation(-7)]])
    meter.create_observable_counter("seen", [lambda _: [Observation(7)]])
    with tracers.get_tracer("t").start_as_current_span("work"):
        for number in range(series):
            meter.create_counter("calls").add(number + 1, {"n": number})
            meter.create_histogram("sizes", "By").record(number * 1000.5, {"n": number, "b": True})
            meter.create_up_down_counter("open").add(-1.5)
    data = reader.gather()
    assert data is not None
    return data


@pytest.mark.parametrize("temporality", ["cumulative", "delta", "lowmemory"])
@pytest.mark.parametrize("exponential", [False, True])
def test_protobuf_is_the_official_one(temporality: str, exponential: bool) -> None:
    """Decoded, our bytes are the message that OpenTelemetry's encoder makes."""
    data = collection(temporality=temporality, exponential=exponential)
    ((payload, held),) = encoder_metrics.split([data])

    assert normal(ExportMetricsServiceRequest.FromString(payload)) == normal(encode_metrics(data))
    assert held == [data]


@pytest.mark.parametrize("exponential", [False, True])
def test_json_is_the_same(exponential: bool) -> None:
    """Protobuf's own reader of JSON finds the same message in ours; ids, which OTLP writes in hex, apart."""
    data = collection(exponential=exponential)
    ((payload, _),) = encoder_metrics.Json.split([data])
    read = json_format.Parse(
        re.sub(r',"(trace|span)Id":"[0-9a-f]+"', "", payload.decode()), ExportMetricsServiceRequest()
    )
    expected = encode_metrics(data)
    for point in points(expected):
        for exemplar in point.exemplars:
            assert not exemplar.trace_id or f'"traceId":"{exemplar.trace_id.hex()}"' in payload.decode()
            exemplar.ClearField("trace_id")
            exemplar.ClearField("span_id")

    assert normal(read) == normal(expected)


def test_a_large_collection_is_cut() -> None:
    """Requests keep to the bound, together they have every point once, and the collection goes with the last."""
    data = collection(series=400)
    requests = list(encoder_metrics.split([data], 20_000))

    assert len(requests) > 3
    assert all(len(payload) <= 20_000 for payload, _ in requests)
    assert [held for _, held in requests] == [[]] * (len(requests) - 1) + [[data]]
    found = sorted(
        str(point) for payload, _ in requests for point in points(ExportMetricsServiceRequest.FromString(payload))
    )
    assert found == sorted(str(point) for point in points(encode_metrics(data)))


def points(message: ExportMetricsServiceRequest) -> list[Any]:
    return [
        point
        for of_resource in message.resource_metrics
        for of_scope in of_resource.scope_metrics
        for metric in of_scope.metrics
        for point in getattr(metric, str(metric.WhichOneof("data"))).data_points
    ]


def normal(message: ExportMetricsServiceRequest) -> ExportMetricsServiceRequest:
    """Return the message with its scopes in order, and without schema URLs that stand in one place only."""
    for of_resource in message.resource_metrics:
        for of_scope in of_resource.scope_metrics:
            for metric in of_scope.metrics:
                for point in getattr(metric, str(metric.WhichOneof("data"))).data_points:
                    point.attributes.sort(key=lambda pair: pair.key)
    return message
