# SPDX-License-Identifier: Apache-2.0
"""Secrets do not leave by the manual API (case 38)."""

from __future__ import annotations

from typing import Annotated

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tellwhy import redaction
from tellwhy.manual import SpanAttr, annotate, annotate_root, event, fail, span, traced, values

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dGhlc2lnbmF0dXJl"
CARD = "4111 1111 1111 1111"
SECRETS = ["hunter2", TOKEN, CARD, "4111111111111111", "ghp_abcdefghijklmnopqrstuvwxyz0123456789"]


def everything(made):
    """All text that a test's spans hold."""
    parts = []
    for one in made.spans:
        parts += [one.name, str(dict(one.attributes)), str(one.status.description)]
        parts += [str(dict(event.attributes)) for event in one.events]
    return "\n".join(parts)


def test_captured_secrets_are_redacted(made):
    """A captured value is redacted by its key or by what it looks like."""

    @traced(capture="all", result=lambda value: {"api_key": value, "shown": TOKEN})
    def pay(password, card, note, token: Annotated[str, SpanAttr("auth.token")], many):
        return "hunter2"

    pay("hunter2", CARD, f"please use {TOKEN} for it", TOKEN, ["plain", "4111111111111111"])
    attributes = made["pay"].attributes
    assert attributes["password"] == attributes["auth.token"] == attributes["api_key"] == "[redacted]"
    assert attributes["card"] == attributes["shown"] == "[redacted]"
    assert attributes["note"] == "please use [redacted] for it"
    assert tuple(attributes["many"]) == ("plain", "[redacted]")
    assert not any(secret in everything(made) for secret in SECRETS)


def test_hand_written_secrets_are_redacted(made):
    """What is annotated, or said of an event or a failure, is redacted too."""
    with span("work", password="hunter2", note=f"token {TOKEN}"):
        annotate(db_password="hunter2", text=f"card {CARD}")
        annotate_root({"session_token": "hunter2"})
        event("login", password="hunter2", header=f"Bearer {TOKEN}")
        fail(f"declined: password=hunter2 card {CARD}")

    assert made["work"].attributes["db_password"] == "[redacted]"
    assert not any(secret in everything(made) for secret in SECRETS)


def test_exceptions_are_redacted(made):
    """Message, status and stack of an exception hold no secret; the exception itself is as it was."""

    @traced
    def login():
        raise ValueError(f"bad password=hunter2 with {TOKEN} and {CARD}")

    with pytest.raises(ValueError, match="password=hunter2"):
        login()
    assert "[redacted]" in made["login"].status.description
    event = dict(made["login"].events[0].attributes)
    assert "[redacted]" in event["exception.message"]
    assert "ValueError: bad password=[redacted]" in event["exception.stacktrace"]
    assert not any(secret in event["exception.message"] for secret in SECRETS)
    stack = event["exception.stacktrace"].partition("ValueError: ")[2]
    assert not any(secret in stack for secret in SECRETS)


def test_secret_that_is_cut_in_half_is_still_seen(made):
    """A secret at the place where a long string is cut does not leave in part."""
    for before in range(236, 257):
        made.spans.clear()
        text = "x " * (before // 2) + CARD + " end"
        traced("long", capture="all")(lambda text: None)(text)
        assert "4111" not in made["long"].attributes["text"]


def test_long_message_is_cut(made):
    """An exception's message is of bounded length, and says how much is missing."""

    def work():
        raise ValueError("y" * 1_000_000)

    with pytest.raises(ValueError):
        traced("work")(work)()
    message = made["work"].events[0].attributes["exception.message"]
    assert len(message) < 70_000
    assert message.endswith("(934464 more characters)")


# fmt: off
WORDS = st.sampled_from([
    "password", "token", "secret", "key", "api_key", "hunter2", "Bearer", "Basic", "bearer", "basic", "authorization",
    "https", "http", "user", "admin", "4111111111111111", "4111", "1111", "411111", "11111111", "5500", "0000", "eyJ0",
    "eyJhbGciOiJIUzI1NiJ9", "AKIA", "ABCDEFGHIJKLMNOP", "ghp_", "sk-", "xoxb-", "glpat-", "AIza", "SG.", "ya29.",
    "hvs.", "mysql", "curl", "sshpass", "redis-cli", "-p", "-u", "-a", "--pass", "Key", "BEGIN", "PRIVATE",
    "services/", "T", "B", "a", "b", "A", "0", "1", "9", "Z", "dXNlcjpwYXNz", "YWxhZGRpbjpvcGVuc2VzYW1l",
    "abcdefghijklmnopqrstuvwxyz0123456789", "cafe1234", "6f1e0a66-2b1c-4a43-9a3f-5b1f6e0b5c11",
])
# fmt: on
SIGNS = st.sampled_from([*" .@/,+:=-_\"'(){}[]<>&?;|%\n\t$#!~^*\\", "://", ": ", " = ", '": "', "", ""])
TEXTS = st.lists(st.tuples(WORDS | st.text("aZ09. -_", max_size=8), SIGNS), max_size=12).map(
    lambda parts: "".join(word + sign for word, sign in parts)
)


@settings(max_examples=300, deadline=None)
@given(text=TEXTS | st.from_regex(r"[A-Za-z0-9.@/,+ ]{13,80}", fullmatch=True) | st.text(max_size=40))
@example("bearer abcdefghijklmnopqrstuvwxyzabcd")
@example("4111 1111 1111 1111")
@example("user:hunter2")
@example("6f1e4111-4111-1111-1111-111111111111")
def test_what_is_taken_for_harmless_is(text):
    """The short cut around the search for secrets is taken only where the search finds nothing."""
    if values.harmless(text):
        assert redaction.redact_text(text) == text
        assert redaction.redact_value("order.id", text, text=True) == text


@pytest.mark.parametrize(
    "text", ["", "ok", "order-12345", "Alice Smith", "alice@example.com", "/api/v1/orders", "it went well, thank you"]
)
def test_ordinary_text_takes_the_short_cut(text):
    """What people capture most needs no search."""
    assert values.harmless(text)
