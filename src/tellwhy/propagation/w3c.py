# SPDX-License-Identifier: Apache-2.0
"""
What do ``traceparent`` and ``tracestate`` say? Read strictly, and never beyond what the specification allows.

Nothing here raises or logs: headers come from anybody, and what is wrong in
them is nobody's news. https://www.w3.org/TR/trace-context-2/
"""

from __future__ import annotations

import re

from opentelemetry.trace import SpanContext, TraceFlags, TraceState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_LONGEST_HEADER: Final = 8192  # characters of a tracestate that is looked at; a longer one is ignored whole
_MOST_MEMBERS: Final = 32
_LONGEST_KEPT: Final = 512  # characters that are passed on
_LARGE: Final = 128  # members beyond this length are the first to go when it is too long

_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16
_KNOWN_FLAGS: Final = 3  # sampled and random; the others are to be zero

_traceparent = re.compile(
    r"[ \t]*([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?[ \t]*", re.DOTALL
).fullmatch
_member = re.compile(
    r"([a-z0-9][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})"
    r"=([\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e])"
).fullmatch


def span_context(traceparent: str, tracestate: str | None) -> SpanContext | None:
    """
    Return the context of the caller's span; None if it names none, or names it in a way that is not allowed.

    Args:

        traceparent: The header; where it came more than once, joined by commas, and so not valid.

        tracestate: The header; where it came more than once, joined by commas. One that is not valid is
            left out and does no harm to the rest.
    """
    match = _traceparent(traceparent)
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == "ff" or (version == "00" and more) or trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    return SpanContext(
        int(trace_id, 16),
        int(span_id, 16),
        True,
        TraceFlags(int(flags, 16) & _KNOWN_FLAGS),
        trace_state(tracestate) if tracestate else None,
    )


def trace_state(header: str) -> TraceState | None:
    """
    Return the members of a ``tracestate`` in their order, cut to what may be passed on; None if it is not valid.

    Not valid are a member that is not of the grammar, a key that comes twice, and more than 32 members. Of one
    that is longer than 512 characters, members of more than 128 go first and then those on the right.
    """
    if len(header) > _LONGEST_HEADER:
        return None
    members: dict[str, str] = {}
    for text in header.split(","):
        text = text.strip(" \t")
        if not text:
            continue  # allowed, and says nothing
        match = _member(text)
        if match is None or match[1] in members or len(members) == _MOST_MEMBERS:
            return None
        members[match[1]] = match[2]
    if not members:
        return None
    if len(header) > _LONGEST_KEPT:
        members = _cut(members)
    state = TraceState()
    state._dict.update(members)  # the constructor would match each of them once more
    return state


def _cut(members: dict[str, str]) -> dict[str, str]:
    """Leave members out until the header has a length that may be passed on."""
    length = sum(map(_length, members.items())) + len(members) - 1
    for least in (_LARGE, 0):
        for key, value in reversed(list(members.items())):
            if length <= _LONGEST_KEPT:
                return members
            if _length((key, value)) > least:
                length -= _length((key, value)) + 1
                del members[key]
    return members


def _length(member: tuple[str, str]) -> int:
    return len(member[0]) + 1 + len(member[1])
