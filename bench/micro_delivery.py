# SPDX-License-Identifier: Apache-2.0
"""
What does delivery cost? On the thread that ends a span, and on the worker.

``python bench/micro_delivery.py [--json]``: medians of interleaved rounds, so
that a noisy machine is noisy for all alike. The SDK's processor and exporter
are measured beside ours in the same rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as SdkExporter
from opentelemetry.sdk.trace import TracerProvider as SdkProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor as SdkProcessor
from opentelemetry.sdk.trace.export import SpanExportResult

from tellwhy.delivery import BatchSpanProcessor, OTLPSpanExporter
from tellwhy.delivery.leaving.lifecycle import Lifecycle
from tellwhy.engine.provider import TracerProvider

ROUNDS = 9
NEVER = 3_600_000


class Nowhere:
    """An exporter that takes everything."""

    def export(self, spans: Any) -> SpanExportResult:
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        pass


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def ended_span(provider: Any) -> Any:
    span = provider.get_tracer("bench").start_span("GET /order/{id}", attributes=ATTRIBUTES)
    span.end()
    return span


ATTRIBUTES = {
    "http.request.method": "GET", "http.route": "/order/{id}", "http.response.status_code": 200, "url.path": "/order/7",
    "server.address": "shop", "server.port": 8080, "user_agent.original": "curl/8.5", "network.protocol.version": "1.1",
}  # fmt: skip


def per_call(call: Callable[[Any], object], argument: Any, number: int) -> float:
    """Return nanoseconds of one call, the empty loop taken off."""
    numbers = range(number)
    began = time.perf_counter_ns()
    for _ in numbers:
        pass
    empty = time.perf_counter_ns() - began
    began = time.perf_counter_ns()
    for _ in numbers:
        call(argument)
    return (time.perf_counter_ns() - began - empty) / number


def ending() -> dict[str, Callable[[], float]]:
    """Return what to measure on the thread that ends a span: on_end alone, in ns."""

    def below(make: Callable[[int], Any], span: Any) -> Callable[[], float]:
        def measure() -> float:
            processor = make(100_000)
            try:
                processor.on_end(span)  # starts the thread
                time.sleep(0.02)
                return per_call(processor.on_end, span, 20_000)
            finally:
                processor.shutdown()

        return measure

    def at_bound(make: Callable[[int], Any], span: Any) -> Callable[[], float]:
        def measure() -> float:
            processor = make(2048)
            try:
                for _ in range(2100):
                    processor.on_end(span)
                time.sleep(0.02)
                return per_call(processor.on_end, span, 20_000)
            finally:
                processor.shutdown()

        return measure

    release = threading.Event()

    class Busy(Nowhere):
        """An exporter that is at it all the time, so that the queue stays full."""

        def export(self, spans: Any) -> SpanExportResult:
            release.wait(30)
            return SpanExportResult.SUCCESS

        def shutdown(self) -> None:
            release.set()

    def ours(size: int) -> Any:
        return BatchSpanProcessor(Nowhere(), size, NEVER, size, exit_budget_millis=100)

    def ours_busy(size: int) -> Any:
        release.clear()
        return BatchSpanProcessor(Busy(), size, NEVER, 512, exit_budget_millis=1)

    def sdk(size: int) -> Any:
        return SdkProcessor(Nowhere(), max_queue_size=size, schedule_delay_millis=NEVER, max_export_batch_size=size)

    lean, official = ended_span(TracerProvider(shutdown_on_exit=False)), ended_span(SdkProvider(shutdown_on_exit=False))
    return {
        "empty function call": lambda: per_call(lambda _: None, lean, 20_000),
        "on_end, lean span": below(ours, lean),
        "on_end, lean span, queue at its bound": at_bound(ours_busy, lean),
        "on_end, SDK span": below(ours, official),
        "SDK's processor, SDK span": below(sdk, official),
    }


def sending(endpoint: str) -> dict[str, Callable[[], float]]:
    """Return what to measure on the worker: encode and send one span of eight attributes, CPU ns."""
    providers = TracerProvider(shutdown_on_exit=False), SdkProvider(shutdown_on_exit=False)
    lean, official = ([ended_span(provider) for _ in range(512)] for provider in providers)

    def cost(exporter: Any, spans: list[Any]) -> Callable[[], float]:
        exporter.export(spans)

        def measure() -> float:
            began = time.thread_time_ns()
            for _ in range(10):
                exporter.export(spans)
            return (time.thread_time_ns() - began) / (10 * len(spans))

        return measure

    return {
        "export a span of 8 attributes, ours": cost(OTLPSpanExporter(endpoint), lean),
        "the same, gzip": cost(OTLPSpanExporter(endpoint, compression="gzip"), lean),
        "the same, SDK span": cost(OTLPSpanExporter(endpoint), official),
        "the SDK's exporter": cost(SdkExporter(endpoint), official),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    measures = {**ending(), **sending(f"http://127.0.0.1:{server.server_port}/v1/traces")}
    rounds: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(ROUNDS):
        for name, measure in measures.items():
            rounds[name].append(measure())
    medians = {name: statistics.median(found) for name, found in rounds.items()}
    Lifecycle(1)  # imported: the benchmark runs with everything that a program has loaded
    if given.json:
        print(json.dumps({name: round(value) for name, value in medians.items()}))
        return
    for name, value in medians.items():
        print(f"{name:45} {value:9.0f} ns")


if __name__ == "__main__":
    sys.exit(main())
