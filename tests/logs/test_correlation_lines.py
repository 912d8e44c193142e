"""Modes ``text`` and ``json``: what handlers write, line by line."""

from __future__ import annotations

import io
import json
import logging
import logging.handlers
import queue
import sys
from collections.abc import Callable

import pytest
from opentelemetry.trace import Span, Tracer

from tellwhy import diagnostics
from tellwhy.logs import JsonFormatter, correlation

Writer = tuple[Callable[..., logging.Logger], io.StringIO]


def suffix(span: Span) -> str:
    context = span.get_span_context()
    return f" trace_id={context.trace_id:032x} span_id={context.span_id:016x}"


class Shouting(logging.Formatter):
    """A formatter of the program's own; it keeps passwords out of the log."""

    def format(self, record: logging.LogRecord) -> str:
        return record.getMessage().upper().replace("SECRET", "***")


# -- text


@pytest.mark.parametrize("format", [None, "%(levelname)s %(message)s"])
def test_text_appends_inside_a_span_only(tracer: Tracer, written: Writer, format: str | None) -> None:
    """With a format or without, a line inside a span ends with its ids; others are as they were."""
    make, text = written
    logger = make(format)
    logger.warning("one")
    correlation.install("text")
    logger.warning("two")
    with tracer.start_as_current_span("s") as span:
        logger.warning("three")

    start = "WARNING " if format else ""
    assert [f"{start}one", f"{start}two", f"{start}three{suffix(span)}"] == text.getvalue().splitlines()


def test_text_of_a_formatter_of_the_programs_own(tracer: Tracer, written: Writer) -> None:
    """A formatter class that never calls the standard one gets the ids too."""
    make, text = written
    correlation.install("text")
    with tracer.start_as_current_span("s") as span:
        make(formatter=Shouting()).warning("hello")

    assert f"HELLO{suffix(span)}\n" == text.getvalue()


def test_text_with_a_traceback(tracer: Tracer, written: Writer) -> None:
    """Of several lines the first gets the ids; number and order of lines stay."""
    make, text = written
    correlation.install("text")
    logger = make("%(message)s")
    with tracer.start_as_current_span("s") as span:
        try:
            raise KeyError("k")
        except KeyError:
            logger.exception("failed\nbadly")

    lines = text.getvalue().splitlines()
    assert [f"failed{suffix(span)}", "badly", "Traceback (most recent call last):"] == lines[:3]
    assert lines[-1] == "KeyError: 'k'"
    assert len(lines) == 6


@pytest.mark.parametrize("name", ["trace_id", "otelTraceID"])
def test_text_that_shows_the_id_is_left_alone(tracer: Tracer, written: Writer, name: str) -> None:
    """A format that has the trace id already does not get it twice."""
    make, text = written
    correlation.install("text")
    with tracer.start_as_current_span("s") as span:
        make(f"[%({name})s] %(message)s").warning("x")

    assert f"[{span.get_span_context().trace_id:032x}] x\n" == text.getvalue()


def test_text_that_is_json_is_left_alone(tracer: Tracer, written: Writer) -> None:
    """JSON lines of any formatter stay JSON."""
    make, text = written
    correlation.install("text")
    with tracer.start_as_current_span("s"):
        make('{"message":"%(message)s"}').warning("x")

    assert text.getvalue() == '{"message":"x"}\n'


def test_what_is_no_text_is_left_alone(tracer: Tracer, written: Writer) -> None:
    """A formatter that returns an object (fluentd's does) gets it through to its handler."""

    class ToDict(logging.Formatter):
        def format(self, record: logging.LogRecord) -> dict[str, str]:
            return {"message": record.getMessage()}

    make, _ = written
    handler = make(formatter=ToDict()).handlers[0]
    for mode in ("text", "json"):
        correlation.install(mode)
        with tracer.start_as_current_span("s"):
            assert handler.format(logging.makeLogRecord({"msg": "x"})) == {"message": "x"}


def test_text_through_a_queue_is_appended_once(tracer: Tracer, written: Writer) -> None:
    """A queue handler formats the message before the real handler does: the ids come in once."""
    make, text = written
    correlation.install("text")
    records: queue.Queue[logging.LogRecord] = queue.Queue()
    listener = logging.handlers.QueueListener(records, *make("<%(message)s>").handlers)
    logger = logging.Logger("queued")
    logger.addHandler(logging.handlers.QueueHandler(records))
    listener.start()
    with tracer.start_as_current_span("s") as span:
        logger.warning("x")
    listener.stop()

    assert f"<x>{suffix(span)}\n" == text.getvalue()


def test_text_that_is_logged_again_is_appended_once(tracer: Tracer, written: Writer) -> None:
    """A stream that feeds another logger (celery redirects stderr so) does not double the ids."""
    make, text = written
    correlation.install("text")

    class ToLogger(io.StringIO):
        def write(self, line: str) -> int:
            outer.warning(line.rstrip("\n"))
            return len(line)

    outer = make("outer: %(message)s")
    inner = logging.Logger("inner")
    inner.addHandler(logging.StreamHandler(ToLogger()))
    with tracer.start_as_current_span("s") as span:
        inner.warning("x")

    assert f"outer: x{suffix(span)}\n" == text.getvalue()


