# SPDX-License-Identifier: Apache-2.0
"""Statements, case by case: what exactly remains."""

from __future__ import annotations

import pytest

from tellwhy.redaction import scrub_sql
from tellwhy.redaction.sql import CUT, MAX_STATEMENT


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT 'a', 1, 1.5, .5, -7 FROM t", "SELECT ?, ?, ?, .?, -? FROM t"),
        ("SELECT date '2020-01-01', date'2020-01-01'", "SELECT date ?, date?"),
        ('SELECT a1, a_2, a$3, "4", t5.c6 FROM t5 WHERE x=7', 'SELECT a1, a_2, a$3, "4", t5.c6 FROM t5 WHERE x=?'),
        ("SELECT $1, $12, %s, %(n1)s, :n1, :1, ?, ?1, @p1", "SELECT $1, $12, %s, %(n1)s, :n1, :1, ?, ?1, @p1"),
        ("SELECT a[1:2], a[1:99999], b::int4", "SELECT a[?:?], a[?:?], b::int4"),
        ("SELECT 'a' 'b', 'c'\n'd'", "SELECT ? ?, ?\n?"),
        ("SELECT U&'d!0061t' UESCAPE '!', U&\"d\\0061t\"", 'SELECT ? UESCAPE ?, U&"d\\0061t"'),
        ("SELECT e'a', b'1', x'f', n'z', E'\\'', 'a\\'", "SELECT ?, ?, ?, ?, ?, ?"),
        ("SELECT 1_000, 0xFF_ff, 0o17, 0b11, 1e10, 1E-5, 1.e+5", "SELECT ?, ?, ?, ?, ?, ?, ?"),
        ("SELECT 1-2, 3--4\n+5", "SELECT ?-?, ?\n+?"),
        ("SELECT $$a$$, $t$ $$ $u$ $t$, $ä$x$ä$, a$b$c$b$", "SELECT ?, ?, ?, a$b$c$b$"),
        ("SELECT 1/**/FROM/* x */t", "SELECT ? FROM t"),
        ("SELECT 1 -- a 'quote\nFROM t", "SELECT ? \nFROM t"),
        ("SELECT '--', '/*', \"--\", $$ -- $$ FROM t", 'SELECT ?, ?, "--", ? FROM t'),
        ("WHERE j ? 'k' AND j ?| array['a','b'] AND j @> '{}'", "WHERE j ? ? AND j ?| array[?] AND j @> ?"),
        ("WHERE a IN (1, 2) AND b IN ( 'x' , 'y' )", "WHERE a IN (?) AND b IN (?)"),
        ("WHERE a IN (1::int, NULL, -5, $3)", "WHERE a IN (?::int)"),
        ("WHERE a IN (%s, %s, %s)", "WHERE a IN (%s)"),
        ("WHERE (a, b) IN ((1, 2), (3, 4))", "WHERE (a, b) IN ((?, ?))"),
        ("WHERE a IN (1, b, 3)", "WHERE a IN (?, b, ?)"),
        ("SELECT min (1, 2), f(1, 2)", "SELECT min (?, ?), f(?, ?)"),
        ("VALUES (1, now(), f(g(2))), (3, now(), f(g(4)))", "VALUES (?, now(), f(g(?)))"),
        ("INSERT INTO t VALUES (%s, 'x'),\n  (%s, 'y') RETURNING id", "INSERT INTO t VALUES (%s, ?) RETURNING id"),
        ("SELECT count(*), (SELECT 1 FROM u) FROM t", "SELECT count(*), (SELECT ? FROM u) FROM t"),
        (
            "ALTER USER bob WITH ENCRYPTED PASSWORD 'x' VALID UNTIL 'y'",
            "ALTER USER bob WITH ENCRYPTED PASSWORD ? VALID UNTIL ?",
        ),
        ("BEGIN; alter role bob password hunter2; COMMIT", "BEGIN; alter role bob password ?; COMMIT"),
        ("ALTER ROLE bob PASSWORD NULL", "ALTER ROLE bob PASSWORD NULL"),
        (
            "SELECT password FROM users; ALTER TABLE users DROP password",
            "SELECT password FROM users; ALTER TABLE users DROP password",
        ),
        ("COPY t (a, b) FROM STDIN WITH (FORMAT csv, HEADER)", "COPY t (a, b) FROM STDIN WITH (FORMAT csv, HEADER)"),
        (
            "COPY t FROM STDIN\n  WITH (FORMAT csv, DELIMITER ',')",
            "COPY t FROM STDIN\n  WITH (FORMAT csv, DELIMITER ?)",
        ),
        ("COPY t FROM stdin;\n1\tx\n\\.\nSELECT 1", "COPY t FROM stdin;" + CUT),
        ("SELECT a FROM t WHERE b = 'O'Brien'", "SELECT a FROM t WHERE b = ?" + CUT),
        ("SELECT 'a' FROM t WHERE b = 'never closed", "SELECT ?" + CUT),
        ('SELECT "a" FROM t WHERE "b = 5', 'SELECT "a" FROM t WHERE ?' + CUT),
        ("SELECT 5 FROM t /* never closed", "SELECT ? FROM t " + CUT),
        ("", ""),
        (";", ";"),
        ("'", "?" + CUT),
    ],
)
def test_postgresql(statement: str, expected: str) -> None:
    """PostgreSQL's lexical rules: https://www.postgresql.org/docs/current/sql-syntax-lexical.html."""
    assert expected == scrub_sql(statement)
    assert expected == scrub_sql(expected)


@pytest.mark.parametrize(
    ("dialect", "statement", "expected"),
    [
        ("mysql", "SELECT `a'b`, \"it's\", 'a\\'b', \"x\"\"y\" FROM t # 'c", "SELECT `a'b`, ?, ?, ? FROM t "),
        ("mysql", "SELECT 5--3, 1 -- x", "SELECT ?--?, ? "),
        ("mariadb", "SELECT _utf8'x', N'y', X'ff', $1$ FROM t", "SELECT _utf8?, ?, ?, $1$ FROM t"),
        (
            "sqlite",
            'SELECT "t"."a", t."b" FROM "t" JOIN "u" ON "x" = "y"',
            'SELECT "t"."a", t."b" FROM "t" JOIN "u" ON "x" = ?',
        ),
        ("sqlite", "SELECT 'C:\\', 5", "SELECT ?, ?"),
        ("microsoft.sql_server", "SELECT [a b], \"c\", N'd' FROM t", 'SELECT [a b], "c", ? FROM t'),
        ("other_sql", "SELECT 'C:\\', 5", "SELECT ?" + CUT),
        ("oracle.db", "SELECT q'[it's x]' FROM t", "SELECT q?" + CUT),
    ],
)
def test_dialects(dialect: str, statement: str, expected: str) -> None:
    """A double quote, a backslash and a hash mean different things; unknown dialects get the caution."""
    assert expected == scrub_sql(statement, dialect)


def test_huge_statement_is_cut() -> None:
    """A megabyte of rows is read to a limit, folded, and says that it was cut."""
    statement = "INSERT INTO t (a, b) VALUES " + ", ".join(["(12345, 'secret')"] * 60_000)

    scrubbed = scrub_sql(statement)

    assert len(statement) > 30 * MAX_STATEMENT
    assert scrubbed.startswith("INSERT INTO t (a, b) VALUES (?, ")
    assert scrubbed.endswith(CUT)
    assert len(scrubbed) < 100


def test_layout_stays() -> None:
    """Line breaks and indentation help a reader, so they are not touched."""
    statement = "\n    SELECT id\n      FROM users\n     WHERE name = %s\n"

    assert statement is scrub_sql(statement)
