# SPDX-License-Identifier: Apache-2.0
"""Texts that are made to be slow: time grows with their length, not with its square."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tellwhy import redaction

REPEATED = [
    *"'\"-(=:?@;,\\{[%1a \n",
    *("''", "'a", "\\'", "$a$", "$$", "/*", "*/", "--", " IN (?,", "VALUES (", "(1),", "((", "1e+", "$1", "E'"),
    *("SELECT ", "FROM ", "JOIN ", "WITH a AS (", "ALTER USER ", "PASSWORD ", "FROM STDIN\n", "from stdin with ("),
    *("token=", "password='", "password: ", 'password="\\', "password=[", "Cookie: a ", "session:a:", "token: a b "),
    *("://", "http://a@", "a://b@c ", "?a=", "%2525", "#", ";a=", "<a>", "<a ", "('a', '", " --a ", "curl -u "),
    *(")=(", ': "', "DETAIL: contains (", "LINE 1: ", "QUERY: ", "[SQL: ", 'SQL statement "', "near '", 'value "'),
    *("invalid input syntax for ", "malformed ", "COPY a, line 1", "Command # 1 (a ", "query argument $1"),
    *(
        "Bearer ",
        "Basic ",
        "-----BEGIN PRIVATE KEY-----",
        "eyJ",
        "sk-",
        "sk-a",
        "xoxb-1",
        "4111",
        "4111 ",
        "12345678:AA",
    ),
]


def scrub_mysql(text: str) -> str:
    return redaction.scrub_sql(text, "mysql")


def scrub_unknown(text: str) -> str:
    return redaction.scrub_sql(text, "other_sql")


CALLS = [
    redaction.analyze,
    scrub_mysql,
    scrub_unknown,
    redaction.redact_url,
    redaction.redact_text,
    redaction.scrub_db_error,
]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
def test_time_grows_with_the_length(call: Callable[[str], object]) -> None:
    """40 kB of anything repeated take milliseconds; with a square in it they would take tens of seconds."""
    slow = []
    for piece in REPEATED:
        text = piece * (40_000 // len(piece))
        started = time.process_time()
        call(text)
        taken = time.process_time() - started
        if taken > 1.5:
            slow.append((piece, taken))

    assert slow == []


def test_a_megabyte_of_sql() -> None:
    """The longest statement costs what its first 32 kB cost."""
    started = time.process_time()
    for text in ("INSERT INTO t VALUES " + "(1, 'a'), " * 100_000, "SELECT " + "a" * 1_000_000, "'" * 1_000_000):
        redaction.analyze(text)

    assert time.process_time() - started < 2
