# SPDX-License-Identifier: Apache-2.0
"""
How does every log record get the ids of its span, whatever sets logging up, and when?

Every record passes ``logging.Filterer.filter`` before anything is done with it:
once at its logger, in the thread that logs, and again at each handler. That one
method of the standard library's base class is where the ids are put in. It is
not the record factory, for three reasons:

* The order does not matter. ``basicConfig``, ``dictConfig``, gunicorn, celery
  and ``setLogRecordFactory`` change handlers, loggers and the factory, before
  us or after us; none of them changes this class.
* ``logger.info(..., extra={"trace_id": ...})`` raises ``KeyError`` if the factory
  has already set that name. Here the program's own value is there first, and stays.
* It costs less: where there is no filter, the method is replaced and not wrapped.

Modes ``text`` and ``json`` also wrap ``logging.Handler.format``, through which
the handlers that exist and those to come get their lines. There is never a
handler, a level or a filter of ours, so ``logging.lastResort`` works as ever.
"""

from __future__ import annotations

import sys

from tellwhy import diagnostics
from tellwhy.logs import ids

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from collections.abc import Callable
    from typing import Any, Final, Literal

    from tellwhy.logs.formatter import JsonFormatter

    Mode = Literal["fields", "text", "json", "off"]

_FILTER_RETURNS_RECORD: Final = sys.version_info >= (3, 12)

_mode: Mode = "off"
_json: JsonFormatter
_logging: Any = None
"""The module, once installed: the program may never import it."""
_originals: dict[str, Any] = {}
"""What stood where our functions stand; kept for those who still hold one of ours."""
_original_format: Any = None
_is_original_plain = False
_stream: Any = object
_no_queues: set[type] = set()
_MOST_KINDS: Final = 100  # a bound on memory, for programs that make up classes of handlers
_plain_formatter: Any = None
_in_place: set[str] = set()
"""Which of them are, or may be underneath what others have put there since."""
_shortcut = False
"""Whether an empty list of filters may be passed over: not if another library has wrapped the method."""


def install(mode: Mode = "fields", service_name: str = "") -> Callable[[], None]:
    """
    Put the ids of the current span on every log record of this process.

    A record gets ``trace_id``, ``span_id``, ``trace_flags`` (hex; "" outside a
    span) and ``otelTraceID``, ``otelSpanID`` ("0" outside a span),
    ``otelTraceSampled``, ``otelServiceName``. Attributes of these names that the
    program sets itself stay as they are. A second call changes mode and name.

    Args:

        mode: ``fields`` does only that. ``text`` also appends `` trace_id=… span_id=…``
            to the first line of what handlers write inside a span, unless the id is in
            the text or the text is JSON. ``json`` makes stream and file handlers write
            JSON lines (`tellwhy.logs.JsonFormatter`). ``off`` undoes an earlier call.

        service_name: The value of ``otelServiceName``, and of ``service.name`` in JSON lines.

    Returns:

        A function that undoes it, leaving what others have installed since.

    Raises:

        ValueError: The mode is none of the four.
    """
    global _mode, _json, _logging, _shortcut
    if mode not in ("fields", "text", "json", "off"):
        raise ValueError(f"mode={mode!r}: expected fields, text, json or off")
    if mode == "off":
        uninstall()
        return uninstall
    import logging

    if mode == "json":
        from tellwhy.logs.formatter import JsonFormatter

        _json = JsonFormatter()
    ids.name_service(service_name)
    _logging = logging
    _replace(logging.Filterer, "filter", _filter)
    _shortcut = getattr(_originals["filter"], "__globals__", None) is vars(logging)
    if mode == "fields":
        _restore(logging.Handler, "format", _format)
    else:
        _replace(logging.Handler, "format", _format)
        _look_at_format(logging)
    _mode = mode
    _make_room(logging.LogRecord)
    return uninstall


def _make_room(kind: Callable[..., Any]) -> None:
    """
    Let CPython know of our attributes while it still learns which ones records have.

    The first instances of a class decide which attributes all of them keep in
    place; those that come later cost each record a dict, and twice the time.
    """
    record = kind("tellwhy", 0, "", 0, "", (), None)
    for name in (*ids.FIELDS, "message", "asctime"):  # the latter two are what formatters add
        setattr(record, name, "")


def uninstall() -> None:
    """Undo `install`; what others have wrapped around our functions stays, and ours pass through."""
    global _mode
    _mode = "off"
    if _logging is not None:
        _restore(_logging.Filterer, "filter", _filter)
        _restore(_logging.Handler, "format", _format)
    ids.name_service("")  # also lets the latest span go


