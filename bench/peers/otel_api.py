# SPDX-License-Identifier: Apache-2.0
"""The workloads for whoever implements OpenTelemetry's API: the official SDK, and ours."""

from __future__ import annotations

from opentelemetry import trace

from common import Work, eight_attributes


def span_works(tracer: trace.Tracer) -> dict[str, Work]:
    """Return the workloads that only need a tracer."""

    def span(count: int) -> None:
        start = tracer.start_as_current_span
        for _ in range(count):
            with start("checkout") as made:
                made.set_attribute("order.id", "A-17")
                made.set_attribute("order.items", 3)
                made.set_attribute("order.paid", True)

    def export(count: int) -> None:
        start = tracer.start_as_current_span
        for number in range(count):
            with start("checkout", attributes=eight_attributes(number)):
                pass

    def current(count: int) -> None:
        get = trace.get_current_span
        with tracer.start_as_current_span("outer"):
            for _ in range(count):
                get()

    def set_attribute(count: int) -> None:
        with tracer.start_as_current_span("outer") as made:
            for _ in range(count):
                made.set_attribute("order.id", "A-17")

    return {
        "span": span,
        "export": export,
        "memory": export,
        "current": current,
        "set_attribute": set_attribute,
    }


def unsampled_child(tracer: trace.Tracer) -> Work:
    """Return the workload for a tracer whose sampler drops every root: children of a local parent that was dropped."""

    def work(count: int) -> None:
        start = tracer.start_as_current_span
        with start("root"):
            for _ in range(count):
                with start("child"):
                    pass

    return work
