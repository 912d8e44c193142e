# SPDX-License-Identifier: Apache-2.0
"""ddtrace, sending to the sink in place of its agent."""

from __future__ import annotations

import os

from common import ENDPOINT, eight_attributes, serve

os.environ |= {
    "DD_TRACE_AGENT_URL": ENDPOINT,
    "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
    "DD_REMOTE_CONFIGURATION_ENABLED": "false",
    "DD_TRACE_STARTUP_LOGS": "false",
}

import ddtrace
from ddtrace.trace import tracer


@tracer.wrap("decorated")
def decorated(value: int) -> int:
    return value


def span(count: int) -> None:
    for _ in range(count):
        with tracer.trace("checkout") as made:
            made.set_tag("order.id", "A-17")
            made.set_tag("order.items", "3")
            made.set_tag("order.paid", "true")


def traced(count: int) -> None:
    for _ in range(count):
        decorated(1)


def export(count: int) -> None:
    for number in range(count):
        with tracer.trace("checkout") as made:
            made.set_tags(eight_attributes(number))


def current(count: int) -> None:
    with tracer.trace("outer"):
        for _ in range(count):
            tracer.current_span()


def set_attribute(count: int) -> None:
    with tracer.trace("outer") as made:
        for _ in range(count):
            made.set_tag("order.id", "A-17")


serve(
    ddtrace.__version__,
    {"span": span, "traced": traced, "export": export, "current": current, "set_attribute": set_attribute},
    tracer.flush,
)