def _look_at_format(logging: Any) -> None:
    global _original_format, _is_original_plain, _stream, _plain_formatter
    _original_format = _originals["format"]
    _is_original_plain = getattr(_original_format, "__globals__", None) is vars(logging)
    _stream, _plain_formatter = logging.StreamHandler, logging.Formatter


def _replace(owner: Any, name: str, ours: Callable[..., Any]) -> None:
    # Once in place it is never put in twice: around what was wrapped around it, it would call itself.
    if name not in _in_place:
        _in_place.add(name)
        _originals[name] = getattr(owner, name)
        setattr(owner, name, ours)


def _restore(owner: Any, name: str, ours: Callable[..., Any]) -> None:
    if vars(owner).get(name) is ours:
        setattr(owner, name, _originals[name])
        _in_place.discard(name)


def _filter(self: logging.Filterer, record: Any) -> Any:
    """Add the ids to a record that has none, then do as `logging.Filterer.filter` does."""
    try:
        if hasattr(record, "otelTraceID"):  # here before, at its logger
            if not hasattr(record, "trace_flags"):  # from OpenTelemetry's own record factory
                _add_missing(record)
        elif hasattr(record, "trace_id") or hasattr(record, "span_id"):
            _add_missing(record)
        elif _mode != "off":
            # ids.current(), without the call.
            span = ids._context().get(ids._span_key)
            if span is None:
                values = ids._outside
            else:
                latest = ids._latest
                values = latest[1] if span is latest[0] else ids._remember(span)
            # One by one, since that is the fastest: whoever asks for a record's
            # __dict__ this early makes every later use of its attributes slower.
            (
                record.trace_id,
                record.span_id,
                record.trace_flags,
                record.otelTraceID,
                record.otelSpanID,
                record.otelTraceSampled,
                record.otelServiceName,
            ) = values
    except Exception as error:
        diagnostics.fault("logs: adding ids to a record", error)
    if self.filters or not _shortcut:
        return _originals["filter"](self, record)
    return record if _FILTER_RETURNS_RECORD else True


def _add_missing(record: Any) -> None:
    """Add the ids to a record that has some; what is there stays."""
    if _mode != "off":
        for name, value in zip(ids.FIELDS, ids.current(), strict=True):
            record.__dict__.setdefault(name, value)


def _format(self: logging.Handler, record: logging.LogRecord) -> Any:
    """Return what this handler writes for a record, with the ids in it."""
    formatter = self.formatter
    # A formatter of a class of the program's own may hide things: what it returns is the message then.
    if _mode == "json" and (formatter is None or type(formatter) is _plain_formatter) and isinstance(self, _stream):
        try:
            return _json.format(record)
        except Exception as error:
            diagnostics.fault("logs: writing a JSON line", error)
    if formatter is not None and _is_original_plain:
        text: Any = formatter.format(record)  # what the method does, without another call; exceptions are the program's
    else:
        text = _original_format(self, record)
    try:
        if _mode == "text":
            return _with_ids(self, text, record)
        if _mode == "json" and isinstance(text, str) and not _is_json(text) and isinstance(self, _stream):
            return _json.format_text(record, text)
    except Exception as error:
        diagnostics.fault("logs: adding ids to a line", error)
    return text


def _is_queue(handler: logging.Handler) -> bool:
    """Tell whether the text becomes the message of a record that another handler formats again."""
    handlers: Any = sys.modules.get("logging.handlers")
    if handlers is not None and isinstance(handler, handlers.QueueHandler):
        return True
    if len(_no_queues) < _MOST_KINDS:
        _no_queues.add(type(handler))
    return False


def _is_json(text: str) -> bool:
    return text.startswith("{") and text.rstrip().endswith("}")


def _with_ids(handler: logging.Handler, text: Any, record: Any) -> Any:
    trace_id = record.__dict__.get("otelTraceID", "0")
    # What has the id already is a format that shows it, or a line that was logged again.
    if trace_id == "0" or not isinstance(text, str) or trace_id in text or (text[:1] == "{" and _is_json(text)):
        return text
    if type(handler) not in _no_queues and _is_queue(handler):
        return text
    ids_of_span = f" trace_id={trace_id} span_id={record.otelSpanID}"
    if "\n" not in text:
        return text + ids_of_span
    line, newline, rest = text.partition("\n")  # a traceback follows the line that has the message
    return f"{line}{ids_of_span}{newline}{rest}"
