# SPDX-License-Identifier: Apache-2.0
"""Generated and malformed URLs: what is secret goes, what is not stays, nothing raises."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tellwhy.redaction import redact_query, redact_url

SECRET = "zQxJwKv7"
words = st.from_regex(r"[a-z]{1,6}", fullmatch=True).map(lambda word: "w" + word)
harmless = st.sampled_from(
    ["page", "q", "sort", "filter[name]", "utm_source", "monkey", "postcode", "lang", "max_tokens"]
)
secret_names = st.sampled_from(
    ["token", "access_token", "api_key", "X-Amz-Signature", "sig", "PASSWORD", "clientSecret", "code", "session_id"]
)
values = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
secrets = st.text(st.characters(exclude_categories=["Cs"]), max_size=4).map(lambda text: text + SECRET + text)
pairs = st.lists(st.one_of(st.tuples(harmless, values), st.tuples(secret_names, secrets)), max_size=5)


@settings(max_examples=300, deadline=None)
@given(pairs, words, words)
def test_a_query_loses_secrets_and_nothing_else(pairs: list[tuple[str, str]], host: str, path: str) -> None:
    """Keys, their order, harmless values, host and path are what they were."""
    url = f"https://{host}.example/{path}?{urlencode(pairs)}"

    left = redact_url(url)

    expected = [(key, "REDACTED" if SECRET in value else value) for key, value in pairs]
    assert expected == parse_qsl(urlsplit(left).query, keep_blank_values=True)
    assert f"https://{host}.example/{path}" == left.partition("?")[0]


@settings(max_examples=200, deadline=None)
@given(
    st.text("ab:/?#%&=;", max_size=6) | st.text("ab:/@%;", max_size=6),
    words,
    st.sampled_from(["postgresql", "redis", "amqp", "mongodb+srv"]),
)
def test_a_password_of_any_characters_goes(noise: str, host: str, scheme: str) -> None:
    """In a database's URL people leave what should be percent-encoded as it is."""
    left = redact_url(f"{scheme}://user:{SECRET}{noise}{SECRET}@{host}.example:5432/name")

    assert SECRET not in left
    assert left.endswith(f"@{host}.example:5432/name")


@settings(max_examples=200, deadline=None)
@given(secrets, st.integers(1, 3))
def test_urls_inside_of_urls(secret: str, depth: int) -> None:
    """A login page carries where to go next, encoded as often as it was passed on."""
    url = f"https://a.example/cb?{urlencode({'token': secret})}"
    for _ in range(depth):
        url = f"https://a.example/login?{urlencode({'next': url, 'lang': 'en'})}"

    left = redact_url(url)

    assert SECRET not in left
    assert left.endswith("&lang=en")


@settings(max_examples=500, deadline=None)
@given(st.text(max_size=40) | st.text("htp:/?#@[]%&=;.3aF ", max_size=40))
@example("http://[")
@example("http://[::1")
@example("?%")
@example("://@?#")
@example("\ud800?token=\ud800")
def test_malformed_urls_pass(text: str) -> None:
    """Whatever a client sends as its target, nothing raises, and a second look changes nothing."""
    left = redact_url(text)

    assert left == redact_url(left)
    assert isinstance(redact_query(text), str)


@pytest.mark.parametrize("url", ["/a/b", "https://a.example/b/c", "", "*", "a.example:443"])
def test_a_url_without_secrets_is_the_same_object(url: str) -> None:
    """The ordinary case copies nothing."""
    assert url is redact_url(url)


def test_nesting_has_a_bound() -> None:
    """A URL that was wrapped fifty times is not unwrapped fifty times."""
    url = "/x?token=secret"
    for _ in range(50):
        url = f"/x?next={quote(url[:2000], safe='')}"

    assert "secret" not in redact_url(url)
