# SPDX-License-Identifier: Apache-2.0
"""Whose trace a request belongs to: the caller's if it is believed, else its own with a link to the caller's."""

from __future__ import annotations

from typing import Any

import pytest

from support.program import Place

TRACE, SPAN = "1" * 32, "2" * 16
HEADERS = [
    ("traceparent", f"00-{TRACE}-{SPAN}-00"),
    ("tracestate", "vendor=1"),
    ("baggage", "user=mallory"),
]
GATEWAY = ("x-gateway", "sesame")


@pytest.mark.parametrize("framework", ["flask", "fastapi"])
@pytest.mark.parametrize(
    ("rule", "headers", "believed"),
    [
        ("always", HEADERS, True),
        ("never", HEADERS, False),
        ("10.0.0.0/8, ::1", HEADERS, False),
        ("10.0.0.0/8,127.0.0.0/8", HEADERS, True),
        ("header:x-gateway", HEADERS, False),
        ("header:x-gateway", [*HEADERS, ("X-Gateway", "anything")], True),
        ("header:X-Gateway=sesame", [*HEADERS, GATEWAY], True),
        ("header:x-gateway=sesame", [*HEADERS, ("x-gateway", "guess")], False),
        ("10.0.0.0/8,header:x-gateway=sesame", [*HEADERS, GATEWAY], True),
    ],
)
def test_rule(serving: Any, framework: str, rule: str, headers: list[tuple[str, str]], believed: bool) -> None:
    """An unsampled traceparent of a stranger neither switches recording off nor chooses the trace."""
    with serving(framework, TELLWHY_TRUST_INCOMING=rule) as service:
        service.receiver.wait_for(lambda span: span.kind == "SERVER")  # of the first request, without headers
        before = {span.span_id for span in service.receiver.spans()}
        (seen,) = service.ask(headers)
        passed = seen.headers
        if believed:
            assert passed["traceparent"].startswith(f"00-{TRACE}-")
            assert passed["traceparent"].endswith("-00")
            assert (passed["tracestate"], passed["baggage"]) == ("vendor=1", "user=mallory")
            return
        assert TRACE not in passed["traceparent"]
        assert not {"tracestate", "baggage"} & passed.keys()
        span = service.receiver.wait_for(lambda span: span.kind == "SERVER" and span.span_id not in before)
        assert passed["traceparent"].split("-")[1] == span.trace_id
        assert span.parent_span_id == ""
        assert [(link.trace_id, link.span_id) for link in span.links] == [(TRACE, SPAN)]


def test_wrong_rule_believes_nobody(serving: Any) -> None:
    """A mistyped rule is no open door: what is right of it holds, and if nothing is, nobody is believed."""
    with serving("flask", TELLWHY_TRUST_INCOMING="10.0.0.0.0/8") as service:
        (seen,) = service.ask(HEADERS)
    assert TRACE not in seen.headers["traceparent"]


def test_settings_do_not_show_the_gateways_word(tmp_path: Any) -> None:
    place = Place(tmp_path, TELLWHY_TRUST_INCOMING="header:x-gateway=sesame,10.0.0.0/8")
    shown = place.run("tellwhy", "settings")
    assert "header:x-gateway=****,10.0.0.0/8" in shown.stdout
    assert "sesame" not in shown.stdout + shown.stderr
