# SPDX-License-Identifier: Apache-2.0
"""
Under which names, and where, do the parts of a JSON log line stand in each preset?

A layout is a few pieces of JSON with holes, so that a line is put together
without an object of it being built first: that takes half the time.
"""

from __future__ import annotations

from json import loads
from json.encoder import encode_basestring_ascii as quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final


class Layout:
    """
    The pieces of a preset, to be joined by commas between braces; each hole takes JSON.

    Args:

        head: Timestamp, level, severity number, message, logger. A hole
            ``%.0s`` passes over what the preset has no name for.

        span: Trace id, span id, trace flags; left out where there is no span.

        service: The service's name; left out where it is not known.

        exception: Type, message, stack trace; left out where there is none.

        wrapped: What exception and extras are wrapped in; they are fields of the line itself if it is empty.
    """

    __slots__ = ("exception", "head", "service", "span", "taken", "wrapped")

    def __init__(self, head: str, span: str, service: str, exception: str, wrapped: str = "%s") -> None:
        self.head = head
        self.span = span
        self.service = service
        self.exception = exception
        self.wrapped = wrapped
        own = _names(head) + _names(span) + _names(service)
        inner = _names(exception)
        if wrapped == "%s":
            own = inner = own + inner
        if len(set(own)) < len(own):
            raise ValueError(f"two fields of one name in {own}")
        self.taken = frozenset(inner)
        """Names that an extra cannot have."""

    def renamed(self, names: Mapping[str, str]) -> Layout:
        """Return this layout with other names for the fields of the line itself."""
        return Layout(
            _renamed(self.head, names),
            _renamed(self.span, names),
            _renamed(self.service, names),
            _renamed(self.exception, names),
            _renamed(self.wrapped, names),
        )


def severity_number(level: object) -> int:
    """Return OpenTelemetry's number for a level: DEBUG 5, INFO 9, WARNING 13, ERROR 17, CRITICAL 21."""
    if type(level) is not int or level <= 0:
        return 0  # unspecified
    if level < 10:
        return 1  # TRACE
    tens = min(level // 10, 5)
    return 1 + 4 * tens + min(level - 10 * tens, 3)


def _names(piece: str) -> list[str]:
    holes = piece.replace("%%", "").count("%")
    fields: list[tuple[str, object]] = loads(f"{{{piece % ((0,) * holes)}}}", object_pairs_hook=list)
    return [name for name, _ in fields]


def _renamed(piece: str, names: Mapping[str, str]) -> str:
    outer, brace, inner = piece.partition("{")
    for old, new in names.items():
        outer = outer.replace(f"{quote(old)}:", f"{quote(new)}:".replace("%", "%%"))
    return outer + brace + inner


_W3C_SPAN: Final = '"trace_id":%s,"span_id":%s,"trace_flags":%s'

LAYOUTS: Final = {
    # The ids under the names that OpenTelemetry asks for in JSON logs.
    "default": Layout(
        '"timestamp":%s,"level":%s%.0s,"message":%s,"logger":%s',
        _W3C_SPAN,
        '"service.name":%s',
        '"exception":{"type":%s,"message":%s,"stacktrace":%s}',
    ),
    # Elastic Common Schema, dotted; it has no name for the trace flags.
    "ecs": Layout(
        '"@timestamp":%s,"log.level":%s%.0s,"message":%s,"ecs.version":"8.11.0","log.logger":%s',
        '"trace.id":%s,"span.id":%s%.0s',
        '"service.name":%s',
        '"error.type":%s,"error.message":%s,"error.stack_trace":%s',
    ),
    # OpenTelemetry's log data model, with the names that its SDK writes as JSON.
    "otel": Layout(
        '"timestamp":%s,"severity_text":%s,"severity_number":%s,"body":%s,"scope":{"name":%s}',
        _W3C_SPAN,
        '"resource":{"service.name":%s}',
        '"exception.type":%s,"exception.message":%s,"exception.stacktrace":%s',
        wrapped='"attributes":{%s}',
    ),
}
"""The presets of `JsonFormatter` by name."""
