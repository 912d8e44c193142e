# SPDX-License-Identifier: Apache-2.0
"""Where spans go: the specification's forms, the usual slips, and whatever people type."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tellwhy.delivery.otlp.endpoint import is_private, parse, resolve


@pytest.mark.parametrize(
    ("generic", "own", "expected"),
    [
        (None, None, "http://localhost:4318/v1/traces"),
        ("http://collector:4318", None, "http://collector:4318/v1/traces"),
        ("http://collector:4318/", None, "http://collector:4318/v1/traces"),
        ("https://api.example.com/otlp", None, "https://api.example.com/otlp/v1/traces"),
        ("http://a:1", "http://b:2/my/path", "http://b:2/my/path"),
        ("http://a:1", "http://b:2", "http://b:2/"),
        ("http://a:1", "http://b:2/v1/traces?token=x", "http://b:2/v1/traces?token=x"),
        ("http://[::1]:4318", None, "http://[::1]:4318/v1/traces"),
        ("HTTP://Collector:80", None, "http://collector/v1/traces"),
    ],
)
def test_the_specifications_two_forms(generic: str | None, own: str | None, expected: str) -> None:
    """The generic endpoint gets /v1/traces appended, the one for traces is used as it is."""
    assert resolve(generic, own).url == expected


@pytest.mark.parametrize(
    ("text", "url", "note"),
    [
        ("localhost:4318", "http://localhost:4318/", "http:// is assumed"),
        ("10.0.0.7:4318", "http://10.0.0.7:4318/", "http:// is assumed"),
        ("collector:4318/v1/traces", "http://collector:4318/v1/traces", "http:// is assumed"),
        ("api.example.com:4318", "https://api.example.com:4318/", "https:// is assumed"),
        ("user:pw@otel.svc", "http://otel.svc/", "http:// is assumed"),
        ("[::1]:4318", "http://[::1]:4318/", "http:// is assumed"),
        ("'http://localhost:4318'", "http://localhost:4318/", "quotes"),
        ("http://localhost:4317", "http://localhost:4317/", "gRPC port"),
    ],
)
def test_slips_are_forgiven_and_noted(text: str, url: str, note: str) -> None:
    """What is meant is done, and a note tells how the text was understood."""
    endpoint = parse(text)

    assert endpoint.url == url
    assert any(note in said for said in endpoint.notes), endpoint.notes


def test_a_base_url_that_ends_in_the_path_is_noted() -> None:
    """The specification appends all the same; the note says what to do about it."""
    endpoint = resolve("http://localhost:4318/v1/traces", None)

    assert endpoint.url == "http://localhost:4318/v1/traces/v1/traces"
    assert "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" in endpoint.notes[0]


@pytest.mark.parametrize(
    "text", ["", "   ", "grpc://localhost:4317", "ftp://x", "http://", "http://host:notaport", "http://host:99999",
             "http://a b/", "http://a/\r\nX: y", "unix:///run/otel.sock"],
)  # fmt: skip
def test_what_is_no_url_of_a_receiver_is_refused(text: str) -> None:
    """The message names what was given, and never a credential."""
    with pytest.raises(ValueError, match=r"scheme|no URL"):
        parse(text)


def test_credentials_do_not_show() -> None:
    """User, password and query are in no text that people see, error messages included."""
    endpoint = parse("https://me:s3cret@api.example.com/v1/traces?token=s3cret")

    assert endpoint.userinfo == "me:s3cret"
    assert "s3cret" not in str(endpoint)
    with pytest.raises(ValueError, match="scheme") as caught:
        parse("ftp://me:s3cret@host/?token=s3cret")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost", True), ("collector", True), ("otel.ns.svc", True), ("192.168.1.2", True), ("::1", True),
     ("8.8.8.8", False), ("api.example.com", False), ("fd00::1", True), ("mac.local", True)],
)  # fmt: skip
def test_private_hosts(host: str, expected: bool) -> None:
    """Local and private hosts, where plain HTTP is the likely intention."""
    assert is_private(host) is expected


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60) | st.from_regex(r"\A(https?://)?[^/]{0,20}(:\d{0,6})?(/.{0,20})?\Z"))
def test_any_text_is_an_endpoint_or_a_value_error(text: str) -> None:
    """Nothing else is raised, and what is accepted can be sent in a request line."""
    try:
        endpoint = parse(text)
    except ValueError:
        return
    assert endpoint.host
    assert 0 < endpoint.port <= 65535
    assert not any(character in endpoint.target for character in " \r\n")
