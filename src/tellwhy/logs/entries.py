# SPDX-License-Identifier: Apache-2.0
"""
What of a log record is exported? What it said when it was logged, and where, and in which span.

An entry is made in the thread that logs, so it takes only what may be another
thing later: the text, copies of extras, the frames of a traceback. Everything
else (source lines, secrets, limits) is seen to in ``fields()``, on the worker's thread.
"""

from __future__ import annotations

import logging
from traceback import TracebackException

from tellwhy import redaction
from tellwhy.logs import ids
from tellwhy.logs.jsonable import jsonable, text, well_formed
from tellwhy.logs.layouts import severity_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

_OF_EVERY_RECORD: Final = frozenset(
    (*vars(logging.LogRecord("", 0, "", 0, "", (), None)), "message", "asctime", "taskName", *ids.FIELDS)
)
"""What is no extra of the program."""

_PLAIN: Final = frozenset((str, int, float, bool, type(None)))
_MOST_SCOPES: Final = 1_000  # a bound on memory, for programs that make up a logger for each request
_new = object.__new__


class LoggerScope:
    """The instrumentation scope of what one logger logs: its name."""

    __slots__ = ("attributes", "name", "schema_url", "version")

    def __init__(self, name: str, version: str = "", schema_url: str = "", attributes: Any = None) -> None:
        self.name = name
        self.version = version
        self.schema_url = schema_url
        self.attributes = attributes or {}


class LogFields:
    """A log record as plain values, ready for any wire format; ids as bytes, empty outside a span."""

    __slots__ = (
        "attributes",
        "body",
        "dropped_attributes",
        "event_name",
        "flags",
        "observed_time",
        "severity_number",
        "severity_text",
        "span_id",
        "time",
        "trace_id",
    )

    attributes: dict[str, Any]
    body: Any
    dropped_attributes: int
    event_name: str
    flags: int
    observed_time: int
    severity_number: int
    severity_text: str
    span_id: bytes
    time: int
    trace_id: bytes


class LogEntry:
    """
    One record on its way out.

    Attributes:

        max_attributes: Most attributes of a record.

        max_length: Longest text of an attribute, in characters; None for no limit but the built-in one.
    """

    __slots__ = ("_at", "_body", "_code", "_exception", "_extras", "_ids", "_level", "instrumentation_scope")

    max_attributes = 128
    max_length: int | None = None

    _at: float  # seconds since the epoch
    _body: Any
    _code: tuple[str, str, int]  # file, function, line
    _exception: Any
    _extras: dict[str, Any] | None
    _ids: ids.Ids
    _level: tuple[int, str]
    instrumentation_scope: LoggerScope

    @property
    def resource(self) -> Any:
        """Who this process is, as it is known now."""
        return _source()

    @property
    def name(self) -> str:
        """Whose record it is, for messages about it."""
        return self.instrumentation_scope.name

    def fields(self) -> LogFields:
        """Return what is exported, without secrets and within the limits; computed, not remembered."""
        fields = LogFields()
        number, fields.severity_text = self._level
        fields.time = fields.observed_time = int(self._at * 1e9)
        fields.severity_number = severity_number(number)
        fields.event_name = ""
        body = self._body
        if type(body) is str:
            fields.body = redaction.redact_text(well_formed(body))
        else:
            fields.body = redaction.redact_value("body", body, text=True)
        of_span = self._ids
        fields.trace_id, fields.span_id = bytes.fromhex(of_span[0]), bytes.fromhex(of_span[1])
        fields.flags = int(of_span[2] or "0", 16)
        attributes = {name: _redacted(name, value) for name, value in self._extras.items()} if self._extras else {}
        path, function, line = self._code
        attributes.update({"code.file.path": path, "code.function.name": function, "code.line.number": line})
        if self._exception is not None:
            attributes.update(_exception_attributes(self._exception))
        attributes = redaction.redact_attributes(attributes) or attributes
        fields.attributes, fields.dropped_attributes = self._limited(attributes)
        return fields

    def _limited(self, attributes: dict[str, Any]) -> tuple[dict[str, Any], int]:
        most, longest = self.max_attributes, self.max_length
        excess = max(0, len(attributes) - most)
        if excess:  # the extras stand first: an exception is worth more than the hundredth of them
            attributes = dict(list(attributes.items())[excess:])
        if longest is not None:
            attributes = {name: value[:longest] if type(value) is str else value for name, value in attributes.items()}
        return attributes, excess


def entry_of(record: logging.LogRecord) -> LogEntry:
    """Return what is exported of a record of the standard library's; call it in the thread that logs."""
    entry = _new(LogEntry)
    entry._at = record.created
    entry._level = record.levelno, record.levelname
    entry._body = _body(record)
    entry._ids = ids.current()
    entry._code = record.pathname, record.funcName or "", record.lineno
    entry._exception = _exception(record.exc_info) if record.exc_info else None
    entry.instrumentation_scope = _scopes.get(record.name) or _scope(record.name)
    attributes = record.__dict__
    entry._extras = None if _OF_EVERY_RECORD.issuperset(attributes) else _extras(attributes)
    return entry


def come_from(source: Callable[[], Any]) -> None:
    """Say who this process is: a function that returns its resource, the same for all entries."""
    global _source
    _source = source


def _nobody() -> None:
    return None


_source: Callable[[], Any] = _nobody
_scopes: dict[str, LoggerScope] = {}


def _scope(name: str) -> LoggerScope:
    if len(_scopes) >= _MOST_SCOPES:
        _scopes.clear()
    scope = _scopes[name] = LoggerScope(name)
    return scope


def _body(record: logging.LogRecord) -> Any:
    message, arguments = record.msg, record.args
    if arguments or type(record) is not logging.LogRecord:
        try:
            return record.getMessage()
        except Exception:  # the program's handlers say so on stderr; here it is still worth having
            return f"{text(message)} {text(arguments)}"
    if type(message) is str:
        return message
    return jsonable(message) if isinstance(message, (dict, list)) else text(message)


def _redacted(name: str, value: Any) -> Any:
    """Return an extra without its secrets: what a program logs is searched like free text, at any depth."""
    value = jsonable(value)
    return redaction.redact_value(name, value, text=True) if isinstance(value, (str, dict, list)) else value


def _extras(attributes: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value if type(value) in _PLAIN else jsonable(value)
        for name, value in attributes.copy().items()
        if name not in _OF_EVERY_RECORD
    }


def _exception(info: Any) -> tuple[str, TracebackException] | None:
    """Return an exception's type and its story, without its frames' variables, which it would keep alive."""
    try:
        kind, value, frames = info
        if kind is None:
            return None
        module, name = getattr(kind, "__module__", ""), getattr(kind, "__qualname__", str(kind))
        story = TracebackException(kind, value, frames, lookup_lines=False, compact=True)  # source lines are read later
        return name if module in ("builtins", "", None) else f"{module}.{name}", story
    except Exception:  # a record made by hand
        return None


def exception_attributes(exception: BaseException) -> dict[str, str]:
    """Return what is exported of an exception, without its secrets."""
    summary = _exception((type(exception), exception, exception.__traceback__))
    return {} if summary is None else _exception_attributes(summary)


def _exception_attributes(exception: tuple[str, TracebackException]) -> dict[str, str]:
    name, story = exception
    try:
        stacktrace = "".join(story.format())
    except Exception as error:
        stacktrace = f"<no stack trace: {type(error).__name__}>"
    return {
        "exception.type": name,
        "exception.message": redaction.redact_text(text(story)),
        "exception.stacktrace": redaction.redact_text(well_formed(stacktrace)),
    }
