# SPDX-License-Identifier: Apache-2.0
"""Ours beside OpenTelemetry's instrumentors, under the same traffic: every difference is in the docs, with a reason."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.program import APPS
from support.upstream import Upstream

pytestmark = [pytest.mark.servers]

PAGE = Path(__file__).parent.parent.parent / "docs" / "explanation" / "instrumentation-differences.md"
MODES = {"stable": "http,database", "old": "", "both": "http/dup,database/dup"}
LIBRARIES = ("flask", "requests", "psycopg2", "redis")
Found = dict[tuple[str, str], set[str]]  # library and what differs -> in which steps


@pytest.fixture(scope="module")
def found(postgres: str, redis_server: str) -> Iterator[Found]:
    """All differences, in the three forms of the semantic conventions."""
    with Upstream() as upstream:
        runs = {
            (who, mode): _start(who, opt_in, upstream.url, postgres, redis_server)
            for mode, opt_in in MODES.items()
            for who in ("contrib", "tellwhy")
        }
        made = {key: _finished(process) for key, process in runs.items()}
    differences: Found = {}
    for mode in MODES:
        theirs, ours = made["contrib", mode], made["tellwhy", mode]
        for library in LIBRARIES:
            assert theirs[library].keys() == ours[library].keys()
            for step in theirs[library]:
                for what in _compare(theirs[library][step], ours[library][step]):
                    differences.setdefault((library, what), set()).add(f"{mode}: {step}")
    yield differences


def _start(who: str, opt_in: str, *servers: str) -> subprocess.Popen[str]:
    environ = {
        **os.environ,
        "OTEL_SEMCONV_STABILITY_OPT_IN": opt_in,
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST": "x-request-id,authorization",
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_REQUEST": "x-request-id",
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_RESPONSE": "x-request-id",
    }
    return subprocess.Popen(
        [sys.executable, str(APPS / "library_traffic.py"), who, *servers],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _finished(process: subprocess.Popen[str]) -> dict[str, dict[str, list[dict[str, Any]]]]:
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    result: dict[str, dict[str, list[dict[str, Any]]]] = json.loads(output)
    return result


def _compare(theirs: list[dict[str, Any]], ours: list[dict[str, Any]]) -> Iterator[str]:
    """Yield what differs: ``spans``, a field of a span, or an attribute's key."""
    if len(theirs) != len(ours):
        yield "number of spans"
        return
    for their, our in zip(theirs, ours, strict=True):
        for field in ("name", "kind", "status", "description", "events", "parent"):
            if their[field] != our[field]:
                yield field
        for key in their["attributes"].keys() | our["attributes"].keys():
            if their["attributes"].get(key) != our["attributes"].get(key):
                yield key


def declared() -> set[tuple[str, str]]:
    """Return the rows of the page's first table: library and what differs."""
    table = PAGE.read_text().partition("Differences in behaviour")[0]
    rows = re.findall(r"^\| (\w+) \| (.+?) \|", table, re.MULTILINE)
    return {
        (library, what.strip("`")) for library, cell in rows if library in LIBRARIES for what in re.split(r", ", cell)
    }


def test_every_difference_is_on_the_page(found: Found) -> None:
    """What differs from OpenTelemetry's instrumentors is told, with its reason."""
    untold = {key: sorted(steps) for key, steps in found.items() if key not in declared()}

    assert untold == {}


def test_every_row_of_the_page_is_a_difference(found: Found) -> None:
    """What the page tells is still so."""
    assert set() == declared() - found.keys()
