# SPDX-License-Identifier: Apache-2.0
"""
What the W3C's validation suite for Trace Context asks of a service, asked of ours over real sockets.

Each row is one of the suite's 40 tests under its name (w3c/trace-context, ``test/test.py``, strict), and more rows
for what the specification says beyond them. https://github.com/w3c/trace-context/tree/main/test
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

TRACE = "12345678901234567890123456789012"
SPAN = "1234567890123456"
PARENT = ("traceparent", f"00-{TRACE}-{SPAN}-01")
UNSAMPLED = ("traceparent", f"00-{TRACE}-{SPAN}-00")

Requests = list[list[tuple[str, str]]]


class Passed:
    """What the service has passed on: ``traceparent``'s parts, and ``tracestate``'s members in order."""

    def __init__(self, headers: dict[str, str]) -> None:
        match = re.fullmatch(r"00-([0-9a-f]{32})-([0-9a-f]{16})-0([0-3])", headers["traceparent"])
        assert match is not None, headers["traceparent"]
        self.trace_id, self.span_id, self.flags = match[1], match[2], int(match[3])
        assert self.trace_id != "0" * 32
        assert self.span_id != "0" * 16
        state = headers.get("tracestate", "")
        assert len(state) <= 512
        self.state = [tuple(member.split("=", 1)) for member in state.split(",") if member]


def parents(*values: str) -> Requests:
    return [[("traceparent", value)] for value in values]


def states(*values: str | tuple[str, ...], parent: tuple[str, str] = UNSAMPLED) -> Requests:
    lines = [(value,) if isinstance(value, str) else value for value in values]
    return [[parent, *(("tracestate", line) for line in several)] for several in lines]


def adopted(passed: Passed) -> None:
    assert passed.trace_id == TRACE
    assert passed.span_id != SPAN


def started(passed: Passed) -> None:
    assert passed.trace_id != TRACE
    assert TRACE[1:] not in passed.trace_id


def kept(*members: tuple[str, str]) -> Callable[[Passed], None]:
    def check(passed: Passed) -> None:
        adopted(passed)
        assert passed.state == list(members)

    return check


def discarded(passed: Passed) -> None:
    adopted(passed)
    assert passed.state == []


FOO = ("foo", "1")
KEY = "abcdefghijklmnopqrstuvwxyz0123456789_-*/"
VALUE = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) not in ",=")
MEMBERS = [(f"bar{number:02}", f"{number:02}") for number in range(1, 34)]


def in_lines(members: list[tuple[str, str]]) -> tuple[str, ...]:
    joined = [f"{key}={value}" for key, value in members]
    return tuple(",".join(joined[start : start + 10]) for start in range(0, len(joined), 10))


SUITE: dict[str, tuple[Requests, Any]] = {
    "both_traceparent_and_tracestate_missing": ([[]], started),
    "traceparent_included_tracestate_missing": ([[PARENT]], adopted),
    "traceparent_duplicated": (
        [[("traceparent", f"00-{TRACE[:-1]}1-{SPAN}-01"), PARENT], [PARENT, PARENT]],
        lambda passed: (started(passed), passed.trace_id != f"{TRACE[:-1]}1"),
    ),
    "traceparent_header_name": ([[("trace-parent", PARENT[1])], [("trace.parent", PARENT[1])]], started),
    "traceparent_header_name_valid_casing": (
        [[(name, PARENT[1])] for name in ("TraceParent", "TrAcEpArEnT", "TRACEPARENT")],
        adopted,
    ),
    "traceparent_version_0x00": (parents(PARENT[1] + ".", PARENT[1] + "-what-the-future-will-be-like"), started),
    "traceparent_version_0xcc": (parents(f"cc-{TRACE}-{SPAN}-01", f"cc-{TRACE}-{SPAN}-01-the-future"), adopted),
    "traceparent_version_0xcc, not so": (parents(f"cc-{TRACE}-{SPAN}-01.the-future"), started),
    "traceparent_version_0xff": (parents(f"ff-{TRACE}-{SPAN}-01"), started),
    "traceparent_version_illegal_characters": (parents(f".0-{TRACE}-{SPAN}-01", f"0.-{TRACE}-{SPAN}-01"), started),
    "traceparent_version_too_long": (parents(f"000-{TRACE}-{SPAN}-01", f"0000-{TRACE}-{SPAN}-01"), started),
    "traceparent_version_too_short": (parents(f"0-{TRACE}-{SPAN}-01"), started),
    "traceparent_trace_id_all_zero": (parents(f"00-{'0' * 32}-{SPAN}-01"), started),
    "traceparent_trace_id_illegal_characters": (
        parents(f"00-.{TRACE[1:]}-{SPAN}-01", f"00-{TRACE[:-1]}.-{SPAN}-01", f"00-{'A' * 32}-{SPAN}-01"),
        started,
    ),
    "traceparent_trace_id_too_long": (parents(f"00-{TRACE}3-{SPAN}-01"), started),
    "traceparent_trace_id_too_short": (parents(f"00-{TRACE[:-1]}-{SPAN}-01"), started),
    "traceparent_parent_id_all_zero": (parents(f"00-{TRACE}-{'0' * 16}-01"), started),
    "traceparent_parent_id_illegal_characters": (
        parents(f"00-{TRACE}-.{SPAN[1:]}-01", f"00-{TRACE}-{SPAN[:-1]}.-01"),
        started,
    ),
    "traceparent_parent_id_too_long": (parents(f"00-{TRACE}-{SPAN}7-01"), started),
    "traceparent_parent_id_too_short": (parents(f"00-{TRACE}-{SPAN[:-1]}-01"), started),
    "traceparent_trace_flags_illegal_characters": (parents(f"00-{TRACE}-{SPAN}-.0", f"00-{TRACE}-{SPAN}-0."), started),
    "traceparent_trace_flags_too_long": (parents(f"00-{TRACE}-{SPAN}-001"), started),
    "traceparent_trace_flags_too_short": (parents(f"00-{TRACE}-{SPAN}-1"), started),
    "traceparent_ows_handling": (
        parents(
            *(
                f"{before}{PARENT[1]}{after}"
                for before, after in ((" ", ""), ("\t", ""), ("", " "), ("", "\t"), ("\t ", " \t"))
            )
        ),
        adopted,
    ),
    "tracestate_included_traceparent_missing": (
        [[("tracestate", "foo=1")], [("tracestate", "foo=1,bar=2")]],
        lambda passed: passed.state == [],
    ),
    "tracestate_included_traceparent_included": (states("foo=1,bar=2"), kept(FOO, ("bar", "2"))),
    "tracestate_header_name": (
        [[UNSAMPLED, ("trace-state", "foo=1")], [UNSAMPLED, ("trace.state", "foo=1")]],
        discarded,
    ),
    "tracestate_header_name_valid_casing": (
        [[UNSAMPLED, (name, "foo=1")] for name in ("TraceState", "TrAcEsTaTe", "TRACESTATE")],
        kept(FOO),
    ),
    "tracestate_empty_header": (states(""), discarded),
    "tracestate_empty_header, beside another": (states(("foo=1", ""), ("", "foo=1")), kept(FOO)),
    "tracestate_multiple_headers_different_keys": (
        states(("foo=1,bar=2", "rojo=1,congo=2", "baz=3")),
        kept(FOO, ("bar", "2"), ("rojo", "1"), ("congo", "2"), ("baz", "3")),
    ),
    "tracestate_duplicated_keys": (
        states("foo=1,foo=1", "foo=1,foo=2", ("foo=1", "foo=1"), ("foo=1", "foo=2")),
        discarded,
    ),
    "tracestate_all_allowed_characters": (states(f"{KEY}={VALUE}"), kept((KEY, VALUE))),
    "tracestate_all_allowed_characters, with a vendor": (
        states(f"{KEY}@a-z0-9_-*/={VALUE}"),
        kept((f"{KEY}@a-z0-9_-*/", VALUE)),
    ),
    "tracestate_ows_handling": (
        states("foo=1 \t , \t bar=2, \t baz=3", "foo=1\t \t,\t \tbar=2,\t \tbaz=3"),
        kept(FOO, ("bar", "2"), ("baz", "3")),
    ),
    "tracestate_ows_handling, around it": (states(" foo=1", "\tfoo=1", "foo=1 ", "foo=1\t", "\t foo=1 \t"), kept(FOO)),
    "tracestate_key_illegal_characters": (states("foo =1", "FOO=1", "foo.bar=1"), discarded),
    "tracestate_key_illegal_vendor_format": (
        states("foo@=1,bar=2", "@foo=1,bar=2", "foo@@bar=1,bar=2", "foo@bar@baz=1,bar=2"),
        discarded,
    ),
    "tracestate_member_count_limit": (states(in_lines(MEMBERS[:32])), kept(*MEMBERS[:32])),
    "tracestate_member_count_limit, beyond": (states(in_lines(MEMBERS)), discarded),
    "tracestate_key_length_limit": (states(("foo=1", f"{'z' * 256}=1")), kept(FOO, ("z" * 256, "1"))),
    "tracestate_key_length_limit, of a tenant": (
        states(("foo=1", f"{'t' * 241}@{'v' * 14}=1")),
        kept(FOO, (f"{'t' * 241}@{'v' * 14}", "1")),
    ),
    "tracestate_key_length_limit, beyond": (
        states(("foo=1", f"{'z' * 257}=1"), ("foo=1", f"{'t' * 242}@v=1"), ("foo=1", f"t@{'v' * 15}=1")),
        discarded,
    ),
    "tracestate_value_illegal_characters": (states("foo=bar=baz", "foo=,bar=3"), discarded),
}

BEYOND: dict[str, tuple[Requests, Any]] = {
    "flags that are not known are not passed on": (parents(f"00-{TRACE}-{SPAN}-ff"), adopted),
    "random flag is passed on": (parents(f"00-{TRACE}-{SPAN}-03"), lambda passed: passed.flags == 3),
    "not sampled stays so": (parents(f"00-{TRACE}-{SPAN}-00"), lambda passed: passed.flags == 0),
    "a traceparent of a megabyte would not get here; one of 6,000 characters starts a trace": (
        parents(f"00-{TRACE}-{SPAN}-01-{'x' * 6000}"),
        started,
    ),
    "a future one of 6,000 characters is read at its beginning": (
        parents(f"cc-{TRACE}-{SPAN}-01-{'x' * 6000}"),
        adopted,
    ),
    "a member with a digit first (Level 2)": (states("1foo=1"), kept(("1foo", "1"))),
    "members of more than 128 characters go first": (
        states(f"a=1,long={'x' * 200},longer={'y' * 250},b=2,c={'z' * 100}"),
        kept(("a", "1"), ("long", "x" * 200), ("b", "2"), ("c", "z" * 100)),
    ),
    "then those on the right": (
        states(",".join(f"{key}={'x' * 100}" for key in "abcdef")),
        kept(*((key, "x" * 100) for key in "abcd")),
    ),
    "characters of no alphabet": (states("foo=\xff"), discarded),
}


@pytest.mark.parametrize("name", [*SUITE, *BEYOND])
def test_single_request(service: Any, name: str) -> None:
    requests, check = {**SUITE, **BEYOND}[name]
    for headers in requests:
        (seen,) = service.ask(headers)
        assert check(Passed(seen.headers)) is not False, (headers, seen.headers)


@pytest.mark.parametrize(
    ("name", "headers", "inherited"),
    [
        ("multiple_requests_with_valid_traceparent", [PARENT], True),
        ("multiple_requests_without_traceparent", [], False),
        ("multiple_requests_with_illegal_traceparent", [("traceparent", f"00-{'0' * 32}-{SPAN}-01")], False),
    ],
)
def test_several_requests(service: Any, name: str, headers: list[tuple[str, str]], inherited: bool) -> None:
    passed = [Passed(seen.headers) for seen in service.ask(headers, times=3)]

    assert len({one.span_id for one in passed}) == 3
    assert len({one.trace_id for one in passed}) == 1
    assert (passed[0].trace_id == TRACE) == inherited
