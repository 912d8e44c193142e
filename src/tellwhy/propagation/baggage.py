# SPDX-License-Identifier: Apache-2.0
"""
What does ``baggage`` say? OpenTelemetry's reading of it, silent about what is wrong.

OpenTelemetry's own propagator logs headers and members that it leaves out,
values included: a caller's secrets in the program's log.
https://www.w3.org/TR/baggage/
"""

from __future__ import annotations

from urllib.parse import unquote_plus

from opentelemetry.baggage import _BAGGAGE_KEY, _is_valid_pair
from opentelemetry.context.context import Context

from tellwhy.engine.context import put

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_LONGEST_HEADER: Final = 8192
_LONGEST_MEMBER: Final = 4096
_MOST_MEMBERS: Final = 180


def with_baggage(context: Context, header: str) -> Context:
    """Return the context with the members of a header in its baggage; that one itself if there are none."""
    found = members(header)
    if not found:
        return context
    known = context.get(_BAGGAGE_KEY)
    inner = Context(context)
    put(inner, _BAGGAGE_KEY, {**known, **found} if isinstance(known, dict) else found)
    return inner


def members(header: str) -> dict[str, str]:
    """Return names and values, decoded. What is beyond the limits or not of the grammar is left out."""
    if len(header) > _LONGEST_HEADER:
        header = header[:_LONGEST_HEADER].rpartition(",")[0]  # the last one may be torn
    found: dict[str, str] = {}
    for member in header.split(",", _MOST_MEMBERS)[:_MOST_MEMBERS]:
        name, equals, value = member.partition("=")
        name, value = name.strip(" \t"), value.strip(" \t")
        if equals and len(member) <= _LONGEST_MEMBER and member.isascii() and _is_valid_pair(name, value):
            found[unquote_plus(name).strip()] = unquote_plus(value).strip()
    return found
