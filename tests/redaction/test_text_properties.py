# SPDX-License-Identifier: Apache-2.0
"""Generated text around generated secrets."""

from __future__ import annotations

import base64
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from tellwhy.redaction import redact_text, redact_value, scrub_db_error

SECRET = "zQxJwKv7"
prose = st.lists(
    st.sampled_from(
        [
            "the",
            "order",
            "42",
            "of",
            "user",
            "bob@example.com",
            "failed;",
            "retry",
            "in",
            "3.5",
            "s",
            "(code=17,",
            "page:",
            "2)",
            "[x]",
            "'a'",
            "at",
            "10:30",
        ]
    ),
    max_size=8,
).map(" ".join)
names = st.sampled_from(
    ["password", "DB_PASSWORD", "apiKey", "client_secret", "auth.token", "x-api-key", "aws_secret_access_key"]
)
passwords = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=6).map(
    lambda text: SECRET + text + SECRET
)


@settings(max_examples=300, deadline=None)
@given(prose, names, passwords, prose, st.sampled_from(["json", "repr", "nested", "pair", "xml", "option"]))
def test_a_quoted_value_of_a_secret_name_goes_whole(
    before: str, name: str, password: str, after: str, form: str
) -> None:
    """Any character may stand in a password that something else quoted."""
    if form == "json":
        quoted = json.dumps({"a": 1, name: password, "b": "c"})
    elif form == "nested":
        quoted = json.dumps(json.dumps({name: password}))
    elif form == "repr":
        quoted = repr({"a": 1, name: password, "b": "c"})
    elif form == "pair":
        quoted = repr([("a", "b"), (name, password)])
    elif form == "xml":
        tag = name.replace("-", "_").replace(".", "_")
        quoted = f"<{tag}>{password.replace('<', '&lt;').replace('>', '&gt;')}</{tag}>"
    else:
        quoted = f"--{name.replace('.', '-')} {password.replace(chr(34), '').replace(chr(39), '')}"

    left = redact_text(f"{before} {quoted} {after}")

    assert SECRET not in left, left


@settings(max_examples=300, deadline=None)
@given(prose, names, st.from_regex(r"[\w.+/~$^*!%-]{0,6}", fullmatch=True), prose, st.sampled_from("=:"))
def test_an_unquoted_value_of_a_secret_name_goes(
    before: str, name: str, noise: str, after: str, separator: str
) -> None:
    """As a DSN, an environment or YAML writes it."""
    left = redact_text(f"{before} {name}{separator}{' ' if separator == ':' else ''}{SECRET}{noise} {after}")

    assert SECRET not in left, left
    assert name in left


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=30), st.text(max_size=30))
def test_basic_credentials_go(user: str, password: str) -> None:
    """They are known by what they decode to."""
    encoded = base64.b64encode(f"{user}:{password}{SECRET}".encode("utf-8", "replace")).decode()

    assert encoded not in redact_text(f"got 401 for Basic {encoded}")


@settings(max_examples=300, deadline=None)
@given(prose)
def test_prose_stays(text: str) -> None:
    """Ordinary words, numbers and punctuation are not touched."""
    assert text == redact_text(text)


pieces = [
    *"'\"`=:@/?&;<>()[]{}\\ \n-_.,aé1",
    "password",
    "://",
    "Bearer ",
    "DETAIL:  Key (a)=(",
    "LINE 1: ",
    "token=",
    "[SQL: ",
]


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(pieces), max_size=30).map("".join) | st.text(max_size=60))
def test_any_text_passes(text: str) -> None:
    """Nothing raises, whatever an exception says."""
    assert isinstance(redact_text(text), str)
    assert isinstance(scrub_db_error(text), str)
    assert isinstance(redact_value("exception.message", text), str)
