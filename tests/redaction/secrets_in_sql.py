# SPDX-License-Identifier: Apache-2.0
"""Kinds of secrets in statements, and in what databases say of those that failed."""

from __future__ import annotations

from redaction.kind import Kind, W

SQL = [
    Kind(
        "SQL", "string", "sql", f"SELECT id FROM users WHERE name = '{W}'", (W,), ("SELECT id FROM users WHERE name",)
    ),
    Kind("SQL", "string with a doubled quote", "sql", f"SELECT 1 FROM t WHERE a = 'it''s {W}' AND b", (W,), ("AND b",)),
    Kind("SQL", "string with backslashes, E'…'", "sql", f"SELECT E'a\\'{W}\\n' FROM t", (W,), ("FROM t",)),
    Kind("SQL", "string with Unicode escapes, U&'…' UESCAPE", "sql", f"SELECT U&'{W}!0041' UESCAPE '!' FROM t", (W,)),
    Kind("SQL", "bit string, B'…'", "sql", "SELECT B'1010110101' FROM t", ("1010110101",), ("FROM t",)),
    Kind("SQL", "bytes, X'…'", "sql", "SELECT X'DEADBEEF42' FROM t", ("DEADBEEF42",)),
    Kind("SQL", "national string, N'…'", "sql", f"SELECT N'{W}' FROM t", (W,)),
    Kind("SQL", "dollar-quoted string, $$…$$", "sql", f"SELECT $$it's {W}$$ FROM t", (W,), ("FROM t",)),
    Kind("SQL", "dollar-quoted string with a tag", "sql", f"DO $body$ BEGIN x := $$ {W} $$; END $body$", (W,), ("DO",)),
    Kind("SQL", "whole number", "sql", "SELECT * FROM t WHERE ssn = 123456789", ("123456789",), ("ssn = ?",)),
    Kind("SQL", "decimal number with an exponent", "sql", "UPDATE t SET pay = 7654.321e+10", ("7654.321", "e+10")),
    Kind("SQL", "number of PostgreSQL 16", "sql", "SELECT 0xCAFE_77, 0b10_11, 1_234_567", ("CAFE", "10_11", "234_567")),
    Kind("SQL", "list of IN", "sql", f"SELECT * FROM t WHERE a IN ('{W}', 'b', 'c')", (W,), ("IN (?)",)),
    Kind(
        "SQL", "Python tuple in a list of IN", "sql", f"SELECT * FROM t WHERE a IN ('b', \"{W}'s\")", (W,), ("IN (?)",)
    ),
    Kind("SQL", "array", "sql", f"SELECT * FROM t WHERE a = ANY(ARRAY['{W}', 'b'])", (W,), ("ARRAY[?]",)),
    Kind("SQL", "rows of VALUES", "sql", f"INSERT INTO t (a, b) VALUES (1, '{W}'), (2, 'x')", (W,), ("VALUES (?, ?)",)),
    Kind("SQL", "JSON", "sql", f'UPDATE t SET doc = \'{{"pin": "{W}"}}\'::jsonb', (W,), ("SET doc = ?::jsonb",)),
    Kind("SQL", "JSON without quotes", "sql", f'INSERT INTO t VALUES ({{"pin": "{W}"}})', (W,), ("INSERT INTO t",)),
    Kind("SQL", "comment to the end of the line", "sql", f"SELECT 1 FROM t -- pw is {W}\nWHERE a", (W,), ("WHERE a",)),
    Kind("SQL", "comment in a comment", "sql", f"SELECT /* a /* b */ {W} */ 1 FROM t", (W,), ("FROM t",)),
    Kind(
        "SQL",
        "sqlcommenter's comment, values that no framework makes",
        "sql",
        f"SELECT 1 FROM t /*route='%2Fx',user='{W}'*/",
        (W,),
        ("route='%2Fx'", "user='?'"),
    ),
    Kind("SQL", "password of a role", "sql", f"ALTER ROLE bob PASSWORD '{W}'", (W,), ("ALTER ROLE bob PASSWORD ?",)),
    Kind(
        "SQL", "password of a role without quotes", "sql", f"CREATE USER bob IDENTIFIED BY {W}", (W,), ("CREATE USER",)
    ),
    Kind(
        "SQL", "data behind COPY … FROM STDIN", "sql", f"COPY t (a) FROM STDIN;\n1\t{W}\n\\.\n", (W,), ("COPY t (a)",)
    ),
    Kind(
        "SQL", "quote in a quote", "sql", f"SELECT * FROM t WHERE a = 'O'Brien' AND b = '{W}'", (W, "Brien"), ("a = ?",)
    ),
    Kind("SQL", "unterminated string", "sql", f"SELECT * FROM t WHERE a = '{W}", (W,), ("SELECT * FROM t WHERE a",)),
    Kind("SQL", "unterminated comment", "sql", f"SELECT * FROM t /* {W}", (W,), ("SELECT * FROM t",)),
    Kind("SQL", "unterminated dollar quote", "sql", f"SELECT $x${W}$y$", (W,), ("SELECT",)),
    Kind("SQL", "MySQL's double-quoted string", "sql mysql", f'SELECT `a` FROM t WHERE b = "{W}\\" x"', (W,), ("`a`",)),
    Kind(
        "SQL",
        "SQLite's double-quoted string",
        "sql sqlite",
        f'SELECT "t"."a" FROM "t" WHERE b = "{W}"',
        (W,),
        ('"t"."a"',),
    ),
    Kind("SQL", "unknown dialect's backslash", "sql other_sql", f"SELECT 'a\\' {W} ' FROM t", (W,)),
]

