# SPDX-License-Identifier: Apache-2.0
"""
How does a record reach the exporter without a handler of ours?

Every record that its logger lets through passes ``logging.Logger.callHandlers``
once, whatever handlers there are, on whichever logger, propagating or not. That
one method of the standard library is where records are seen. A handler on the
root logger would do less (no ``propagate = False``, gone after ``dictConfig``)
and more than it may: with it, ``logging.lastResort`` never speaks, and
``basicConfig`` does nothing.

What delivery itself logs (or a library that it calls) is never exported.
"""

from __future__ import annotations

from collections import deque

from tellwhy import diagnostics

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from collections.abc import Callable
    from typing import Any, Final

    Sink = Callable[[Any], None]

_MOST_HELD: Final = 2048
_OF_EXPORTERS: Final = frozenset(("opentelemetry", "urllib3", "requests", "grpc"))

_sink: Sink | None = None
"""Where entries go; None while nobody exports, or nobody is ready yet."""
_prepare: Callable[[], None] | None = None
"""Makes the sink when the first record is logged; None if nobody wants any."""
_is_preparing = False
_held: deque[Any] = deque(maxlen=_MOST_HELD)
"""What was logged while the sink was being made."""
_original: Any = None
_entry_of: Any = None
_delivering: Any = None
_context: Callable[[], Any] = dict
_suppressed_key = ""


def install(prepare: Callable[[], None]) -> None:
    """
    See every record from now on.

    Args:

        prepare: Called when the first record is logged; makes the pipeline, which calls ``send_to``.
    """
    global _original, _prepare
    import logging

    _prepare = prepare
    if _original is None:
        _original = logging.Logger.callHandlers
        logging.Logger.callHandlers = _call_handlers  # type: ignore[method-assign]


def uninstall() -> None:
    """See no record any more; what others have wrapped around our function stays, and ours passes through."""
    global _original, _prepare, _sink
    import logging

    _prepare = _sink = None
    _held.clear()
    if _original is not None and logging.Logger.callHandlers is _call_handlers:
        logging.Logger.callHandlers = _original  # type: ignore[method-assign]
        _original = None


def send_to(sink: Sink | None) -> None:
    """Let entries go there; None for nowhere, because nobody takes them any more."""
    global _sink, _prepare, _entry_of, _delivering, _context, _suppressed_key
    if sink is not None:
        from opentelemetry import context
        from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY

        from tellwhy.delivery.suppression import delivering
        from tellwhy.logs.entries import entry_of

        _entry_of, _delivering = entry_of, delivering.get
        _context, _suppressed_key = context.get_current, _SUPPRESS_INSTRUMENTATION_KEY
    else:
        _prepare = None
        _held.clear()
    _sink = sink
    _hand_on()


def after_fork_in_child() -> None:
    """Leave to the parent what it has held."""
    global _is_preparing
    _is_preparing = False
    _held.clear()


def _call_handlers(self: logging.Logger, record: logging.LogRecord) -> None:
    """Hand a record to the exporter, then do as ``logging.Logger.callHandlers`` does."""
    if _sink is not None:
        try:
            if not _delivering() and (record.name.partition(".")[0] not in _OF_EXPORTERS or not _is_exporting()):
                _sink(_entry_of(record))
        except Exception as error:
            diagnostics.fault("logs: exporting a record", error)
    elif _prepare is not None:
        _first(record)
    _original(self, record)


def _is_exporting() -> bool:
    """Tell whether one of OpenTelemetry's own exporters is at work here: its lines would breed lines."""
    return bool(_context().get(_suppressed_key))


def _first(record: logging.LogRecord) -> None:
    """Hold a record, and get the pipeline ready."""
    global _is_preparing
    try:
        from tellwhy.logs.entries import entry_of

        _held.append(entry_of(record))
        prepare = _prepare
        if prepare is None or _is_preparing:  # another thread is at it, or this is a record that the making logs
            _hand_on()
            return
        _is_preparing = True
        try:
            prepare()
        finally:
            _is_preparing = False
    except Exception as error:
        diagnostics.fault("logs: exporting a record", error)


def _hand_on() -> None:
    sink = _sink
    while sink is not None and _held:
        try:
            sink(_held.popleft())
        except IndexError:
            return
