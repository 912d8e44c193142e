# SPDX-License-Identifier: Apache-2.0
"""A user's own patterns, attributes as a whole, and what is not loaded before it is needed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tellwhy import redaction
from tellwhy.redaction.redactor import Redactor


@pytest.fixture(autouse=True)
def built_in_lists_only() -> Iterator[None]:
    """Each test leaves the built-in lists behind."""
    yield
    redaction.configure(None)


def test_key_globs_hold_in_every_place() -> None:
    """One glob covers attributes, parameters, headers, key=value in text, and maps."""
    assert redaction.configure("*iban*, customer.tax_id, x-tenant?") == []

    assert redaction.redact_value("payment.IBAN", "DE89") == "[redacted]"
    assert redaction.redact_value("customer.tax_id", "DE89") == "[redacted]"
    assert redaction.redact_url("/x?iban=DE89&a=1") == "/x?iban=REDACTED&a=1"
    assert redaction.redact_header("X-Tenant1", "acme") == "[redacted]"
    assert redaction.redact_text("failed: iban=DE89 a=1") == "failed: iban=[redacted] a=1"
    assert redaction.redact_value("body", {"user": {"iban": "DE89"}}) == {"user": {"iban": "[redacted]"}}
    assert redaction.is_secret_key("iban")


def test_globs_match_whole_names() -> None:
    """``id`` is not ``order.id``."""
    redaction.configure("id")

    assert (redaction.redact_value("order.id", "7"), redaction.redact_value("ID", "7")) == ("7", "[redacted]")


def test_regexes_hold_in_every_string() -> None:
    """Without a group the match goes, with one only the group; commas and slashes may be inside."""
    assert redaction.configure(r"/KD-\d{4,6}/, /tenant=(\w+)/i, /a\/b/") == []

    assert (
        redaction.redact_text("customer KD-12345 and tenant=acme and a/b")
        == "customer [redacted] and tenant=[redacted] and [redacted]"
    )
    assert redaction.redact_value("note", "customer KD-1234") == "customer [redacted]"
    assert redaction.redact_url("/customers/KD-1234") == "/customers/REDACTED"
    assert redaction.redact_value("tags", ["KD-1234", "x"]) == ["[redacted]", "x"]
    assert redaction.redact_header("X-Note", "TENANT=acme") == "TENANT=[redacted]"


@pytest.mark.parametrize("patterns", ["/(/", "/[a/", "/unclosed", "/a/x", "/(?P<n>a)(?P<n>b)/", "/" + "(" * 300 + "/"])
def test_a_wrong_pattern_is_a_problem_and_the_others_hold(patterns: str) -> None:
    """A mistake in a setting is said, never raised."""
    problems = redaction.configure(f"iban, {patterns}, tax_id")

    assert len(problems) == 1
    assert "ignored" in problems[0]
    assert redaction.is_secret_key("iban")
    assert redaction.is_secret_key("tax_id")


@pytest.mark.parametrize("patterns", [None, "", " , ,\n", "//"])
def test_no_patterns(patterns: str | None) -> None:
    """Empty is unset."""
    assert redaction.configure(patterns) == []
    assert redaction.redact_value("note", "x") == "x"


def test_built_in_lists_always_apply() -> None:
    """A user adds and never takes away."""
    redaction.configure("iban")

    assert redaction.redact_value("password", "x") == "[redacted]"


def test_attributes_without_secrets_cost_no_copy() -> None:
    """The usual answer is None, so nothing is built."""
    attributes = {
        "http.route": "/a",
        "n": 1,
        "flags": (True, False),
        "db.system.name": "redis",
        "db.query.text": "GET ?",
        "url.full": "https://a.example/?page=2&next=%2Fx%3Fa%3Db",
        "http.request.header.accept": ["text/html"],
        "process.command_args": ("python", "app.py"),
    }

    assert redaction.redact_attributes(attributes) is None


def test_attributes_of_a_foreign_span() -> None:
    """A contrib instrumentor's span is redacted as a whole, its statement by its dialect."""
    redacted = redaction.redact_attributes(
        {
            "db.system": "mysql",
            "db.statement": 'SELECT * FROM t WHERE a = "hunter2"',
            "http.url": "https://bob:hunter2@a.example/?token=hunter2",
            "http.request.header.cookie": ("hunter2",),
            "exception.message": "password=hunter2",
            "retry": 3,
        }
    )

    assert redacted == {
        "db.system": "mysql",
        "db.statement": "SELECT * FROM t WHERE a = ?",
        "http.url": "https://REDACTED:REDACTED@a.example/?token=REDACTED",
        "http.request.header.cookie": ("[redacted]",),
        "exception.message": "password=[redacted]",
        "retry": 3,
    }


def test_statements_stay_raw_when_asked() -> None:
    """TELLWHY_SQL=raw is the user's choice."""
    assert redaction.redact_attributes({"db.system": "postgresql", "db.statement": "SELECT 'x'"}, sql=False) is None


def test_values_of_every_type() -> None:
    """Numbers and bytes under a secret key go, booleans and None say nothing."""
    for value, expected in [
        (123, "[redacted]"),
        (1.5, "[redacted]"),
        (b"x", "[redacted]"),
        (object, "[redacted]"),
        ("", ""),
        (True, True),
        (None, None),
        (["a", 1, None], ["[redacted]", "[redacted]", None]),
        ({"a": {"b": "hunter2"}}, "[redacted]"),
    ]:
        assert expected == redaction.redact_value("password", value)


def test_text_is_searched_only_where_asked() -> None:
    """An ordinary attribute's string passes at once; the manual API asks for more."""
    text = "password=hunter2"

    assert text is redaction.redact_value("note", text)
    assert redaction.redact_value("note", text, text=True) == "password=[redacted]"


def test_deep_maps_have_a_bound() -> None:
    """A log record's body that holds itself does not hang anybody."""
    body: dict[str, object] = {"a": "x"}
    body["self"] = body
    items: list[object] = []
    items.append(items)

    assert "[redacted]" in str(redaction.redact_value("body", body))
    assert "[redacted]" in str(redaction.redact_value("body", items))


def test_names_from_input_do_not_fill_the_memory() -> None:
    """Parameter names come from strangers."""
    redactor = Redactor()
    for number in range(20_000):
        redactor.url(f"/x?name{number}=1")
        redactor.value(f"key.{number}", "x")
        redactor.is_secret_key("k" * 300 + str(number))

    sizes = [len(cache) for cache in (redactor._ways, redactor.keys._names, redactor.keys._params)]
    assert max(sizes) <= 4096


def test_nothing_heavy_is_loaded_before_it_is_needed() -> None:
    """``import tellwhy.redaction`` and a look at an ordinary attribute load neither re nor OpenTelemetry."""
    program = (
        "import sys; from tellwhy import redaction; redaction.redact_url('/a/b'); redaction.mask_headers('a=b');"
        "print([name for name in ('re', 'enum', 'urllib.parse', 'opentelemetry', 'typing') if name in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-S", "-c", program], capture_output=True, text=True, env=_environ(), check=True
    )

    assert done.stdout == "[]\n"


def _environ() -> dict[str, str]:
    import os

    import tellwhy

    return {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(tellwhy.__file__))}
