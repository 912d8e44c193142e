# SPDX-License-Identifier: Apache-2.0
"""OpenTelemetry's SDK with its batch processor and OTLP/HTTP exporter."""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import DEFAULT_OFF
from opentelemetry.sdk.version import __version__

from common import ENDPOINT, serve
from otel_api import span_works, unsampled_child

off_tracer = trace.get_tracer("bench.off")


@off_tracer.start_as_current_span("off")
def off_function(value: int) -> int:
    return value


def off(count: int) -> None:
    for _ in range(count):
        off_function(1)


provider = TracerProvider()
provider.add_span_processor(
    BatchSpanProcessor(
        OTLPSpanExporter(f"{ENDPOINT}/v1/traces"),
        max_queue_size=100_000,
        schedule_delay_millis=600_000,
        max_export_batch_size=50_000,
    )
)
tracer = provider.get_tracer("bench")


@tracer.start_as_current_span("decorated")
def decorated(value: int) -> int:
    return value


def traced(count: int) -> None:
    for _ in range(count):
        decorated(1)


dropping = TracerProvider(sampler=DEFAULT_OFF).get_tracer("bench")


@dropping.start_as_current_span("decorated")
def dropped(value: int) -> int:
    return value


def unsampled_traced(count: int) -> None:
    with dropping.start_as_current_span("root"):
        for _ in range(count):
            dropped(1)


serve(
    __version__,
    {
        **span_works(tracer),
        "traced": traced,
        "unsampled_child": unsampled_child(dropping),
        "unsampled_traced": unsampled_traced,
        "off": off,
    },
    lambda: provider.force_flush() and None,
)