def test_last_resort_in_text_mode(tracer: Tracer, capsys: pytest.CaptureFixture[str]) -> None:
    """Without any handler the standard library's last resort writes, to stderr, from WARNING on."""
    correlation.install("text")
    logger = logging.Logger("bare")
    with tracer.start_as_current_span("s") as span:
        logger.info("not seen")
        logger.warning("seen")

    assert f"seen{suffix(span)}\n" == capsys.readouterr().err
    assert logging.getLogger("bare").handlers == []


def test_mode_can_change(tracer: Tracer, written: Writer) -> None:
    """From ``text`` to ``json`` to ``fields``: each call puts its mode in force, and only that."""
    make, text = written
    logger = make("%(message)s")
    standard = logging.Handler.format
    with tracer.start_as_current_span("s") as span:
        for mode in ("text", "json", "fields"):
            correlation.install(mode)
            logger.warning("x")

    first, second, third = text.getvalue().splitlines()
    assert f"x{suffix(span)}" == first
    assert json.loads(second)["message"] == "x"
    assert third == "x"
    assert logging.Handler.format is standard


# -- json


def test_json_lines_of_plain_handlers(tracer: Tracer, written: Writer) -> None:
    """Stream handlers with a plain formatter, or none, write JSON with ids, service, extras, exception."""
    make, text = written
    correlation.install("json", "shop")
    for format in (None, "%(levelname)s %(message)s"):
        with tracer.start_as_current_span("s") as span:
            try:
                raise KeyError("k")
            except KeyError:
                make(format).exception("failed: %s", "x", extra={"user": "ann"})
        context = span.get_span_context()
        line = json.loads(text.getvalue().splitlines()[-1])

        assert line["message"] == "failed: x"
        assert line["level"] == "ERROR"
        assert f"{context.trace_id:032x}" == line["trace_id"]
        assert f"{context.span_id:016x}" == line["span_id"]
        assert line["service.name"] == "shop"
        assert line["user"] == "ann"
        assert line["exception"]["type"] == "KeyError"
        assert "test_json_lines_of_plain_handlers" in line["exception"]["stacktrace"]
    assert len(text.getvalue().splitlines()) == 2


def test_json_of_a_formatter_of_the_programs_own(tracer: Tracer, written: Writer) -> None:
    """What the program's own formatter hides stays hidden: its text is the message, nothing is added."""
    make, text = written
    correlation.install("json")
    with tracer.start_as_current_span("s") as span:
        make(formatter=Shouting()).warning("the secret", extra={"password": "secret"})

    line = json.loads(text.getvalue())
    assert line["message"] == "THE ***"
    assert f"{span.get_span_context().trace_id:032x}" == line["trace_id"]
    assert "secret" not in text.getvalue()


def test_json_of_the_programs_own_is_left_alone(tracer: Tracer, written: Writer) -> None:
    """A formatter that writes JSON is not wrapped in JSON; its extras have the ids."""

    class Own(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return json.dumps({"own": record.getMessage(), "trace": record.trace_id})

    make, text = written
    correlation.install("json")
    with tracer.start_as_current_span("s") as span:
        make(formatter=Own()).warning("x")

    assert {"own": "x", "trace": f"{span.get_span_context().trace_id:032x}"} == json.loads(text.getvalue())


def test_json_leaves_other_handlers_alone(tracer: Tracer) -> None:
    """A handler that does not write to a stream (syslog, mail) formats as it did."""

    class Mail(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            sent.append(self.format(record))

    sent: list[str] = []
    correlation.install("json")
    logger = logging.Logger("mail")
    logger.addHandler(Mail())
    with tracer.start_as_current_span("s"):
        logger.warning("x")

    assert sent == ["x"]


@pytest.mark.parametrize("mode", ["text", "json"])
def test_a_failing_formatter_fails_as_it_did(written: Writer, mode: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An exception in the program's formatter reaches ``Handler.handleError``, as without us."""

    class Failing(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            raise ZeroDivisionError

    make, text = written
    correlation.install(mode)
    make(formatter=Failing()).warning("x")

    assert text.getvalue() == ""
    assert capsys.readouterr().err.count("--- Logging error ---") == 1


def test_a_fault_of_ours_leaves_the_line_as_it_was(written: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    """If our own JSON fails, the program's line is written, and each fault is said once."""
    make, text = written
    voice = io.StringIO()
    diagnostics.configure("normal", voice)
    correlation.install("json")
    monkeypatch.setattr(JsonFormatter, "_line", lambda *_: 1 / 0)
    logger = make("plain %(message)s")
    logger.warning("one")
    logger.warning("two")

    assert text.getvalue() == "plain one\nplain two\n"
    assert voice.getvalue().count("ZeroDivisionError") == 2


def test_streams_stay_as_they_are() -> None:
    """No handler, level or filter is added anywhere, in any mode."""
    root = logging.getLogger()
    before = list(root.handlers), root.level, list(root.filters), logging.lastResort, sys.stderr
    for mode in ("fields", "text", "json"):
        correlation.install(mode)
        assert before == (list(root.handlers), root.level, list(root.filters), logging.lastResort, sys.stderr)
