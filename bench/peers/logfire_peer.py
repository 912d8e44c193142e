# SPDX-License-Identifier: Apache-2.0
"""logfire, exporting by OTLP to the sink."""

from __future__ import annotations

import logfire
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from common import ENDPOINT, eight_attributes, serve

processor = BatchSpanProcessor(
    OTLPSpanExporter(f"{ENDPOINT}/v1/traces"), max_queue_size=100_000, schedule_delay_millis=600_000,
    max_export_batch_size=50_000,
)  # fmt: skip
logfire.configure(
    send_to_logfire=False, console=False, metrics=False, additional_span_processors=[processor], inspect_arguments=False
)


@logfire.instrument("decorated", extract_args=False)
def decorated(value: int) -> int:
    return value


def span(count: int) -> None:
    for _ in range(count):
        with logfire.span("checkout") as made:
            made.set_attribute("order.id", "A-17")
            made.set_attribute("order.items", 3)
            made.set_attribute("order.paid", True)


def traced(count: int) -> None:
    for _ in range(count):
        decorated(1)


def export(count: int) -> None:
    for number in range(count):
        with logfire.span("checkout", **eight_attributes(number)):
            pass


def set_attribute(count: int) -> None:
    with logfire.span("outer") as made:
        for _ in range(count):
            made.set_attribute("order.id", "A-17")


serve(
    logfire.VERSION,
    {"span": span, "traced": traced, "export": export, "set_attribute": set_attribute},
    lambda: logfire.force_flush() and None,
)
