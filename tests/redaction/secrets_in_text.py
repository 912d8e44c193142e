# SPDX-License-Identifier: Apache-2.0
"""Kinds of secrets in exception messages, stack traces, logs and command lines, and in our own output."""

from __future__ import annotations

from redaction.kind import JWT, PEM, Kind, W


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
    _text(
        "option in a list of arguments, subprocess",
        f"Command '['backup', '--password', '{W}', '--dir', '/srv']' returned non-zero exit status 1.",
        "'--dir', '/srv'",
        "exit status 1",
    ),
    _text(
        "query in a query, an access log",
        f'"GET /login?next=/y?token%3D{W}%26page%3D2 HTTP/1.1" 200',
        "GET /login?next=/y?token%3D",
        "page%3D2",
        "200",
    ),
    _text("option of a command", f"exit 1: backup --password {W} --dir /srv", "--dir /srv"),
    _text(
        "Pydantic's repeated input",
        f"1 validation error for Login\npassword\n  String should be longer [type=string_too_short, input_value='{W}', input_type=str]",
        "1 validation error for Login",
        "String should be longer",
    ),
    _text("header with a line break, http.client", f"Invalid header value b'{W}\\n'", "Invalid header value"),
    _text(
        "header with a blank, requests",
        f"Invalid leading whitespace in header value: ' {W}'",
        "Invalid leading whitespace",
    ),
    _text(
        "connection string torn at a blank, libpq",
        f'invalid dsn: missing "=" after "{W}" in connection info string',
        "invalid dsn",
    ),
    _text(
        "connection string torn at @, libpq",
        f'could not translate host name "{W}@db.example" to address',
        "@db.example",
    ),
    _text("connection string torn at :, http.client", f"nonnumeric port: '{W}@a.example'", "@a.example"),
    _text("URL without its colon", f"Could not parse URL 'postgres//bob:{W}@db/shop'", "@db/shop"),
    _text("option of curl", f"curl --user bob:{W} https://a.example", "curl --user bob:", "https://a.example"),
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
