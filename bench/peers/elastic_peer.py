# SPDX-License-Identifier: Apache-2.0
"""elastic-apm: spans inside a transaction, sent to the sink."""

from __future__ import annotations

import elasticapm

from common import ENDPOINT, eight_attributes, serve

client = elasticapm.Client(
    service_name="bench",
    server_url=ENDPOINT,
    verify_server_cert=False,
    central_config=False,
    cloud_provider=False,
    metrics_interval="0s",
    transaction_max_spans=1_000_000,
    span_compression_enabled=False,
    exit_span_min_duration="0ms",
)


@elasticapm.capture_span("decorated")
def decorated(value: int) -> int:
    return value


def off(count: int) -> None:
    for _ in range(count):
        decorated(1)


def span(count: int) -> None:
    client.begin_transaction("bench")
    for _ in range(count):
        with elasticapm.capture_span("checkout") as made:
            made.label(order_id="A-17", order_items=3, order_paid=True)
    client.end_transaction("span")


def traced(count: int) -> None:
    client.begin_transaction("bench")
    for _ in range(count):
        decorated(1)
    client.end_transaction("traced")


def export(count: int) -> None:
    client.begin_transaction("bench")
    for number in range(count):
        with elasticapm.capture_span("checkout", labels=eight_attributes(number)):
            pass
    client.end_transaction("export")


def flush() -> None:
    client._transport.flush()


serve(elasticapm.VERSION, {"span": span, "traced": traced, "export": export, "off": off}, flush)
