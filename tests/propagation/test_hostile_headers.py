# SPDX-License-Identifier: Apache-2.0
"""Whatever comes in a header: no exception, no log line, and nothing passed on beyond the limits."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage
from opentelemetry.context.context import Context
from opentelemetry.trace import get_current_span

from tellwhy.patchers import propagation as of_wsgi
from tellwhy.propagation import trust
from tellwhy.propagation.baggage import members
from tellwhy.propagation.propagators import Baggage, Propagators, TraceContext
from tellwhy.propagation.w3c import span_context, trace_state

PROPAGATORS = Propagators([TraceContext(), Baggage()])

_states = st.lists(
    st.one_of(
        st.text(max_size=20),
        st.from_regex(r"[a-z][a-z0-9_\-*/]{0,9}=[!-+\--<>-~]{1,8}", fullmatch=True),
        st.builds(lambda key, n: f"{key}={'v' * n}", st.sampled_from("abcdefgh"), st.integers(0, 600)),
    ),
    max_size=40,
).map(",".join)
_parents = st.one_of(
    st.text(max_size=80),
    st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.{0,50})?", fullmatch=True),
)


@given(_parents, _states)
def test_trace_context(parent: str, state: str) -> None:
    about = span_context(parent, state)

    if about is None:
        return
    assert about.is_valid
    assert about.is_remote
    header = about.trace_state.to_header()
    assert len(header) <= 512
    assert len(about.trace_state) <= 32
    if header:
        again = trace_state(header)
        assert again is not None
        assert again.to_header() == header


@given(st.one_of(st.text(max_size=200), st.binary(max_size=200).map(lambda data: data.decode("latin-1"))))
def test_baggage(header: str) -> None:
    for name, value in members(header).items():
        assert isinstance(name, str)
        assert isinstance(value, str)


@given(st.text(max_size=100), st.text(max_size=100), st.text(max_size=100))
def test_wsgi_request(parent: str, state: str, bag: str) -> None:
    """What the short way of our own patchers reads is what the propagators read."""
    environ = {"HTTP_TRACEPARENT": parent, "HTTP_TRACESTATE": state, "HTTP_BAGGAGE": bag, "REQUEST_METHOD": "GET"}
    headers = {"traceparent": parent, "tracestate": state, "baggage": bag}

    short, long = of_wsgi.extract(environ, Context()), PROPAGATORS.extract(headers, Context())

    assert get_current_span(short).get_span_context() == get_current_span(long).get_span_context()
    assert baggage.get_all(short) == baggage.get_all(long)


def test_oversized_baggage_is_cut_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """What fits is taken; OpenTelemetry's propagator would log the header whole."""
    header = ",".join(f"key{number:04}=hunter2{'x' * 40}" for number in range(400))

    with caplog.at_level(logging.DEBUG):
        context = PROPAGATORS.extract({"baggage": header}, Context())

    found = baggage.get_all(context)
    assert 100 < len(found) <= 180
    assert all(value == f"hunter2{'x' * 40}" for value in found.values())
    assert caplog.text == ""
    written: dict[str, str] = {}
    PROPAGATORS.inject(written, context)
    assert len(written["baggage"]) <= 8192


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("a=1,b=2", {"a": "1", "b": "2"}),
        (" a = 1 , b=2;prop=x", {"a": "1", "b": "2;prop=x"}),
        ("a=%20x%2C,=1,b,c=", {"a": "x,", "c": ""}),
        ("a=ä,b=2", {"b": "2"}),
        (f"a={'x' * 5000},b=2", {"b": "2"}),
        ("", {}),
    ],
)
def test_baggage_as_opentelemetry_reads_it(header: str, expected: dict[str, str]) -> None:
    assert members(header) == expected


@given(st.text(max_size=60), st.one_of(st.none(), st.text(max_size=30)))
def test_any_peer_and_any_header_can_be_judged(header: str, peer: Any) -> None:
    rules = trust.Rules(("10.0.0.0/8", "header:x-gateway=sesame"))
    environ = {"REQUEST_METHOD": "GET", "HTTP_X_GATEWAY": header, "REMOTE_ADDR": peer}
    request = trust.request_of(environ)

    assert request is not None
    assert rules.allow(request) == (header == "sesame" or ((peer or "").startswith("10.") and peer.count(".") == 3))
