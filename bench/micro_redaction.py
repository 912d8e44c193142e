# SPDX-License-Identifier: Apache-2.0
"""
What does redaction cost per call? Run: ``python bench/micro_redaction.py``.

Each row is the best of many rounds, in microseconds, and as a multiple of the
best ``str.split()`` of the first statement in the same rounds: machines differ and
are noisy, the ratio much less.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence

from tellwhy import redaction
from tellwhy.redaction import sql, statements

ROUNDS = 200  # short ones: on a busy machine some of them are not interrupted
BATCH = 100
STATEMENTS = {
    "two literals, two numbers (130 characters)": (
        "SELECT u.id, u.name, u.email FROM users u WHERE u.col_{0}_x = 'bob@example.com' AND u.age > 42 "
        "ORDER BY u.created_at LIMIT 10 OFFSET 20"
    ),
    "placeholders (130)": (
        "SELECT u.id, u.name, u.email FROM users u WHERE u.col_{0}_x = %s AND u.age > %s AND u.tenant = %(tenant)s "
        "ORDER BY u.created_at LIMIT %s"
    ),
    "INSERT (125)": (
        "INSERT INTO orders_{0}_x (id, customer, amount, currency, created_at) VALUES (1, 'bob', 12.5, 'EUR', "
        "'2024-01-01 10:00')"
    ),
    "JOIN (125)": (
        "SELECT o.id, c.x_{0} FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.status = 'open' AND "
        "c.email = 'x@y.z' LIMIT 5"
    ),
    "quoted names, as Django writes (130)": (
        'SELECT "users"."id", "users"."name", "users"."email" FROM "users" WHERE "users"."email_{0}_x" = '
        "'bob@example.com' LIMIT 21"
    ),
    "sub-select (140)": (
        "SELECT a.id, a.name_{0} FROM accounts a WHERE a.owner IN (SELECT id FROM users WHERE email = 'x@y.z') AND "
        "a.balance > 100.5 FOR UPDATE"
    ),
}
MESSAGE = (
    'connection to server at "localhost" (127.0.0.1), port 5432 failed: Connection refused. Is the server running on '
    "that host and accepting TCP/IP connections? while calling payment provider for order 12345 now"
)
TRACE = (
    "Traceback (most recent call last):\n"
    + '  File "/srv/app/shop/orders.py", line 212, in place_order\n    charge = gateway.charge(order.total, card=card)\n'
    * 12
    + "shop.errors.Declined: provider declined order 12345\n"
)


def timed(call: Callable[[object], object], items: Sequence[object]) -> float:
    started = time.perf_counter()
    for item in items:
        call(item)
    return (time.perf_counter() - started) / len(items) * 1e6


def row(name: str, call: Callable[[object], object], items: Sequence[object], before: Callable[[], None]) -> None:
    best = reference = float("inf")
    for _ in range(ROUNDS):
        before()
        reference = min(reference, timed(str.split, REFERENCE))
        before()
        best = min(best, timed(call, items))
    print(f"{name:75} {best:9.3f} µs {best / reference:8.1f} x split")


def nothing() -> None:
    return None


REFERENCE = [next(iter(STATEMENTS.values())).format(i) for i in range(BATCH)]


def main() -> None:
    gc.disable()
    redaction.analyze("SELECT 1")
    print("A statement of a new shape")
    for name, shape in STATEMENTS.items():
        texts = [shape.format(i) for i in range(BATCH)]
        row(f"  {name}: scrubbed", sql.scrub_sql, texts, nothing)
        row(f"  {name}: scrubbed and summarized", statements.analyze, texts, statements.forget)
    print("A statement that was seen")
    first = REFERENCE[0]
    row("  the same text", statements.analyze, [first] * BATCH, nothing)
    other = [first.replace("bob", f"bob{i}") for i in range(BATCH)]
    row("  the same shape, another literal", statements.analyze, other, statements.forget)
    commented = [
        f"SELECT id FROM users WHERE a = %s /*traceparent='00-{i:032x}-00f067aa0ba902b7-01'*/"
        for i in range(1, BATCH + 1)
    ]
    row("  the same text, another traceparent in its comment", statements.analyze, commented, statements.forget)
    huge = ["INSERT INTO t (a, b) VALUES " + ", ".join(["(1, 'secret')"] * 70_000)]
    row("  1 MB of VALUES, not remembered", sql.scrub_sql, huge, nothing)
    print("URLs")
    for url in (
        "/api/orders/42",
        "https://api.example.com/v1/users/123/orders",
        "https://api.example.com/v1/users?page=2&size=50&sort=name",
        "https://bob:secret@api.example.com/v1/users?page=2&token=secret",
    ):
        row(f"  {url}", redaction.redact_url, [url] * BATCH, nothing)
    print("Attributes and headers")
    row("  is_secret_key, known", redaction.is_secret_key, ["http.route"] * BATCH, nothing)
    row("  value of an ordinary key", lambda v: redaction.redact_value("http.route", v), ["/a/b"] * BATCH, nothing)
    row("  value of a secret key", lambda v: redaction.redact_value("password", v), ["hunter2"] * BATCH, nothing)
    row("  header, ordinary", lambda v: redaction.redact_header("Accept", v), ["text/html"] * BATCH, nothing)
    span = {
        "http.request.method": "GET",
        "http.route": "/orders/<id>",
        "url.path": "/orders/7",
        "url.scheme": "http",
        "server.address": "shop",
        "server.port": 8000,
        "http.response.status_code": 200,
        "user_agent.original": "curl/8.5.0",
        "network.protocol.version": "1.1",
        "client.address": "10.0.0.1",
    }
    row("  a span's ten attributes, before export", redaction.redact_attributes, [span] * BATCH, nothing)
    print("Text")
    row(f"  an ordinary message of {len(MESSAGE)} characters", redaction.redact_text, [MESSAGE] * BATCH, nothing)
    row(f"  a stack trace of {len(TRACE)} characters", redaction.redact_text, [TRACE] * 10, nothing)
    row("  a message with a password", redaction.redact_text, [MESSAGE + " password=x"] * BATCH, nothing)


if __name__ == "__main__":
    main()
