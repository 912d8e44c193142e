# SPDX-License-Identifier: Apache-2.0
"""What does a log record look like as one line of JSON?"""

from __future__ import annotations

import logging
import time
from json import JSONEncoder
from json.encoder import encode_basestring_ascii as quote

from tellwhy.logs import ids
from tellwhy.logs.jsonable import jsonable, text, well_formed
from tellwhy.logs.layouts import LAYOUTS, severity_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any, Final, Literal

    Attributes = Mapping[str, Any]

_ATTRIBUTES: Final = frozenset(
    {
        *vars(logging.LogRecord("", 0, "", 0, "", (), None)),
        *("message", "asctime", "taskName"),
        *ids.FIELDS,
    }
)
"""What is no extra of the program: what every record has, and what is added on its way."""

_MAX_NAMES: Final = 1_000  # a bound on memory, for programs that make up a logger for each request


class JsonFormatter(logging.Formatter):
    """
    Write each record as one JSON object on one line, with the ids of its span.

    The output is strict JSON in ASCII, whatever was logged: what JSON cannot say
    is said as text, texts over 32,768 characters lose their middle, a message that
    does not fit its arguments is written with them. It needs no `setup_tracing()`:
    without it the ids are those of the span that is current when the line is written.

    Args:

        fmt, datefmt, style, validate: Accepted and not used, so that the class can stand
            where ``logging.config`` expects the class of a formatter.

        defaults: Constant fields for every line, such as ``{"deployment.environment": "prod"}``;
            an extra of the same name wins.

        preset: Names and shape. ``default``: flat; ``timestamp``, ``level``, ``logger``,
            ``message``, ``trace_id``, ``span_id``, ``trace_flags``, ``service.name``,
            ``exception``. ``ecs``: Elastic Common Schema. ``otel``: OpenTelemetry's log data model.

        rename: Other names for top-level fields, such as ``{"level": "severity"}``.

        include: More attributes of the record to write, such as ``["process", "threadName",
            "lineno"]``, under their own names.

        service_name: ``service.name`` for records that bring no ``otelServiceName``.

    Raises:

        ValueError: There is no such preset, or ``rename`` gives two fields one name.
    """

    def __init__(
        self,
        fmt: str | None = None,  # noqa: ARG002
        datefmt: str | None = None,  # noqa: ARG002
        style: Literal["%", "{", "$"] = "%",  # noqa: ARG002
        validate: bool = True,  # noqa: ARG002
        *,
        defaults: Mapping[str, Any] | None = None,
        preset: Literal["default", "ecs", "otel"] = "default",
        rename: Mapping[str, str] | None = None,
        include: Iterable[str] = (),
        service_name: str = "",
    ) -> None:
        super().__init__()
        if preset not in LAYOUTS:
            raise ValueError(f"preset={preset!r}: expected one of {', '.join(LAYOUTS)}")
        self._layout = LAYOUTS[preset].renamed(rename or {})
        self._not_extras = _ATTRIBUTES.difference(include)
        self._defaults = self._extras(defaults or {})
        self._encode = JSONEncoder(allow_nan=False, check_circular=False, separators=(",", ":")).encode
        self._service_name = service_name
        self._levels: dict[int, tuple[str, tuple[str, int]]] = {}
        self._names: dict[str, str] = {}
        self._second = (-1, "")
        nothing = object()
        self._latest: tuple[object, object, object, object, str] = (nothing, nothing, nothing, nothing, "")

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON."""
        extras = self._defaults
        attributes = record.__dict__
        if not self._not_extras.issuperset(attributes):
            extras = {**extras, **self._extras(attributes)}
        if record.stack_info:
            extras = {**extras, "stack_info": text(record.stack_info)}
        exception = self._exception(record) if record.exc_info or record.exc_text else ""
        return self._line(record, _message(record), exception, extras)

    def format_text(self, record: logging.LogRecord, message: str) -> str:
        """
        Return a line whose message is what another formatter has made of the record.

        That formatter decided what to show: extras, exception and stack are not added to it.
        """
        return self._line(record, message, "", self._defaults)

    def _line(self, record: logging.LogRecord, message: str, exception: str, extras: Attributes) -> str:
        layout = self._layout
        level, severity = self._level(record)
        line = layout.head % (
            self._timestamp(record.created),
            level,
            severity,
            _quoted(message),
            self._name(record.name),
        )
        line += self._span_and_service(record.__dict__)
        if not exception and not extras:
            return f"{{{line}}}"
        more = [exception] if exception else []
        if extras:
            more.append(self._encode(extras)[1:-1])
        line += "," + layout.wrapped % ",".join(more)
        return f"{{{line}}}"

    def _level(self, record: logging.LogRecord) -> tuple[str, int]:
        """Return the level's name in JSON, and OpenTelemetry's number for it."""
        name, number = record.levelname, record.levelno
        known = self._levels.get(number) if type(number) is int else None
        if known is not None and known[0] is name:
            return known[1]
        level = _quoted(name), severity_number(number)
        if type(number) is int and type(name) is str and len(self._levels) < _MAX_NAMES:
            self._levels[number] = name, level
        return level

    def _name(self, name: object) -> str:
        """Return a logger's name in JSON; the same come again and again."""
        name = _str(name)
        known = self._names.get(name)
        if known is None:
            known = _quoted(name)
            if len(self._names) < _MAX_NAMES:
                self._names[name] = known
        return known

    def _span_and_service(self, attributes: Attributes) -> str:
        """Return a record's ids and service name in JSON, each after a comma."""
        if "trace_id" in attributes:
            get = attributes.get
            trace_id, span_id, trace_flags = attributes["trace_id"], get("span_id"), get("trace_flags")
            service = get("otelServiceName")
        else:  # made without us, or while correlation is off
            trace_id, span_id, trace_flags, _, _, _, service = ids.current()
        # By identity: the records of one span share the texts, and they mostly come together.
        last = self._latest
        if trace_id is last[0] and span_id is last[1] and trace_flags is last[2] and service is last[3]:
            return last[4]
        return self._joined(trace_id, span_id, trace_flags, service)

    def _joined(self, trace_id: object, span_id: object, trace_flags: object, service: object) -> str:
        piece = ""
        if _str(trace_id):
            piece = "," + self._layout.span % (_quoted(trace_id), _quoted(_str(span_id)), _quoted(_str(trace_flags)))
        service_name = _str(service) or self._service_name
        if service_name:
            piece += "," + self._layout.service % _quoted(service_name)
        if type(trace_id) is type(span_id) is type(trace_flags) is type(service) is str:  # what can change is not kept
            self._latest = (trace_id, span_id, trace_flags, service, piece)
        return piece

    def _extras(self, attributes: Attributes) -> dict[str, Any]:
        """Return what the program has put on the record, under names that are free."""
        extras = {}
        for name, value in attributes.items():
            if name not in self._not_extras:
                name = text(name)
                while name in self._layout.taken:
                    name = f"extra.{name}"
                extras[name] = jsonable(value)
        return extras

    def _exception(self, record: logging.LogRecord) -> str:
        """Return type, message and stack trace; the last alone if that is all a queue has left of it."""
        exc_info: Any = record.exc_info  # a record made by hand may bring anything
        if isinstance(exc_info, tuple) and len(exc_info) == 3 and exc_info[0] is not None:
            kind, error, _ = exc_info
            try:
                stacktrace = self.formatException(exc_info)
            except Exception as fault:  # a chain of exceptions that cannot be followed
                stacktrace = f"<no stack trace: {type(fault).__name__}>"
            parts: tuple[object, object, object] = (_qualified_name(kind), error, stacktrace)
        elif record.exc_text:
            parts = ("", "", record.exc_text)
        else:
            return ""
        return self._layout.exception % tuple([_quoted(part) for part in parts])

    def _timestamp(self, created: float) -> str:
        """Return RFC 3339 in UTC, with microseconds."""
        try:
            second = int(created)
            micros = round((created - second) * 1_000_000)
            if not 0 <= micros < 1_000_000:  # rounded up, or before 1970
                second, micros = divmod(round(created * 1_000_000), 1_000_000)
            known, prefix = self._second
            if second != known:
                prefix = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second))
                self._second = (second, prefix)
        except Exception:  # a record made by hand, with a time that is none
            return _quoted(created)
        return f'"{prefix}{micros:06d}Z"'


def _str(value: object) -> str:
    if type(value) is str:
        return value
    return "" if value is None else text(value)


def _quoted(value: object) -> str:
    return quote(well_formed(value) if type(value) is str else text(value))


def _message(record: logging.LogRecord) -> str:
    try:
        record.message = message = record.getMessage()  # on the record, as the standard formatter leaves it
        return message
    except Exception as error:  # arguments that do not fit: the line is worth more than the complaint
        return f"{text(record.msg)} {jsonable(record.args)} [{type(error).__name__}: {text(error)}]"


def _qualified_name(kind: type[BaseException]) -> str:
    module = getattr(kind, "__module__", "builtins")
    name = getattr(kind, "__qualname__", str(kind))
    return name if module == "builtins" else f"{module}.{name}"
