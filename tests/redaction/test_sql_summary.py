# SPDX-License-Identifier: Apache-2.0
"""The summary that names a span: operations and tables, as written, of low cardinality."""

from __future__ import annotations

import pytest

from tellwhy.redaction import analyze, summarize_sql
from tellwhy.redaction.summary import _CLAUSES, _simple_change, _simple_query, _walked_summary

CASES = [
    # https://opentelemetry.io/docs/specs/semconv/db/database-spans/#generating-a-summary-of-the-query
    ("SELECT * FROM wuser_table WHERE username = ?", "SELECT wuser_table", "SELECT", "wuser_table"),
    (
        "INSERT INTO shipping_details (order_id, address) SELECT order_id, address FROM orders WHERE order_id = ?",
        "INSERT shipping_details SELECT orders",
        "INSERT",
        None,
    ),
    ("SELECT * FROM songs, artists WHERE songs.artist_id = artists.id", "SELECT songs artists", "SELECT", None),
    (
        "SELECT order_date FROM (SELECT * FROM orders o JOIN customers c ON o.customer_id = c.customer_id)",
        "SELECT SELECT orders customers",
        "SELECT",
        None,
    ),
    ('SELECT * FROM "song list", artists', 'SELECT "song list" artists', "SELECT", None),
    ("{call some_stored_procedure(?)}", "CALL some_stored_procedure", "CALL", None),
    # spellings
    ("select id from Users where x = 1", "select Users", "select", "Users"),
    ("SeLeCt id FrOm Users wHeRe x = 1", "SELECT Users", "SELECT", "Users"),
    ("\n  SELECT id\n    FROM public.users AS u\n   WHERE x = 1\n", "SELECT public.users", "SELECT", "public.users"),
    ('SELECT "a"."id" FROM "a" WHERE "a"."id" = 1', 'SELECT "a"', "SELECT", '"a"'),
    ("SELECT 名 FROM größe", "SELECT größe", "SELECT", "größe"),
    # one query, several tables
    ("SELECT * FROM a LEFT OUTER JOIN b ON a.x = b.x CROSS JOIN c", "SELECT a b c", "SELECT", None),
    ("SELECT * FROM a JOIN a b ON a.id = b.parent", "SELECT a a", "SELECT", "a"),
    ("SELECT * FROM a JOIN b USING (id), c", "SELECT a b c", "SELECT", None),
    ("SELECT * FROM (a JOIN b ON a.x = b.x)", "SELECT a b", "SELECT", None),
    ("SELECT * FROM a x,b y , c", "SELECT a b c", "SELECT", None),
    ("SELECT * FROM a WHERE x IN (SELECT y FROM b)", "SELECT a SELECT b", "SELECT", None),
    ("SELECT (SELECT max(x) FROM b), c FROM a", "SELECT SELECT b a", "SELECT", None),
    ("(SELECT a FROM x) UNION ALL (SELECT b FROM y)", "SELECT x SELECT y", "SELECT", None),
    ("SELECT * FROM a LEFT JOIN LATERAL (SELECT 1 FROM b) q ON true", "SELECT a SELECT b", "SELECT", None),
    # what looks like FROM or an operation and is none
    ("SELECT EXTRACT(day FROM ts), trim(both 'x' FROM name) FROM events", "SELECT events", "SELECT", "events"),
    ("SELECT a IS DISTINCT FROM b FROM t", "SELECT t", "SELECT", "t"),
    ("SELECT * FROM generate_series(1, 10) g, t", "SELECT t", "SELECT", "t"),
    ("SELECT count(*) FROM t FOR UPDATE", "SELECT t", "SELECT", "t"),
    ("SELECT replace(a, 'x', 'y') FROM t", "SELECT t", "SELECT", "t"),
    ("INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 2", "INSERT t", "INSERT", "t"),
    ("CREATE TABLE t (a int REFERENCES u ON DELETE CASCADE)", "CREATE TABLE t", "CREATE TABLE", "t"),
    ("SELECT 1", "SELECT", "SELECT", None),
    ("SELECT * FROM %s", "SELECT", "SELECT", None),
    # changes
    ("UPDATE ONLY t SET a = 1 FROM b WHERE t.id = b.id", "UPDATE t b", "UPDATE", None),
    ("DELETE FROM a USING b WHERE a.id = b.id", "DELETE a b", "DELETE", None),
    ("MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN DELETE", "MERGE t s", "MERGE", None),
    ("REPLACE INTO t VALUES (1)", "REPLACE t", "REPLACE", "t"),
    # common table expressions are no tables
    (
        "WITH r AS (SELECT * FROM orders), s (a, b) AS (SELECT 1, 2 FROM r) SELECT * FROM r JOIN s ON true JOIN i ON true",
        "SELECT orders SELECT SELECT i",
        "SELECT",
        None,
    ),
    (
        "WITH d AS (DELETE FROM q RETURNING *) INSERT INTO log SELECT * FROM d",
        "DELETE q INSERT log SELECT",
        "INSERT",
        None,
    ),
    (
        "WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n+1 FROM t) SELECT sum(n) FROM t",
        "SELECT SELECT",
        "SELECT",
        None,
    ),
    # objects
    ("CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON users (a)", "CREATE INDEX users", "CREATE INDEX", "users"),
    ("DROP TABLE IF EXISTS a, b", "DROP TABLE a b", "DROP TABLE", None),
    ("ALTER TABLE t ADD COLUMN password text", "ALTER TABLE t", "ALTER TABLE", "t"),
    ("CREATE VIEW v AS SELECT * FROM t", "CREATE VIEW v SELECT t", "CREATE VIEW", None),
    ("CREATE FUNCTION f() RETURNS int AS $$ SELECT 1 $$", "CREATE FUNCTION f", "CREATE FUNCTION", None),
    ("TRUNCATE TABLE a", "TRUNCATE a", "TRUNCATE", "a"),
    ("COPY t (a, b) FROM STDIN", "COPY t", "COPY", "t"),
    ("COPY (SELECT * FROM q) TO STDOUT", "COPY SELECT q", "COPY", "q"),
    ("CALL pay(1, 'x')", "CALL pay", "CALL", None),
    # no names of high cardinality
    ("SAVEPOINT s140_x1", "SAVEPOINT", "SAVEPOINT", None),
    ("ROLLBACK TO SAVEPOINT s140_x1", "ROLLBACK", "ROLLBACK", None),
    ('DECLARE "c_1_2" CURSOR FOR SELECT * FROM t', "DECLARE SELECT t", "DECLARE", "t"),
    ('FETCH FORWARD 100 FROM "c_1_2"', "FETCH", "FETCH", None),
    ("CREATE USER tenant_7 PASSWORD 'x'", "CREATE USER", "CREATE USER", None),
    ("SET LOCAL app.user = 'x'", "SET", "SET", None),
    ("GRANT SELECT ON t TO bob", "GRANT", "GRANT", None),
    # several statements
    ("BEGIN; UPDATE t SET a = 1; COMMIT", "BEGIN UPDATE t COMMIT", None, "t"),
    ("UPDATE t SET a = 1;UPDATE t SET a = 2 ; UPDATE t SET a = 3;", "UPDATE t", "UPDATE", "t"),
    ("EXPLAIN (ANALYZE, BUFFERS) UPDATE t SET a = 1", "EXPLAIN UPDATE t", "EXPLAIN", "t"),
    # nothing certain
    ("hunter2 is my password", None, None, None),
    ("", None, None, None),
    ("-- only a comment", None, None, None),
]


