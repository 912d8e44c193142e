# SPDX-License-Identifier: Apache-2.0
"""What real servers say when a statement fails: no value of it leaves."""

from __future__ import annotations

import io

import psycopg2
import pytest
import redis

from tellwhy.redaction import redact_text, scrub_db_error

SECRET = "zQxJwKv7"
SETUP = """
DROP TABLE IF EXISTS redaction_o, redaction_u; DROP TYPE IF EXISTS redaction_mood;
CREATE TYPE redaction_mood AS ENUM ('sad', 'ok');
CREATE TABLE redaction_u (id int PRIMARY KEY, email text UNIQUE, age int CHECK (age > 0), m redaction_mood, j jsonb,
    d date, n int NOT NULL DEFAULT 1, arr int[], u uuid);
CREATE TABLE redaction_o (id int, uid int REFERENCES redaction_u (id));
INSERT INTO redaction_u (id, email) VALUES (1, 'zQxJwKv7@example.com');
"""
# A statement that fails, and what of its message must stay.
FAILING = [
    ("INSERT INTO redaction_u (id, email) VALUES (2, '{0}@example.com')", '"redaction_u_email_key"'),
    ("INSERT INTO redaction_u (id, age) VALUES (76543210, -5)", '"redaction_u_age_check"'),
    ("INSERT INTO redaction_u (id, n, email) VALUES (4, NULL, '{0}')", 'column "n"'),
    ("INSERT INTO redaction_u (id, n, email) VALUES (4, NULL, E'a)\\n{0}')", 'column "n"'),
    ("INSERT INTO redaction_o VALUES (1, 76543210)", 'table "redaction_u"'),
    ("INSERT INTO redaction_u (id, m) VALUES (5, '{0}')", "enum redaction_mood"),
    ("INSERT INTO redaction_u (id, j) VALUES (6, '{{\"password\": {0}}}')", "type json"),
    ("INSERT INTO redaction_u (id, d) VALUES (7, '{0}')", "type date"),
    ("INSERT INTO redaction_u (id, arr) VALUES (9, '{{{0}')", "array literal"),
    ("INSERT INTO redaction_u (id, u) VALUES (9, '{0}')", "type uuid"),
    ("SELECT '{0}'::int", "type integer"),
    ("SELECT E'{0}\\n\"{0}'::int", "type integer"),
    ("SELECT '{0}'::boolean, 5", "type boolean"),
    ("SELECT * FROM redaction_u WHERE id IN (1, 2, '{0}')", "type integer"),
    ("SELECT * FROM redaction_u WHERE email = 'x' AND\n\n age = '1{0}'\n", "LINE 3"),
    ("SELECT * FROM redaction_u WHERE email = 'O'{0}'", "syntax error"),
    ("SELECT '{0}", "unterminated quoted string"),
    ("SELECT $${0}", "unterminated dollar-quoted string"),
    ("SELECT /* {0}", "unterminated /* comment"),
    ("SELECT to_date('{0}', 'YYYY')", "invalid value"),
    ("SELECT '7654321-13-45'::date", "out of range"),
    ("SELECT '76543210765432'::int", "out of range for type integer"),
    ("SELECT cast('{0}' AS money), 'x'", "type money"),
    ("SET work_mem = '{0}'", '"work_mem"'),
    ("DO $$ BEGIN EXECUTE 'SELECT ''{0}''::int, 76543210'; END $$", "PL/pgSQL function"),
    ("DO $$ BEGIN PERFORM '{0}'::int; END $$", "PL/pgSQL function"),
    ("SELECT jsonb_path_query('{{}}', '$.{0}[')", "jsonpath"),
]
COPIES = [
    (f"1\t{SECRET}\n", "COPY redaction_u (id, age) FROM STDIN"),
    (f"1,2,{SECRET}\n", "COPY redaction_u (id, age) FROM STDIN CSV"),
]


@pytest.fixture(scope="module")
def connection(postgres: str):
    """A connection, and tables that refuse things."""
    connection = psycopg2.connect(postgres)
    connection.autocommit = True
    connection.cursor().execute(SETUP)
    yield connection
    connection.close()


def unlocated(text: str) -> bool:
    """Say whether nothing of a value is in a text."""
    return SECRET not in text and SECRET[:5] not in text and "7654321" not in text


@pytest.mark.servers
@pytest.mark.parametrize(("statement", "stays"), FAILING, ids=[statement[:60] for statement, _ in FAILING])
def test_postgresql_repeats_values_and_they_do_not_leave(connection, statement: str, stays: str) -> None:
    """Also as text of an exception that nobody knows to be a database's, with SQLAlchemy's addition."""
    with pytest.raises(psycopg2.Error) as caught:
        connection.cursor().execute(statement.format(SECRET))
    message = str(caught.value)
    wrapped = f"(psycopg2.errors.X) {message}\n[SQL: {statement.format(SECRET)}]\n[parameters: {{'a': '{SECRET}'}}]\n(Background)"

    for left in (scrub_db_error(message), redact_text(message), redact_text(wrapped)):
        assert unlocated(left), left
        assert stays in left
    assert scrub_db_error(message) == scrub_db_error(scrub_db_error(message))


@pytest.mark.servers
@pytest.mark.parametrize(("data", "statement"), COPIES)
def test_postgresql_repeats_copied_lines_and_they_do_not_leave(connection, data: str, statement: str) -> None:
    """The context names table, line and column, and quotes the field."""
    with pytest.raises(psycopg2.Error) as caught:
        connection.cursor().copy_expert(statement, io.StringIO(data))

    left = scrub_db_error(str(caught.value))

    assert unlocated(left), left
    assert "COPY redaction_u, line 1" in left


@pytest.mark.servers
def test_redis_repeats_arguments_and_they_do_not_leave(redis_server: str) -> None:
    """An unknown command with its arguments, and a command of a pipeline with its own."""
    client = redis.Redis.from_url(redis_server)
    client.set("redaction:text", "x")
    messages = []
    for fail in (
        lambda: client.execute_command("SETT", "key", SECRET),
        lambda: client.pipeline(transaction=False).lpush("redaction:text", SECRET).execute(),
        lambda: client.pipeline(transaction=True).lpush("redaction:text", SECRET).execute(),
    ):
        with pytest.raises(redis.ResponseError) as caught:
            fail()
        messages.append(str(caught.value))

    assert any(SECRET in message for message in messages)
    assert [verb for message in messages for verb in ("SETT", "LPUSH") if verb in scrub_db_error(message)] == [
        "SETT",
        "LPUSH",
        "LPUSH",
    ]
    assert all(unlocated(scrub_db_error(message)) and unlocated(redact_text(message)) for message in messages)
