# SPDX-License-Identifier: Apache-2.0
"""What a row says of its span, from semantic conventions old and new."""

from __future__ import annotations

import pytest

from support.traces import exception, make_span
from tellwhy.viewer import describe


@pytest.mark.parametrize(
    ("name", "kind", "attributes", "expected"),
    [
        ("payment.process", "internal", {}, "payment.process"),
        ("", "internal", {}, "(no name)"),
        ("GET /users/<id>", "server", {"url.path": "/users/7"}, "GET /users/<id>"),
        ("GET", "server", {"url.path": "/nowhere"}, "GET /nowhere"),
        ("GET", "server", {"http.target": "/old"}, "GET /old"),
        ("POST", "client", {"url.full": "http://bank:8080/charge?card=1"}, "POST bank:8080/charge"),
        ("POST", "client", {"http.url": "http://user:secret@bank/charge"}, "POST bank/charge"),
        ("GET", "client", {"url.full": "http://[broken"}, "GET http://[broken"),
        ("Call", "client", {"server.address": "bank", "server.port": 8080}, "Call bank:8080"),
        ("SELECT", "client", {"db.query.text": "SELECT  a\n FROM t"}, "SELECT a FROM t"),
        ("select", "client", {"db.statement": "SELECT a FROM t"}, "SELECT a FROM t"),
        ("find orders", "client", {"db.query.text": "SELECT a FROM t"}, "find orders: SELECT a FROM t"),
        ("SET", "client", {"db.query.text": "SET ? ? ?"}, "SET"),
    ],
)
def test_the_label_says_what_was_done(name: str, kind: str, attributes: dict[str, object], expected: str) -> None:
    """Query, request or name, whichever tells most."""
    span = make_span(1, 0, 0, 1, name, kind=kind, attributes=attributes)

    assert describe.label(span) == expected


def test_only_attributes_of_the_author_are_shown_beside_the_label() -> None:
    """Conventions' own keys are in the label or of no interest in a row; three are enough."""
    attributes = {"http.route": "/", "payment.id": 7, "tenant": ["a", "b"], "code.function": "f", "x": 1, "y": 2}

    assert describe.extras(make_span(1, 0, 0, 1, attributes=attributes)) == ["payment.id=7", "tenant=a,b", "x=1"]


def test_an_error_is_named_by_the_exception_that_got_out() -> None:
    """The last one recorded, without its module."""
    events = (exception("ValueError", "first"), exception("requests.exceptions.ReadTimeout", "too slow"))
    span = make_span(1, 0, 0, 1, status="error", events=events, attributes={"error.type": "other"})

    assert (describe.error_type(span), describe.error_message(span)) == ("ReadTimeout", "too slow")


def test_an_error_that_only_the_http_status_tells_is_not_named_twice() -> None:
    """``504`` is in the row already."""
    attributes = {"http.response.status_code": 504, "error.type": "504"}

    assert describe.error_type(make_span(1, 0, 0, 1, status="error", attributes=attributes)) == ""


def test_an_exception_of_a_span_without_error_status_is_not_its_outcome() -> None:
    """It was recorded and dealt with."""
    span = make_span(1, 0, 0, 1, events=(exception("ValueError", "caught"),))

    assert (describe.error_type(span), describe.error_message(span)) == ("", "")
