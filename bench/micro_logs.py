# SPDX-License-Identifier: Apache-2.0
"""
What does a log record with ids cost, beside the plain logger's?

``python bench/micro_logs.py [--json] [--write]``: records that a handler formats and
writes to the null device. Each row is measured in processes that take turns,
with us and without, since switching classes back and forth in one process
would measure the interpreter's caches; of a process the least of the rounds counts, since
noise only adds, and of all pairs of processes the median. Printed are CPU time of the plain record and
what ours adds to it.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import page

PAGE = Path(__file__).parent.parent / "docs" / "how-to" / "logs.md"
PROCESSES = 9
ROUNDS = 100
RECORDS = 200
FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"

Work = Callable[[], object]
Case = Callable[[bool], Work]  # with us or without -> what logs one record


def logged(
    mode: Any = "off",
    handler: logging.Handler | None = None,
    formatter: Callable[[], logging.Formatter] | None = None,
    **keywords: Any,
) -> Case:
    """Return a case of the standard library's logging."""

    def case(ours: bool) -> Work:
        if ours:
            from tellwhy.logs import correlation

            correlation.install(mode, "bench")
        logger = logging.Logger("shop.orders")
        used = handler or logging.StreamHandler(_null())
        used.setFormatter(formatter() if ours and formatter else logging.Formatter(FORMAT))
        logger.addHandler(used)
        return lambda: logger.info("order %s taken", 7, **keywords)

    return case


def json_formatter() -> logging.Formatter:
    from tellwhy.logs import JsonFormatter

    return JsonFormatter()


def exported(ours: bool) -> Work:
    """Log records that are exported, too: what the thread that logs pays."""
    if ours:
        from tellwhy.delivery.outbox import Outbox
        from tellwhy.delivery.signal import LOGS
        from tellwhy.logs import capture

        outbox = Outbox(
            Exporter(), queue_size=10**6, batch_size=512, delay=3600, export_timeout=30, exit_budget=0, signal=LOGS
        )
        capture.install(lambda: capture.send_to(outbox.put))
    return logged("fields")(ours)


class Exporter:
    """Takes log entries, and keeps none."""

    destination = "nowhere"

    def export(self, entries: object) -> None:
        """Nothing: a success."""

    def shutdown(self) -> None:
        """Nothing."""


def structlogged(ours: bool) -> Work:
    import structlog

    from tellwhy.logs import add_trace_context

    processors = [add_trace_context] if ours else []
    logger = structlog.wrap_logger(
        structlog.PrintLogger(_null()), processors=[*processors, structlog.processors.JSONRenderer()]
    )
    return lambda: logger.info("order taken", order=7)


def loguru_logged(ours: bool) -> Work:
    from loguru import logger

    from tellwhy.logs import patch_loguru

    logger.remove()
    logger.add(_null(), format="{time} {level} {name} {message}")
    if ours:
        patch_loguru()
    return lambda: logger.info("order {} taken", 7)


def record_factory(ours: bool) -> Work:
    """Set four of the fields in a record factory, with the API's own functions; for comparison."""
    from opentelemetry import trace

    def factory(*args: Any, **keywords: Any) -> logging.LogRecord:
        record = logging.LogRecord(*args, **keywords)
        record.otelTraceID = record.otelSpanID = "0"
        record.otelTraceSampled, record.otelServiceName = False, "bench"
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            record.otelTraceID = trace.format_trace_id(context.trace_id)
            record.otelSpanID = trace.format_span_id(context.span_id)
            record.otelTraceSampled = context.trace_flags.sampled
        return record

    if ours:
        logging.setLogRecordFactory(factory)
    return logged()(False)