@pytest.mark.parametrize(
    ("statement", "summary", "operation", "collection"), CASES, ids=[case[0][:50] for case in CASES]
)
def test_summary(statement: str, summary: str | None, operation: str | None, collection: str | None) -> None:
    """Operations and targets in the order and the spelling of the statement."""
    assert (summary, operation, collection) == analyze(statement)[1:]
    assert summary == summarize_sql(statement)


@pytest.mark.parametrize("statement", [case[0] for case in CASES], ids=[case[0][:50] for case in CASES])
def test_the_short_way_says_what_the_walk_says(statement: str) -> None:
    """Most statements are summarized without a look at every word; the answer is the same."""
    scrubbed = analyze(statement)[0].strip()
    verb = scrubbed[:6]
    simple = _simple_query(scrubbed, verb) if verb in _CLAUSES else _simple_change(scrubbed, verb)

    assert simple is None or ";" in scrubbed or simple == _walked_summary(scrubbed)


def test_a_long_summary_ends_between_names() -> None:
    """At most 255 characters, and no name is cut."""
    tables = [f"some_schema.table_number_{number}" for number in range(40)]

    for separator in (", ", " JOIN "):
        summary = summarize_sql(f"SELECT * FROM {separator.join(tables)}")

        assert summary is not None and 200 < len(summary) <= 255
        assert set(summary.split()[1:]) <= set(tables)


def test_a_literal_is_no_table() -> None:
    """A summary is made of scrubbed text only."""
    for statement in ("SELECT * FROM 'hunter2'", "SELECT * FROM t, 'hunter2'", "INSERT INTO 'hunter2' VALUES (1)"):
        assert "hunter2" not in str(analyze(statement))
