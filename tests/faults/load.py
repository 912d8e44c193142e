# SPDX-License-Identifier: Apache-2.0
"""
A steady load, for the fault harness: makes spans at a rate and tells what became of them.

Run as a program in a process of its own. The last line on stdout is JSON: how
many spans it has ended (its own count), the account of delivery after the
exit, the latency of its "requests" and its memory.
"""

from __future__ import annotations

import argparse
import atexit
import json
import os
import resource
import sys
import time
from array import array


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--endpoint", default="")
    parser.add_argument("--requests", type=int, default=0, help="how many in all; 0 for as long as --seconds")
    parser.add_argument("--seconds", type=float, default=1.2)
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second; 0 for as many as possible")
    parser.add_argument("--spans", type=int, default=3, help="of one request")
    parser.add_argument("--queue", type=int, default=2048)
    parser.add_argument("--delay", type=float, default=200.0)
    parser.add_argument("--timeout", type=float, default=0.5)
    parser.add_argument("--budget", type=float, default=1000.0)
    parser.add_argument("--spool", default="")
    parser.add_argument("--engine", choices=("lean", "sdk"), default="lean")
    parser.add_argument("--headers", default="")
    parser.add_argument(
        "--progress",
        default="",
        help="a file that holds, at any moment, how many spans have ended and how many of them are on disk",
    )
    parser.add_argument("--first-wait", type=float, default=0.0, help="seconds before the first retry, if not the real")
    return parser.parse_args()


def main() -> None:
    given = parse()
    report: dict[str, object] = {}
    atexit.register(lambda: print(json.dumps(report), flush=True))  # registered first: runs last
    tracer, processor = make_tracer(given)
    if processor is not None:
        started = [0.0]
        atexit.register(lambda: report.update(stats=processor.stats(), exit_s=round(time.monotonic() - started[0], 3)))
        install(given, processor)
        atexit.register(lambda: started.__setitem__(0, time.monotonic()))  # registered last: runs first
    latencies, rss = run(given, tracer, processor)
    latencies = sorted(latencies)
    report.update(
        produced=len(latencies) * given.spans,
        p50_ms=latencies[len(latencies) // 2] * 1000,
        p99_ms=latencies[int(len(latencies) * 0.99)] * 1000,
        rss_start_kb=rss[0],
        rss_peak_kb=max(rss),
    )


def make_tracer(given: argparse.Namespace):
    if given.engine == "lean":
        from tellwhy.engine.provider import TracerProvider
    else:
        from opentelemetry.sdk.trace import TracerProvider
    provider = TracerProvider(shutdown_on_exit=False)
    processor = None
    if given.first_wait:
        from tellwhy.delivery.otlp import retry

        retry.FIRST_WAIT, retry.LONGEST_WAIT = given.first_wait, given.first_wait * 4
    if given.endpoint:
        from tellwhy.delivery import BatchSpanProcessor, OTLPSpanExporter

        headers = dict(pair.split("=", 1) for pair in given.headers.split(",") if pair)
        exporter = OTLPSpanExporter(given.endpoint + "/v1/traces", headers=headers, timeout=given.timeout)
        processor = BatchSpanProcessor(
            exporter,
            max_queue_size=given.queue,
            schedule_delay_millis=given.delay,
            max_export_batch_size=min(512, given.queue),
            spool_dir=given.spool or None,
        )
        provider.add_span_processor(processor)
    return provider.get_tracer("load"), processor


def install(given: argparse.Namespace, processor) -> None:
    from tellwhy.delivery.leaving.lifecycle import Lifecycle

    lifecycle = Lifecycle(given.budget)
    lifecycle.add(processor)
    lifecycle.install()


def run(given: argparse.Namespace, tracer, processor) -> tuple[array, list[int]]:
    latencies = array("d")  # eight bytes a request: the memory that is measured is delivery's
    rss = [memory()]
    progress = os.open(given.progress, os.O_WRONLY | os.O_CREAT) if given.progress else None
    start = time.monotonic()
    number = 0
    while (number < given.requests) if given.requests else (time.monotonic() - start < given.seconds):
        began = time.perf_counter()
        request(tracer, given.spans)
        latencies.append(time.perf_counter() - began)
        number += 1
        if progress is not None:
            # What is on disk first: it must not be more than what has ended.
            on_disk = processor.stats()["spooled"]
            os.pwrite(progress, b"%012d %012d" % (number * given.spans, on_disk), 0)
        if number % 500 == 0:
            rss.append(memory())
        if given.rate:
            ahead = start + number / given.rate - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)
    rss.append(memory())
    return latencies, rss


def request(tracer, spans: int) -> None:
    with tracer.start_as_current_span("GET /order", attributes={"http.route": "/order", "user.id": 42}):
        for step in range(spans - 1):
            with tracer.start_as_current_span("step", attributes={"step": step, "table": "orders", "ok": True}):
                sum(range(500))


def memory() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize() // 1024


if __name__ == "__main__":
    sys.setswitchinterval(0.005)
    os.environ.setdefault("OTEL_SERVICE_NAME", "load")
    main()
