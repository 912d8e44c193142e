# SPDX-License-Identifier: Apache-2.0
"""
The declared table: kinds of secrets as they appear in the wild, and what must stay readable beside them.

The tests go through it, and ``docs/explanation/redaction.md`` shows it: run this
file to write the tables of that page. Keys with an issuer's prefix are put together
here, so that no scanner takes this file for a leak.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from tellwhy import redaction

W = "hunter2Zq9"  # a password that is in no dictionary
JWT = "ey" + "JhbGciOiJIUzI1NiJ9." + "ey" + "JzdWIiOiJib2IiLCJpYXQiOjF9." + "dBjftJeZ4CVPmB92K27uhbUJU1p1r"
PEM = (
    "-----BEGIN "
    + "PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQC7\n-----END PRIVATE KEY-----"
)


class Kind(NamedTuple):
    """One kind: its group, what it is, through which door it comes, as what, the secrets, and what must stay."""

    group: str
    name: str
    door: str
    sample: object
    secrets: tuple[str, ...]
    stays: tuple[str, ...] = ()


class Readable(NamedTuple):
    """What must pass as it is, since people need it to find out why."""

    name: str
    door: str
    sample: object


def leaves(kind: Kind | Readable) -> object:
    """Return what leaves the process of a sample."""
    door, _, argument = kind.door.partition(" ")
    sample = kind.sample
    if door == "sql":
        return redaction.scrub_sql(sample, argument or "postgresql")
    if door == "url":
        return redaction.redact_url(sample)
    if door == "query":
        return redaction.redact_query(sample)
    if door == "header":
        return redaction.redact_header(argument, sample)
    if door == "attribute":
        return redaction.redact_value(argument, sample)
    if door == "text":
        return redaction.redact_text(sample)
    if door == "database":
        return redaction.scrub_db_error(sample)
    if door == "setting":
        return {"headers": redaction.mask_headers, "dsn": redaction.mask_dsn}[argument](sample)
    raise ValueError(kind.door)


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


def _url(name: str, sample: str, *stays: str, secrets: tuple[str, ...] = (W,)) -> Kind:
    return Kind("URLs", name, "url", sample, secrets, stays)


URLS = [
    _url("user and password", f"https://bob:{W}@example.com/a", "https://", "@example.com/a", secrets=(W, "bob")),
    _url("token as user", f"https://{W}@example.com/repo.git", "example.com/repo.git"),
    _url(
        "password with a slash, in a database's URL",
        f"postgresql://bob:{W}/x@db.example.com/shop",
        "db.example.com/shop",
    ),
    _url("password with # and ?", f"redis://:{W}#?x@cache.example.com:6379/0", "cache.example.com:6379/0"),
    *(
        _url(
            f"parameter {key}", f"/search?page=2&{key}={W}&sort=asc", "/search?page=2&", f"{key}=REDACTED", "&sort=asc"
        )
        for key in [
            "token",
            "access_token",
            "refresh_token",
            "id_token",
            "key",
            "api_key",
            "apikey",
            "apiKey",
            "secret",
            "client_secret",
            "password",
            "passwd",
            "pwd",
            "code",
            "sig",
            "signature",
            "session",
            "sessionid",
            "auth",
            "otp",
            "jwt",
            "SAMLResponse",
            "X-Amz-Signature",
            "X-Amz-Credential",
            "X-Amz-Security-Token",
            "X-Goog-Signature",
            "X-Goog-Credential",
            "AWSAccessKeyId",
        ]
    ),
    _url("percent-encoded name", f"/cb?acc%65ss%5Ftoken={W}&x=1", "&x=1"),
    _url("semicolons between parameters", f"/cb?a=1;token={W};b=2", "a=1;", ";b=2"),
    _url("fragment of OAuth", f"https://app.example.com/cb#access_token={W}&expires_in=3600", "expires_in=3600"),
    _url("route in a fragment", f"https://app.example.com/#/reset?token={W}&step=2", "#/reset?", "step=2"),
    _url("matrix parameter", f"/cart;jsessionid={W}/items?page=1", "/cart;jsessionid=", "/items?page=1"),
    _url(
        "URL in a parameter, encoded",
        f"/login?next=https%3A%2F%2Fx.example%2Fcb%3Ftoken%3D{W}%26a%3D1&b=2",
        "/login?next=https",
        "b=2",
    ),
    _url("URL in a parameter, not encoded", f"/login?next=/cb?token={W}&b=2", "b=2"),
    _url("JSON Web Token in the path", f"/verify/{JWT}/done", "/verify/", "/done", secrets=(JWT,)),
    _url(
        "Telegram bot",
        "https://api.telegram.org/bot123456789:" + "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/send",
        "/send",
        secrets=("AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw",),
    ),
    _url(
        "Slack webhook",
        "https://hooks.slack.com/services/" + "T0A1B2C3D/B4E5F6G7H/" + "aBcDeFgHiJkLmNoPqRsTuVwX",
        "hooks.slack.com",
        secrets=("aBcDeFgHiJkLmNoPqRsTuVwX",),
    ),
]


def _header(name: str, header: str, sample: str, *stays: str, secrets: tuple[str, ...] = (W,)) -> Kind:
    return Kind("Headers", name, f"header {header}", sample, secrets, stays)


HEADERS = [
    _header("Authorization, Bearer", "Authorization", f"Bearer {W}", "Bearer "),
    _header("Authorization, Basic", "authorization", "Basic Ym9iOmh1bnRlcjI=", "Basic ", secrets=("Ym9iOmh1bnRlcjI",)),
    _header("Authorization, AWS Signature 4", "Authorization", f"AWS4-HMAC-SHA256 Credential=AK/x, Signature={W}"),
    _header("Proxy-Authorization", "Proxy-Authorization", f"Basic {W}"),
    *(
        _header(name, name, f"{W}")
        for name in [
            "Cookie",
            "Set-Cookie",
            "X-Api-Key",
            "X-Auth-Token",
            "X-CSRF-Token",
            "X-Amz-Security-Token",
            "X-Vault-Token",
            "Private-Token",
            "X-Goog-Api-Key",
            "Ocp-Apim-Subscription-Key",
            "X-Hub-Signature-256",
            "X-Honeycomb-Team",
            "Authentication-Info",
        ]
    ),
    _header("the same in WSGI's spelling", "x_api_key", W),
    _header("Referer", "Referer", f"https://a.example/p?token={W}&q=1", "https://a.example/p?", "q=1"),
    _header("Location", "Location", f"https://b:{W}@a.example/cb?code={W}&state=s", "a.example/cb?", "state=s"),
    _header("Baggage", "baggage", f"tenant=acme,session.token={W},region=eu", "tenant=acme", "region=eu"),
    _header("credentials in any header", "X-Debug", f"sent Bearer {JWT}", "sent Bearer", secrets=(JWT,)),
]


def _attribute(name: str, key: str, sample: object, *stays: str, secrets: tuple[str, ...] = (W,)) -> Kind:
    return Kind("Attributes", name, f"attribute {key}", sample, secrets, stays)


ATTRIBUTES = [
    *(
        _attribute(f"key {key}", key, W)
        for key in [
            "password",
            "user.password",
            "db_password",
            "DB_PASSWORD",
            "userPassword",
            "passwd",
            "secret",
            "client_secret",
            "clientSecret",
            "token",
            "access_token",
            "accessToken",
            "auth.token",
            "api_key",
            "apiKey",
            "x-api-key",
            "private_key",
            "aws_secret_access_key",
            "aws_access_key_id",
            "credentials",
            "session_id",
            "sessionid",
            "session.token",
            "cookie",
            "otp",
            "cvv",
            "authorization",
        ]
    ),
    _attribute("number under a secret key", "card.cvv", 987, secrets=("987",)),
    _attribute("list under a secret key", "user.passwords.password", [W, W]),
    _attribute("captured header", "http.request.header.authorization", [f"Bearer {W}"], "Bearer"),
    _attribute("captured header with a URL", "http.response.header.location", [f"/cb?token={W}"], "/cb?token="),
    _attribute("url.full", "url.full", f"https://bob:{W}@a.example/x?sig={W}&q=1", "a.example/x", "q=1"),
    _attribute("url.query", "url.query", f"q=1&token={W}", "q=1"),
    _attribute("http.target", "http.target", f"/x?token={W}", "/x?token="),
    _attribute("exception.message", "exception.message", f"login failed for password={W}", "login failed"),
    _attribute("command line", "process.command_line", f"python app.py --password {W} --port 80", "--port 80"),
    _attribute(
        "arguments of a command",
        "process.command_args",
        ["app", "--api-key", W, f"--token={W}", "-v"],
        "--api-key",
        "-v",
    ),
    _attribute("password of mysql's client", "process.command_args", ["/usr/bin/mysql", f"-p{W}", "shop"], "shop"),
    _attribute("password of redis-cli", "process.command_args", ["redis-cli", "-a", W, "PING"], "PING"),
    _attribute("map in a log record's body", "body", {"user": "bob", "auth": {"password": W}}, "bob"),
]


def _text(name: str, sample: str, *stays: str, secrets: tuple[str, ...] = (W,)) -> Kind:
    return Kind("Text", name, "text", sample, secrets, stays)


TEXTS = [
    _text("password=…", f"could not connect: host=db password={W} user=app", "host=db", "user=app", "password="),
    _text("password='…'", f"Login(user='bob', password='{W} x', tries=3)", "user='bob'", "tries=3"),
    _text(
        "'password': …, a dictionary's repr",
        f"{{'user': 'bob', 'password': '{W}', 'port': 5432}}",
        "'user': 'bob'",
        "'port': 5432",
    ),
    _text('"api_key": …, JSON', f'{{"api_key":"{W}","limit":10}}', '"limit":10'),
    _text("JSON in JSON", f'{{\\"password\\": \\"{W}\\", \\"a\\": 1}}', '\\"a\\": 1'),
    _text("'password': b'…', bytes", f"{{b'password': b'{W}'}}"),
    _text("password: …, YAML", f"database:\n  password: {W}\n  host: db\n", "host: db"),
    _text(
        "api_key=… in another library's message",
        f"ApiError(401): invalid api_key={W} for project 7",
        "ApiError(401)",
        "project 7",
    ),
    _text("PGPASSWORD=…, an environment", f"env: PGPASSWORD={W} PGHOST=db", "PGHOST=db"),
    _text("Pwd=…; ODBC", f"Server=db;Uid=sa;Pwd={W};Database=x", "Server=db;Uid=sa;", ";Database=x"),
    _text("form body", f"body: user=bob&password={W}&remember=1", "user=bob&", "&remember=1"),
    _text(
        "source line of a stack trace",
        f'  File "a.py", line 3, in f\n    login("bob", password="{W}")\n',
        'File "a.py", line 3, in f',
    ),
    _text("Bearer …", f"401 for Bearer {W}", "401 for Bearer"),
    _text("Basic …", "sent Basic Ym9iOmh1bnRlcjI= twice", "twice", secrets=("Ym9iOmh1bnRlcjI",)),
    _text("Authorization: …", f"> Authorization: Custom {W}\n> Host: a.example", "Host: a.example"),
    _text("Cookie: …", f"> Cookie: theme=dark; sid={W}\n> Host: a.example", "Host: a.example"),
    _text("pair of a header, ASGI", f"[(b'host', b'a.example'), (b'authorization', b'Token {W}')]", "a.example"),
    _text("element of XML", f"<login><user>bob</user><password>{W}</password></login>", "<user>bob</user>"),
    _text("URL with userinfo", f"GET https://bob:{W}@a.example/x failed", "a.example/x failed"),
    _text("URL with a secret parameter", f"GET https://a.example/x?token={W}&page=2: 500", "page=2", ": 500"),
    _text(
        "relative URL, as requests' errors have",
        f"Max retries exceeded with url: /v1/geo?key={W}&q=rome (Caused by",
        "/v1/geo?key=",
        "&q=rome (Caused by",
    ),
    _text("database URL", f"cannot connect to postgresql://app:{W}@db:5432/shop", "@db:5432/shop"),
    _text(
        "key of a session store",
        "no such key session:9f8e7d6c5b4a32100123",
        "no such key session:",
        secrets=("9f8e7d6c5b4a32100123",),
    ),
    _text(
        "key of a session store, with a uuid",
        "WRONGTYPE spring:session:sessions:6fa459ea-ee8a-4ca4-894e-db77e160355e",
        "WRONGTYPE",
        secrets=("6fa459ea-ee8a-4ca4-894e-db77e160355e",),
    ),
    _text("option of a command", f"exit 1: backup --password {W} --dir /srv", "--dir /srv"),
    _text("JSON Web Token", f"cannot decode {JWT}: expired", ": expired", secrets=(JWT,)),
    _text(
        "private key",
        f"bad key {PEM} in config",
        "bad key",
        secrets=("MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", "BKcwggSjAgEAAoIBAQC7"),
    ),
    _text("card number", "charge of 4111111111111111 declined", "declined", secrets=("4111111111111111",)),
    _text(
        "card number in groups", "charge of 5555-5555-5555-4444 declined", "declined", secrets=("5555-5555-5555-4444",)
    ),
    _text(
        "card number of 15 digits", "charge of 3782 822463 10005 declined", "declined", secrets=("3782 822463 10005",)
    ),
    *(
        _text(name, f"rejected {key}, sorry", "rejected", "sorry", secrets=(key[8:],))
        for name, key in (
            ("AWS access key id", "AKIA" + "IOSFODNN7EXAMPLE"),
            ("Google API key", "AIza" + "SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q"),
            ("GitHub token", "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"),
            ("GitHub fine-grained token", "github_" + "pat_11ABCDEFG0abcdefghijkl_MNOPQRSTUVWXYZ0123456789"),
            ("GitLab token", "glpat-" + "a1B2c3D4e5F6g7H8i9J0"),
            ("Slack token", "xoxb-" + "123456789012-abcdefGHIJKL"),
            ("Stripe key", "sk_" + "live_a1B2c3D4e5F6g7H8"),
            ("OpenAI key", "sk-" + "proj-a1B2c3D4e5F6g7H8i9J0k1L2"),
            ("Anthropic key", "sk-" + "ant-api03-a1B2c3D4e5F6g7H8i9J0"),
            ("SendGrid key", "SG." + "a1B2c3D4e5F6g7H8i9J0kl.a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6"),
            ("npm token", "npm_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"),
            ("PyPI token", "pypi-" + "AgEIcHlwaS5vcmcCJDU3YTkwYTJhLTM0N2YtNDU5"),
            ("Hugging Face token", "hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZaBcDeFgH"),
            ("Google OAuth token", "ya29." + "a0AfH6SMBx3k5J8l2m4N6o8P0q"),
            ("Vault token", "hvs." + "CAESIJlU02LQZqKj3d9ZyPQK1b2c3d4"),
            ("DigitalOcean token", "dop_" + "v1_" + "0123456789abcdef" * 4),
            ("Shopify token", "shpat_" + "0123456789abcdef" * 2),
            ("Twilio key", "SK" + "0123456789abcdef" * 2),
        )
    ),
]

SETTINGS = [
    Kind(
        "Our own output",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "setting headers",
        f"api-key={W},Authorization=Bearer%20{W}",
        (W,),
        ("api-key=", "Authorization="),
    ),
    Kind(
        "Our own output",
        "endpoint with userinfo",
        "setting dsn",
        f"https://bob:{W}@collector.example:4318",
        (W,),
        ("collector.example:4318",),
    ),
    Kind(
        "Our own output",
        "DSN of libpq",
        "setting dsn",
        f"host=db user=app password='{W} x'",
        (W,),
        ("host=db user=app",),
    ),
    Kind(
        "Our own output",
        "proxy without a scheme",
        "setting dsn",
        f"bob:{W}@proxy.example:8080",
        (W,),
        ("proxy.example:8080",),
    ),
]

KINDS = [*SQL, *DATABASES, *URLS, *HEADERS, *ATTRIBUTES, *TEXTS, *SETTINGS]


def _same(door: str, *samples: tuple[str, object]) -> list[Readable]:
    return [Readable(name, door, sample) for name, sample in samples]


READABLE = [
    *_same(
        "sql",
        ("placeholders of psycopg2", "SELECT a1, t2.b3 FROM t2 WHERE c = %s AND d = %(d4)s"),
        ("placeholders of asyncpg", "SELECT * FROM t WHERE a = $1 AND b = ANY($2::int8[])"),
        ("named placeholders", "SELECT * FROM t WHERE a = :a1 AND b = @b2 AND c = ?"),
        ("TRUE, FALSE, NULL", "UPDATE t SET a = TRUE, b = FALSE, c = NULL WHERE d IS NOT NULL"),
        ("quoted names", 'SELECT "Order #", "it\'s", "2nd" FROM "my table 7"'),
        ("names in other alphabets", "SELECT größe, имя1, 数2 FROM tabelle_ä3"),
        ("types with digits", "SELECT a::int4, b::float8, c::uuid FROM t"),
        ("column named password", "SELECT password, token FROM users ORDER BY password"),
        ("operators", "SELECT a - b, a / b, j -> k, j #>> p, a <> b, NOT c FROM t"),
        (
            "sqlcommenter's comment",
            "SELECT x FROM t /*framework='django',traceparent='00-" + "a" * 32 + "-" + "b" * 16 + "-01'*/",
        ),
    ),
    *_same(
        "url",
        ("route", "/api/users/42/orders"),
        ("harmless parameters", "/search?q=red+shoes&page=2&size=50&sort=price&lang=en"),
        (
            "words that hold a secret's word",
            "/x?monkey=1&keyboard=qwerty&postcode=12345&author=bob&tokenizer=bpe&secretary=eve",
        ),
        (
            "other kinds of keys and codes",
            "/x?sort_key=a&primary_key=7&country_code=de&status_code=200&zipcode=1&promo_code=XMAS",
        ),
        ("statements about tokens", "/x?token_type=bearer&max_tokens=512&password_policy=strict&session_count=3"),
        ("host and port", "https://api.example.com:8443/v1/items?id=7"),
        ("@ in the path", "https://social.example/@bob/posts?page=1"),
        ("e-mail address as a parameter", "/u?to=bob@example.com"),
        ("fragment", "https://docs.example/page#section-2"),
        ("IPv6 host", "http://[2001:db8::1]:8080/x?a=b"),
        ("OAuth's state", "/cb?state=open&scope=read"),
    ),
    *_same("query", ("query", "q=1&page=2&filter=a%20b&flag")),
    *_same("header Content-Type", ("media type", "application/json; charset=utf-8")),
    *_same("header User-Agent", ("user agent", "Mozilla/5.0 (X11; Linux x86_64) curl/8.5.0")),
    *_same("header X-Request-Id", ("request id", "6fa459ea-ee8a-4ca4-894e-db77e160355e")),
    *_same("header traceparent", ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")),
    *_same("header X-Amzn-Trace-Id", ("AWS trace id", "Root=1-67891233-abcdef012345678912345678")),
    *_same("header Idempotency-Key", ("idempotency key", "8e03978e-40d5-43dd-bc93-6894a57f9324")),
    *_same("header Surrogate-Key", ("surrogate key", "product-7 home")),
    *_same("header WWW-Authenticate", ("challenge", 'Bearer realm="example", error="invalid_token"')),
    *_same("header ETag", ("entity tag", '"33a64df551425fcc55e4d42a148795d9f25f89d4"')),
    *_same("header baggage", ("baggage", "tenant=acme,region=eu;ttl=5")),
    *_same("header Authorization", ("empty credentials", "")),
    *_same("attribute http.route", ("route", "/reset/{token}")),
    *_same("attribute session.id", ("OpenTelemetry's session.id", "4f0b2c9e")),
    *_same("attribute gen_ai.usage.input_tokens", ("count of tokens", 512)),
    *_same("attribute code.function.name", ("function", "shop.auth.check_password")),
    *_same("attribute http.response.status_code", ("status code", 401)),
    *_same("attribute db.query.summary", ("summary", "SELECT users")),
    *_same("attribute messaging.kafka.message.key", ("message key", "order-7")),
    *_same("attribute has_password", ("whether there is a secret", True)),
    *_same("attribute token_type", ("type of a token", "Bearer")),
    *_same("attribute author", ("author", "bob")),
    *_same(
        "attribute process.command_args", ("arguments", ["gunicorn", "-w", "2", "--bind", "127.0.0.1:8000", "shop:app"])
    ),
    *_same("attribute exception.type", ("exception's type", "jwt.exceptions.InvalidTokenError")),
    *_same(
        "text",
        ("message", 'connection to server at "localhost" (127.0.0.1), port 5432 failed: Connection refused'),
        ("missing key", "KeyError: 'password'"),
        ("sentence", "Invalid password: too short, use at least 8 characters"),
        ("sentence about a token", "Unexpected token: expected a comma but found a brace"),
        ("words behind Bearer and Basic", "Bearer token is missing; Basic authentication required"),
        ("annotations", "def login(user: str, password: str, token: Optional[str] = None) -> bool: ..."),
        ("code", "    token = get_token(request)\n    password=self.password, secret=settings.SECRET"),
        ("list of fields", "missing fields: ['username', 'password']"),
        ("column that does not exist", 'column "emial" does not exist'),
        ("constraint", 'violates unique constraint "users_email_key"'),
        ("keyword in a syntax error", 'syntax error at or near "FROM"'),
        ("uuid", "order 6fa459ea-ee8a-4ca4-894e-db77e160355e not found"),
        ("trace id", "trace_id=4bf92f3577b34da6a3ce929d0e0e4736 span_id=00f067aa0ba902b7"),
        ("git hash", "deployed 33a64df551425fcc55e4d42a148795d9f25f89d4"),
        ("timestamps", "2024-05-05T12:30:45.123456Z and 1714912245123456789 and 1714912245123"),
        ("number that fails Luhn", "order 4111111111111112 and 1234567890123456"),
        ("order number", "order 2024-0005-1234-9876 shipped"),
        ("phone number", "call +49 30 1234567 or 555-123-4567"),
        ("IP addresses", "10.0.0.1:8080 -> [2001:db8::1]:443"),
        ("host and path", "GET https://api.example.com:8443/v1/users/42?page=2 -> 500"),
        ("key of a cache", "cache miss for user:42:profile and session:user:42"),
        ("Redis", "WRONGTYPE Operation against a key holding the wrong kind of value"),
        ("already redacted", "password=[redacted] token=*** secret=<hidden> key=REDACTED"),
        ("version", "psycopg2 2.9.9 (dt dec pq3 ext lo64), libpq 150005"),
        (
            "deadlock",
            "deadlock detected\nDETAIL:  Process 71 waits for ShareLock on transaction 7; blocked by process 72.",
        ),
    ),
    *_same(
        "database",
        ("hint", 'column "emial" does not exist\nHINT:  Perhaps you meant to reference the column "users.email".'),
        ("role", 'FATAL:  role "nope" does not exist'),
        ("table", 'relation "orders" already exists'),
    ),
]

NOT_COVERED = [
    (
        "Personal data that is no credential: names, e-mail addresses, IP addresses",
        "they are often the answer; SQL literals go anyway; add keys with `TELLWHY_REDACT`",
    ),
    (
        "A random string without a name, a place or a prefix: `/reset/9f8e7d6c`",
        "it looks like any id; the route (`/reset/{token}`) is what spans are named by",
    ),
    ("A password in prose: “the password is …”", "no pattern tells it from other words"),
    (
        "A value of small letters only behind `name: ` and before more words: `token: abc for bob`",
        "it reads like a sentence",
    ),
    ("Names of tables, columns and roles that hold data", "names are what makes a statement readable"),
    ("Double-quoted text in PostgreSQL's SQL", "it is a name there; behind `db.system.name` mysql it is a literal"),
    (
        "A quoted string cut in the middle by blanks around a quote: `'rock ' n ' roll'`",
        "each piece is a valid string; what lies between reads like a name",
    ),
    ("Keys with an issuer's prefix that is not in the list", "add a regex with `TELLWHY_REDACT`"),
    ("Data that a program encodes or compresses itself", "nothing is decoded but URLs and Basic credentials"),
    (
        "Numbers of 13 to 19 digits that happen to be a card's",
        "one in ten of those that begin like a card's passes Luhn's sum and is redacted although it is an id",
    ),
]


def markdown() -> str:
    """Return the tables of the documentation page."""
    lines: list[str] = []
    for group in dict.fromkeys(kind.group for kind in KINDS):
        lines += [f"### {group}", "", "| kind | what leaves |", "|---|---|"]
        lines += [f"| {_cell(kind.name)} | {_code(leaves(kind))} |" for kind in KINDS if kind.group == group]
        lines.append("")
    lines += ["### What stays readable", "", "| kind | passes as it is |", "|---|---|"]
    lines += [f"| {_cell(readable.name)} | {_code(readable.sample)} |" for readable in READABLE]
    lines += ["", "### What is not covered", "", "| kind | why |", "|---|---|"]
    lines += [f"| {_cell(kind)} | {_cell(why)} |" for kind, why in NOT_COVERED]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _code(value: object) -> str:
    text = str(value).replace("\n", " ⏎ ").replace("\t", " ").replace("|", "\\|")
    ticks = "``" if "`" in text else "`"
    return f"{ticks}{text}{ticks}" if text else "(empty)"


if __name__ == "__main__":
    page = Path(__file__).parents[2] / "docs" / "explanation" / "redaction.md"
    prose, heading, _ = page.read_text("utf-8").partition("## The tables\n")
    page.write_text(f"{prose}{heading}\n{markdown()}\n", "utf-8")
