"""The same ids for structlog's events and loguru's records."""

from __future__ import annotations

import copy
import io
import json
import logging
import logging.handlers
import queue
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from loguru import logger as global_loguru
from opentelemetry.trace import Span, Tracer

import tellwhy.logs
from tellwhy.logs import add_trace_context, correlation, patch_loguru


def w3c(span: Span) -> tuple[str, str, str]:
    context = span.get_span_context()
    return f"{context.trace_id:032x}", f"{context.span_id:016x}", f"{context.trace_flags:02x}"


NAMES = ("trace_id", "span_id", "trace_flags")


# -- structlog


def structlog_logger(text: io.StringIO) -> Any:
    return structlog.wrap_logger(
        structlog.PrintLogger(text), processors=[add_trace_context, structlog.processors.JSONRenderer()]
    )


def test_structlog_event(tracer: Tracer) -> None:
    """An event inside a span has its ids, one outside has none."""
    text = io.StringIO()
    logger = structlog_logger(text)
    with tracer.start_as_current_span("s") as span:
        logger.info("inside", user="ann")
    logger.info("outside")

    inside, outside = map(json.loads, text.getvalue().splitlines())
    assert {"event": "inside", "user": "ann", **dict(zip(NAMES, w3c(span), strict=True))} == inside
    assert outside == {"event": "outside"}


def test_structlog_keeps_what_the_event_has(tracer: Tracer) -> None:
    """An event that brings its own ``trace_id`` keeps it."""
    text = io.StringIO()
    with tracer.start_as_current_span("s") as span:
        structlog_logger(text).info("x", trace_id="mine")

    event = json.loads(text.getvalue())
    assert ("mine", *w3c(span)[1:]) == tuple(event[name] for name in NAMES)


def test_structlog_formats_a_record_of_another_thread(tracer: Tracer) -> None:
    """``ProcessorFormatter`` in a listener's thread writes the ids that the record brought."""
    correlation.install()
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[add_trace_context],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    records: queue.Queue[logging.LogRecord] = queue.Queue()
    listener = logging.handlers.QueueListener(records, handler)
    logger = logging.Logger("foreign")
    logger.addHandler(logging.handlers.QueueHandler(records))
    listener.start()
    with tracer.start_as_current_span("s") as span:
        logger.warning("x")
    listener.stop()

    event = json.loads(text.getvalue())
    assert w3c(span) == tuple(event[name] for name in NAMES)


# -- loguru


@pytest.fixture
def loguru_text() -> Iterator[tuple[Any, io.StringIO]]:
    """A loguru logger of our own with one sink, and what it writes."""
    logger = copy.deepcopy(_without_sinks())
    text = io.StringIO()
    logger.add(text, format="{message} {extra[trace_id]}/{extra[span_id]}/{extra[trace_flags]}")
    yield logger, text
    logger.remove()


def _without_sinks() -> Any:
    global_loguru.remove()
    return global_loguru


def test_loguru_record(tracer: Tracer, loguru_text: tuple[Any, io.StringIO]) -> None:
    """A record inside a span has its ids in ``extra``; outside they are empty, so no format fails."""
    logger, text = loguru_text
    undo = patch_loguru(logger)
    with tracer.start_as_current_span("s") as span:
        logger.info("inside")
        logger.bind(user="ann").info("bound")
    logger.info("outside")
    undo()

    ids = "/".join(w3c(span))
    assert [f"inside {ids}", f"bound {ids}", "outside //"] == text.getvalue().splitlines()


@pytest.mark.parametrize("order", ["before", "after"])
def test_loguru_patcher_of_the_program(tracer: Tracer, loguru_text: tuple[Any, io.StringIO], order: str) -> None:
    """The program's own patcher, set before us or after us, runs after ours and may read the ids."""
    logger, text = loguru_text

    def shout(record: Any) -> None:
        record["message"] = record["message"].upper() + record["extra"]["trace_id"][:4]

    if order == "before":
        logger.configure(patcher=shout)
    undo = patch_loguru(logger)
    if order == "after":
        logger.configure(patcher=shout)
    with tracer.start_as_current_span("s") as span:
        logger.info("x")
    undo()

    ids = w3c(span)
    assert f"X{ids[0][:4]} {'/'.join(ids)}\n" == text.getvalue()
    assert logger._core.patcher is shout


def test_loguru_patched_twice_and_undone(tracer: Tracer, loguru_text: tuple[Any, io.StringIO]) -> None:
    """A second call adds nothing; undoing leaves loguru as it was."""
    logger, _ = loguru_text
    configure = type(logger).configure
    patch_loguru(logger)
    patcher = logger._core.patcher
    undo = patch_loguru(logger)
    assert logger._core.patcher is patcher
    undo()
    undo()

    assert logger._core.patcher is None
    assert type(logger).configure is configure


def test_loguru_keeps_what_the_program_binds(tracer: Tracer, loguru_text: tuple[Any, io.StringIO]) -> None:
    """A ``trace_id`` that the program binds stays."""
    logger, text = loguru_text
    undo = patch_loguru(logger)
    with tracer.start_as_current_span("s") as span:
        logger.bind(trace_id="mine").info("x")
    undo()

    assert f"x mine/{'/'.join(w3c(span)[1:])}\n" == text.getvalue()


def test_loguru_into_a_handler_of_logging(tracer: Tracer) -> None:
    """A handler of ``logging`` that loguru writes to finds OpenTelemetry's names on the record."""
    correlation.install()
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(logging.Formatter("%(message)s %(otelTraceID)s"))
    logger = copy.deepcopy(_without_sinks())
    logger.add(handler, format="{message}")
    with tracer.start_as_current_span("s") as span:
        logger.info("x")
    logger.remove()

    assert f"x {w3c(span)[0]}\n" == text.getvalue()


# -- the package


def test_names_load_when_they_are_used() -> None:
    """The package says its three names, and loads neither structlog nor loguru nor json for it."""
    assert {"JsonFormatter", "add_trace_context", "patch_loguru"} == set(tellwhy.logs.__all__)
    assert set(tellwhy.logs.__all__) <= set(dir(tellwhy.logs))
    with pytest.raises(AttributeError, match="patch_logru"):
        tellwhy.logs.patch_logru
    program = (
        "import sys, tellwhy.logs\n"
        "tellwhy.logs.add_trace_context\n"
        "tellwhy.logs.patch_loguru\n"
        "print([n for n in ('structlog', 'loguru', 'json', 'logging', 'opentelemetry') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
