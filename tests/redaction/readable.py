# SPDX-License-Identifier: Apache-2.0
"""What must pass as it is, since people need it to find out why; and what is not covered, and why."""

from __future__ import annotations

from redaction.kind import Readable


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
            "Pydantic's repeated input",
            "1 validation error for Order\nitems.0.price\n  Input should be a number [type=float_type, "
            "input_value='a lot', input_type=str]",
        ),
        (
            "host that does not resolve",
            'could not translate host name "db.example" to address: Name or service not known',
        ),
        ("image of a container", "pulled registry.example/shop:1.25@sha256:33a64df551425fcc55e4d42a"),
        ("addresses of mail", "mailto:bob@example.com, from:alice@example.com"),
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