# name: budget in µs (None: no promise), the tracer of the span around, a new span for each record?, the case
ROWS: dict[str, tuple[float | None, str, bool, Case]] = {
    "fields: outside a span": (0.4, "", False, logged("fields")),
    "fields: inside a span (SDK)": (0.4, "sdk", False, logged("fields")),
    "fields: inside a span (lean)": (0.4, "lean", False, logged("fields")),
    "fields: each in a new span (SDK)": (None, "sdk", True, logged("fields")),
    "fields: each in a new span (lean)": (None, "lean", True, logged("fields")),
    "fields: with an extra": (None, "lean", False, logged("fields", extra={"user": "ann"})),
    "fields: a handler that does not format": (None, "lean", False, logged("fields", logging.NullHandler())),
    "text": (1.0, "lean", False, logged("text")),
    "json": (1.0, "lean", False, logged("json")),
    "JsonFormatter for a format with the time": (1.0, "lean", False, logged(formatter=json_formatter)),
    "structlog: add_trace_context": (1.0, "lean", False, structlogged),
    "loguru: patch_loguru": (1.0, "lean", False, loguru_logged),
    "OTLP export": (None, "lean", False, exported),
    "a record factory, outside a span": (None, "", False, record_factory),
    "a record factory, inside a span (SDK)": (None, "sdk", False, record_factory),
}


def measured(row: str, ours: bool) -> float:
    """Return µs a record, the least of many rounds; in this process."""
    _, engine, new, case = ROWS[row]
    work = case(ours)
    tracer = _tracer(engine)
    if tracer is None or new:
        return _least(work, tracer)
    with tracer.start_as_current_span("bench"):
        return _least(work, None)


def _least(work: Work, tracer: Any) -> float:
    least = float("inf")
    for _ in range(ROUNDS):
        start = time.thread_time_ns()
        if tracer is None:
            for _ in range(RECORDS):
                work()
        else:
            for _ in range(RECORDS):
                with tracer.start_as_current_span("bench"):
                    work()
        least = min(least, (time.thread_time_ns() - start) / RECORDS / 1000)
    return least


def _tracer(engine: str) -> Any:
    if engine == "sdk":
        from opentelemetry.sdk.trace import TracerProvider as SdkProvider

        return SdkProvider(shutdown_on_exit=False).get_tracer("bench")
    if engine == "lean":
        from tellwhy.engine.provider import TracerProvider

        return TracerProvider.lean({}).get_tracer("bench")
    return None


def _null() -> Any:
    return open(os.devnull, "w")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--write", action="store_true", help="put the figures into the page")
    parser.add_argument("--one", nargs=2, metavar=("ROW", "OURS"), help="measure one row in this process")
    arguments = parser.parse_args()
    if arguments.one:
        print(measured(arguments.one[0], arguments.one[1] == "ours"))
        return

    pairs: dict[str, list[tuple[float, float]]] = {row: [] for row in ROWS}
    for _ in range(PROCESSES):
        for row, measured_pairs in pairs.items():
            commands = ([sys.executable, __file__, "--one", row, which] for which in ("plain", "ours"))
            plain, ours = (float(subprocess.check_output(command)) for command in commands)
            measured_pairs.append((plain, ours - plain))
    figures = {row: [statistics.median(column) for column in zip(*found, strict=True)] for row, found in pairs.items()}
    if arguments.json:
        print(json.dumps({row: {"plain_us": plain, "added_us": added} for row, (plain, added) in figures.items()}))
        return
    lines = ["| | plain record, µs | added, µs | at most |", "| --- | --: | --: | --: |"]
    for row, (plain, added) in figures.items():
        budget = ROWS[row][0]
        lines.append(f"| {row} | {plain:.2f} | {added:.2f} | {'' if budget is None else budget} |")
    how = f"CPU, the median of {PROCESSES} pairs of processes, of each the least of {ROUNDS} rounds"
    lines += ["", f"*{page.machine()}; {how}*"]
    print("\n".join(lines))
    if arguments.write:
        page.put(PAGE, "logs", "\n".join(lines))


if __name__ == "__main__":
    main()
