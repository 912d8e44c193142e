"""The program's lines are the same with us and without: in number, order and stream."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.otlp import OtlpReceiver

PROGRAMS = Path(__file__).with_name("programs.py")
SETUPS = re.findall(r"^def (\w+)\(\) -> None:", PROGRAMS.read_text(), re.MULTILINE)
TRACE_ID, SPAN_ID = f"{0xA11CE:032x}", f"{0xB0B:016x}"
SUFFIX = f" trace_id={TRACE_ID} span_id={SPAN_ID}"
TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}")

Streams = tuple[list[str], list[str]]


@functools.cache
def run(when: str, mode: str, setup: str, endpoint: str = "") -> Streams:
    """Run a program; return the lines of its stdout and of its stderr."""
    done = subprocess.run(
        [sys.executable, str(PROGRAMS), when, mode, setup],
        env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "TELLWHY_DIAGNOSTICS": "quiet"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return TIME.sub("TIME", done.stdout).splitlines(), TIME.sub("TIME", done.stderr).splitlines()


def test_the_setups_are_all_here() -> None:
    """The list of setups is read from the programs; an empty one would test nothing."""
    assert {"bare", "basic_config_late", "flask", "celery", "uvicorn", "queue_listener"} <= set(SETUPS)


@pytest.mark.parametrize("when", ["first", "last"])
@pytest.mark.parametrize("setup", SETUPS)
def test_fields_change_no_line(setup: str, when: str) -> None:
    """Mode ``fields``, installed before or after the program set logging up: every line as without us."""
    without = run("never", "off", setup)
    assert any("inside" in line for line in (*without[0], *without[1]))

    assert without == run(when, "fields", setup)


@pytest.mark.parametrize("when", ["first", "last"])
@pytest.mark.parametrize("setup", SETUPS)
def test_export_changes_no_line_and_loses_none(setup: str, when: str) -> None:
    """OTLP export of log records on: every line as without us, and each has arrived, once."""
    without = run("never", "off", setup)
    with OtlpReceiver() as receiver:
        exported = run(when, "export", setup, receiver.endpoint)
        records = receiver.log_records()

    assert without == exported
    bodies = [record.body for record in records]
    for message in ("first outside", "warning inside", "child inside", "exception inside", "last outside"):
        if any(message in line for stream in without for line in stream):
            assert any(message in body for body in bodies)
    assert len({(record.time_ns, record.scope, record.body) for record in records}) == len(records) > 0
    for record in records:
        inside = "inside" in record.body
        assert (record.trace_id, record.span_id) == ((TRACE_ID, SPAN_ID) if inside else ("", ""))


@pytest.mark.parametrize("setup", SETUPS)
def test_text_changes_only_the_end_of_lines(setup: str) -> None:
    """Mode ``text``: the same lines, and those from inside a span end with its ids, once."""
    out, err = run("never", "off", setup)

    assert (list(map(with_suffix, out)), list(map(with_suffix, err))) == run("last", "text", setup)


def with_suffix(line: str) -> str:
    return line + SUFFIX if "inside" in line else line


@pytest.mark.parametrize("setup", SETUPS)
def test_json_keeps_messages_and_their_order(setup: str) -> None:
    """Mode ``json``: on each stream the same messages in the same order, those from inside with the ids."""
    without, with_json = run("never", "off", setup), run("first", "json", setup)

    for plain, lines in zip(without, with_json, strict=True):
        parsed = [json.loads(line) for line in lines]
        messages = [line for event in parsed for line in text_of(event).splitlines() if line]
        for shown, message in zip(filter(None, plain), messages, strict=True):
            assert message in shown
        for event in parsed:
            if "inside" in event["message"]:
                assert event["span_id"] == SPAN_ID
            else:
                assert "span_id" not in event


def text_of(event: dict[str, object]) -> str:
    """Return the message, and the traceback below it as the standard formatter would write it."""
    exception = event.get("exception")
    stacktrace = exception["stacktrace"] if isinstance(exception, dict) else ""
    return f"{event['message']}\n{stacktrace}"


@pytest.mark.parametrize("mode", ["fields", "text", "json"])
def test_a_format_with_our_names_never_fails(mode: str) -> None:
    """A format that asks for the ids has them on every line, inside a span and outside."""
    names = ("otelTraceID", "otelSpanID", "otelTraceSampled", "otelServiceName", "trace_id", "trace_flags")
    program = (
        "from tellwhy.logs import correlation\n"
        f"correlation.install({mode!r}, 'shop')\n"
        "import logging\n"
        f"logging.basicConfig(format='{' '.join(f'%({name})s' for name in names)} %(message)s')\n"
        "logging.warning('x')\n"
        "logging.getLogger('a.b').error('x', extra={'user': 'ann'})\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)

    lines = done.stderr.splitlines()
    assert len(lines) == 2
    if mode == "json":
        assert [json.loads(line)["service.name"] for line in lines] == ["shop", "shop"]
    else:
        assert lines == ["0 0 False shop   x"] * 2