PG_DETAIL = (
    'duplicate key value violates unique constraint "users_email_key"\nDETAIL:  Key (email)=({}) already exists.\n'
)
DATABASES = [
    Kind(
        "Database errors",
        "PostgreSQL: unique violation",
        "text",
        PG_DETAIL.format(W),
        (W,),
        ("users_email_key", "(email)"),
    ),
    Kind("Database errors", "PostgreSQL: key with parentheses", "text", PG_DETAIL.format(f"a) (b={W}"), (W,)),
    Kind(
        "Database errors",
        "PostgreSQL: key, in the language of the server",
        "text",
        f"DETAIL:  Schlüssel »(email)=({W})« existiert bereits.",
        (W,),
        ("(email)",),
    ),
    Kind(
        "Database errors",
        "PostgreSQL: foreign key",
        "database",
        f'insert or update on table "o" violates foreign key constraint "fk"\nDETAIL:  Key (uid)=({W}) is not present in table "u".',
        (W,),
        ('table "o"', 'constraint "fk"', 'table "u"'),
    ),
    Kind(
        "Database errors",
        "PostgreSQL: exclusion",
        "text",
        f"DETAIL:  Key (r)=([{W},6)) conflicts with existing key (r)=([1,{W})).",
        (W,),
        ("conflicts with existing key (r)",),
    ),
    Kind(
        "Database errors",
        "PostgreSQL: failing row",
        "text",
        f'null value in column "n" violates not-null constraint\nDETAIL:  Failing row contains (4, {W}, null).',
        (W,),
        ('column "n"',),
    ),
    Kind(
        "Database errors",
        "PostgreSQL: wrong type, with the echo of the statement",
        "text",
        f"invalid input syntax for type integer: \"{W}\"\nLINE 1: SELECT * FROM u WHERE id = '{W}'\n              ^",
        (W,),
        ("type integer", "SELECT * FROM u WHERE id"),
    ),
    Kind(
        "Database errors",
        "PostgreSQL: echo that begins inside of a string",
        "text",
        f"value too long\nLINE 3: {W} more' AND b = 'x'\n      ^",
        (W, "more"),
    ),
    Kind(
        "Database errors", "PostgreSQL: enum", "text", f'invalid input value for enum mood: "{W}"', (W,), ("enum mood",)
    ),
    Kind(
        "Database errors",
        "PostgreSQL: out of range",
        "text",
        'value "99887766554433" is out of range for type integer',
        ("99887766554433",),
        ("type integer",),
    ),
    Kind(
        "Database errors",
        "PostgreSQL: date out of range",
        "text",
        "date field value out of range: 1987-13-01",
        ("1987",),
    ),
    Kind(
        "Database errors", "PostgreSQL: malformed array", "text", f'malformed array literal: "{{{W}"', (W,), ("array",)
    ),
    Kind(
        "Database errors",
        "PostgreSQL: syntax error near a value",
        "text",
        f'syntax error at or near "{W}"',
        (W,),
        ("syntax error",),
    ),
    Kind(
        "Database errors",
        "PostgreSQL: JSON",
        "text",
        f'invalid input syntax for type json\nDETAIL:  Token "{W}" is invalid.\nCONTEXT:  JSON data, line 1: {{"pw": {W}...',
        (W,),
        ("type json",),
    ),
    Kind(
        "Database errors",
        "PostgreSQL: COPY",
        "text",
        f'invalid input syntax for type integer: "{W}"\nCONTEXT:  COPY users, line 1, column age: "{W}"',
        (W,),
        ("COPY users, line 1, column age",),
    ),
    Kind(
        "Database errors",
        "PostgreSQL: statement inside of a function",
        "text",
        f"division by zero\nQUERY:  SELECT '{W}'\n  , 5 / 0 + 77777\nCONTEXT:  PL/pgSQL function f() line 3 at EXECUTE",
        (W, "77777"),
        ("PL/pgSQL function f() line 3",),
    ),
    Kind(
        "Database errors",
        "PostgreSQL: SQL statement in the context",
        "text",
        f"CONTEXT:  SQL statement \"SELECT '{W}'::int\"\nPL/pgSQL function f() line 1 at PERFORM",
        (W,),
        ("SQL statement",),
    ),
    Kind(
        "Database errors",
        "PostgreSQL: any value in quotes",
        "database",
        f'cannot cast jsonb "{W}" to type "int4"',
        (W,),
        ('type "int4"',),
    ),
    Kind(
        "Database errors",
        "MySQL: duplicate entry",
        "text",
        f"(1062, \"Duplicate entry '{W}' for key 'users.email'\")",
        (W,),
        ("'users.email'",),
    ),
    Kind(
        "Database errors",
        "MySQL: wrong value",
        "text",
        f"Incorrect integer value: '{W}' for column 'age' at row 1",
        (W,),
        ("'age'",),
    ),
    Kind("Database errors", "MySQL: syntax", "text", f"right syntax to use near '{W}' at line 1", (W,), ("at line 1",)),
    Kind(
        "Database errors",
        "SQLAlchemy: statement and parameters",
        "text",
        f"(psycopg2.errors.DataError) oops\n\n[SQL: INSERT INTO t (a) VALUES ('{W}')]\n[parameters: {{'a': '{W}'}}]\n(Background on this error at: https://sqlalche.me/e/20/9h9h)",
        (W,),
        ("INSERT INTO t (a) VALUES (?)", "https://sqlalche.me/e/20/9h9h"),
    ),
    Kind(
        "Database errors",
        "asyncpg: argument",
        "text",
        f"invalid input for query argument $1: '{W}' (an integer is required)",
        (W,),
        ("$1", "an integer is required"),
    ),
    Kind(
        "Database errors",
        "Redis: rule of ACL SETUSER",
        "text",
        f"Error in ACL SETUSER modifier '{W}': Syntax error",
        (W,),
        ("Error in ACL SETUSER modifier", "Syntax error"),
    ),
    Kind(
        "Database errors",
        "Redis: unknown command",
        "text",
        f"unknown command 'SETT', with args beginning with: 'k' '{W}' ",
        (W,),
        ("'SETT'",),
    ),
    Kind(
        "Database errors",
        "Redis: command in a pipeline",
        "text",
        f"Command # 1 (SET user:1 {W}) of pipeline caused error: OOM command not allowed",
        (W,),
        ("Command # 1 (SET", "OOM command not allowed"),
    ),
]
