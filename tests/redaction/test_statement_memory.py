# SPDX-License-Identifier: Apache-2.0
"""What was found out about a statement is remembered, within bounds."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import pytest

from tellwhy.redaction import analyze, statements
from tellwhy.redaction.statements import BUDGET, MAX_REMEMBERED


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    """Each test begins with an empty memory."""
    statements.forget()
    yield
    statements.forget()


def held(memory: statements._Memory) -> int:
    """The bytes of everything in a memory, each string once."""
    seen: dict[int, int] = {}
    for generation in (memory.young, memory.old, memory.shapes):
        seen[id(generation)] = sys.getsizeof(generation)
        for text, found in generation.items():
            seen[id(text)] = sys.getsizeof(text)
            seen[id(found)] = sys.getsizeof(found)
            seen.update((id(part), sys.getsizeof(part)) for part in found)
    return sum(seen.values())


def test_the_same_text_is_found_again() -> None:
    """The second answer is the first one's object."""
    assert analyze("SELECT a FROM t WHERE b = 'x'") is analyze("SELECT a FROM t WHERE b = 'x'")


def test_the_same_shape_shares_one_answer() -> None:
    """Statements that differ in literals share text and summary, so memory holds them once."""
    assert analyze("SELECT a FROM t WHERE b = 'x'") is analyze("SELECT a FROM t WHERE b = 'y'")


def test_dialects_are_apart() -> None:
    """The same text means different things to different databases."""
    statement = 'SELECT "a" FROM t'

    assert (analyze(statement)[0], analyze(statement, "mysql")[0]) == ('SELECT "a" FROM t', "SELECT ? FROM t")


@pytest.mark.parametrize(
    "text", ["SELECT '{0}', a_{0} FROM t{0}", "SELECT {0} FROM t WHERE a = 'ü€{0}'", "SELECT '{0}{1}'"]
)
def test_memory_is_bounded_in_bytes(text: str) -> None:
    """A program that writes literals into its statements does not grow."""
    for number in range(30_000):
        analyze(text.format(number, "x" * 2000))

    assert held(statements._memories["postgresql"]) <= BUDGET


def test_unknown_dialects_share_a_memory() -> None:
    """A db.system.name is text that anybody can write."""
    for number in range(1000):
        analyze("SELECT a FROM t", f"unheard_of_{number}")

    assert len({id(memory) for memory in statements._memories.values()}) <= 4
    assert len(statements._memories) <= 14


def test_huge_statements_are_not_remembered() -> None:
    """A bulk insert comes once."""
    analyze("INSERT INTO t VALUES " + ", ".join(["(1, 'x')"] * MAX_REMEMBERED))

    assert statements._memories["postgresql"].young == {}


def test_what_is_used_stays_while_others_come_and_go() -> None:
    """A statement that is used is not forgotten, whatever passes meanwhile."""
    first = analyze("SELECT a FROM often_used")
    for number in range(40_000):
        analyze(f"SELECT a FROM once_used_{number}")
        if number % 1000 == 0:
            analyze("SELECT a FROM often_used")

    assert first is analyze("SELECT a FROM often_used")


@pytest.mark.parametrize("ending", ["", ";"])
def test_a_comment_with_a_new_traceparent_does_not_fill_the_memory(ending: str) -> None:
    """Sqlcommenter makes each statement unique; what stands before the comment is what comes again."""
    for number in range(1, 200):
        trace_id = f"{number:032x}"
        comment = f"/*traceparent='00-{trace_id}-00f067aa0ba902b7-01',user='bob'*/"
        text, summary, _, _ = analyze(f"SELECT a FROM t WHERE b = 'x' {comment}{ending}")

        assert (
            f"SELECT a FROM t WHERE b = ? /*traceparent='00-{trace_id}-00f067aa0ba902b7-01',user='?'*/{ending}" == text
        )
        assert summary == "SELECT t"
    assert list(statements._memories["postgresql"].young) == ["SELECT a FROM t WHERE b = 'x'"]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 'never closed /*traceparent='00-x'*/",
        "SELECT a /* b /*route='x'*/",
        "SELECT 'a' /*route='x'*/ || 'secret' /*route='y'*/",
        "SELECT 1 /*hunter2*/",
        "/*route='x'*/",
    ],
)
def test_a_comment_that_is_not_one_is_not_taken_for_one(statement: str) -> None:
    """The short way for sqlcommenter's comment says what the long way says."""
    from tellwhy.redaction.sql import scrub_sql

    assert scrub_sql(statement) == analyze(statement)[0]


def test_threads_share_it() -> None:
    """Eight threads, more statements than fit: every answer is right."""
    wrong: list[str] = []

    def work(thread: int) -> None:
        for number in range(3000):
            text = analyze(f"SELECT a FROM t{thread}_{number} WHERE b = 'secret{number}'")[0]
            if text != f"SELECT a FROM t{thread}_{number} WHERE b = ?":
                wrong.append(text)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
