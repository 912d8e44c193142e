# SPDX-License-Identifier: Apache-2.0
"""
What is a span? A row of slots that the tracer fills, the program adds to, and the encoder reads.

Drop-in for the SDK's ``Span`` and ``ReadableSpan``; the slots, and what can be
read of them, are in ``span_data.py``.

Time: a local root notes the distance between the wall clock and the
performance counter (``_anchor``), and every span below it reads the counter
only. So a trace is in order and no duration negative, whatever happens to the
wall clock meanwhile.

Threads: an operation is one atomic step (a dict or list operation), or a check
and a store with nothing between them where the interpreter could switch
threads, or holds ``_lock``. Without the GIL the second kind holds the lock too.
"""

from __future__ import annotations

import os
import sys
import threading
from time import perf_counter_ns

from opentelemetry.trace import NonRecordingSpan, Status, StatusCode

from tellwhy import diagnostics
from tellwhy.engine.records import Event, Link, bounded, is_worth_recording
from tellwhy.engine.span_data import SpanData
from tellwhy.engine.spancontext import local_context
from tellwhy.engine.values import PLAIN, Unusable, clean_attributes, clean_value, complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Any

    from opentelemetry.trace import SpanContext, TraceState
    from opentelemetry.util import types

    from tellwhy.engine.values import Attributes

UNSET = Status(StatusCode.UNSET)
_OK = StatusCode.OK

# Under CPython's GIL threads take turns at calls and at jumps that are taken. A check whose next
# instruction is the store cannot be separated from it.
_CHECK_AND_STORE_IS_ATOMIC = sys.implementation.name == "cpython" and getattr(sys, "_is_gil_enabled", lambda: True)()

_lock = threading.RLock()  # re-entrant: a signal handler may end spans


def _new_lock() -> None:
    global _lock
    _lock = threading.RLock()  # another thread of the parent process may have held the old one


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_lock)


class Span(SpanData):
    """A span that is recorded. Made by a ``Tracer`` only."""

    __slots__ = ()

    # -- what the program may do --------------------------------------------------

    def set_attribute(self, key: str, value: types.AnyValue) -> None:
        """Set one attribute; a bad key or value is counted as dropped, never raised."""
        attributes = self._attributes
        if self._end is not None or type(value) not in PLAIN or type(key) is not str or not key:
            return self._set_unusual(key, value)
        core = self._core
        if core.max_value_length is not None and type(value) is str:
            value = value[: core.max_value_length]
        if key in attributes:
            attributes.pop(key, None)  # what is set last is dropped last
        attributes[key] = value
        if len(attributes) > core.max_attributes:
            self._drop_oldest_attributes()
        return None

    def set_attributes(self, attributes: Mapping[str, types.AnyValue]) -> None:
        """Set several attributes."""
        if self._end is not None:
            return _too_late("set_attributes")
        cleaned: Attributes = {}
        dropped = clean_attributes(attributes, self._core.max_value_length, cleaned)
        if dropped:
            self._count_dropped(0, dropped)
        mine = self._attributes
        most = self._core.max_attributes
        for key, value in cleaned.items():
            if key in mine:
                mine.pop(key, None)
            mine[key] = value
            if len(mine) > most:
                self._drop_oldest_attributes()
        return None

    def add_event(self, name: str, attributes: types.Attributes = None, timestamp: int | None = None) -> None:
        """Add an event; ``timestamp`` in ns since the epoch, by default now."""
        if self._end is not None:
            return _too_late("add_event")
        core = self._core
        when = perf_counter_ns() + self._anchor if timestamp is None else timestamp
        kept, dropped = bounded(attributes, core.max_event_attributes, core.max_attribute_length)
        events = self._events
        if events is None:
            with _lock:
                events = self._events
                if events is None:
                    events = self._events = []
        events.append(Event(name, kept, when, dropped))
        if len(events) > core.max_events:
            self._drop_oldest_events(events)
        return None

    def add_link(self, context: SpanContext, attributes: types.Attributes = None) -> None:
        """Add a link; one to an invalid context without attributes says nothing and is left out."""
        if self._end is not None:
            return _too_late("add_link")
        core = self._core
        try:
            if not is_worth_recording(context, attributes):
                return None
        except Exception as error:
            diagnostics.warn(f"link could not be read ({type(error).__name__}); left out", key="link-unreadable")
            return None
        link = Link(context, *bounded(attributes, core.max_link_attributes, core.max_attribute_length))
        with _lock:
            self._links = (*self._links, link)
            self._drop_oldest_links()
        return None

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Set the status: Ok is final, Unset is ignored, a description is kept for Error only."""
        if self._end is not None:
            return _too_late("set_status")
        if isinstance(status, StatusCode):
            status = Status(status, _usable_description(status, description))
        elif not isinstance(status, Status):
            return None
        if status.status_code is StatusCode.UNSET:
            return None
        with _lock:
            if self._status.status_code is not _OK:
                self._status = status
        return None

    def update_name(self, name: str) -> None:
        """Give the span another name."""
        if self._end is None:
            self._name = name
        else:
            _too_late("update_name")

    def record_exception(
        self,
        exception: BaseException,
        attributes: types.Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Add an event ``exception`` with type, message and stack trace."""
        if self._end is not None:
            return _too_late("record_exception")
        from tellwhy.engine.exceptions import exception_attributes

        recorded = exception_attributes(exception, escaped)
        if attributes is not None:
            try:
                recorded.update(attributes)
            except Exception as error:
                diagnostics.warn(f"attributes of record_exception(): {type(error).__name__}; ignored")
        return self.add_event("exception", recorded, timestamp)

    def end(self, end_time: int | None = None) -> None:
        """End the span, now or at ``end_time`` (ns since the epoch); a second call does nothing."""
        if end_time is None:
            now = perf_counter_ns()
            if now < self._start:  # a start that the program set in the future
                now = self._start
        else:
            now = given_time(end_time, self._anchor, "end_time")
        if not _CHECK_AND_STORE_IS_ATOMIC:
            if not self._claim_end(now):
                return _too_late("end")
        elif self._end is None:
            self._end = now  # nothing may come between the test and this: tests/engine/test_engine_threads.py
        else:
            return _too_late("end")
        core = self._core
        try:
            if core.on_ending is not None:
                core.on_ending(self)
            queue = core.queue
            if queue is None:
                core.on_end(self)
            elif self._flags & 1:
                if core.over is not None:
                    root = self._local_root
                    if root is None:
                        root = self
                    # Two threads at once may count one too few: the cap may be off by a few.
                    root._tally = tally = root._tally + 1
                    if tally >= core.cap:
                        return core.over(self, root)
                queue.append(self)
                if len(queue) >= queue.attention:
                    core.attend()
        except Exception as error:
            diagnostics.fault(processor_name(core.on_end), error)
        return None

    def start(self, start_time: int | None = None, parent_context: Any = None) -> None:  # noqa: ARG002
        """Do nothing: a tracer hands out started spans."""
        return _too_late("start")

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Record the exception that leaves the ``with`` block, as far as asked for, and end the span."""
        if exc_val is not None and self._end is None:
            self.fail(exc_val, self._record_exception, self._set_status_on_exception, escaped=True)
        self.end()

    def fail(
        self, exception: BaseException, record: bool = True, set_status: bool = True, *, escaped: bool = False
    ) -> None:
        """Record an exception and set status Error with its type and message."""
        from tellwhy.engine.exceptions import message_of

        if record:
            self.record_exception(exception, escaped=escaped)
        if set_status:
            description = f"{type(exception).__name__}: {message_of(exception)}"
            self.set_status(Status(StatusCode.ERROR, description))

    # -- what is rare ---------------------------------------------------------

    def _set_unusual(self, key: Any, value: Any) -> None:
        if self._end is not None:
            return _too_late("set_attribute")
        core = self._core
        if core.max_attributes == 0 or not isinstance(key, str) or not key:
            if core.max_attributes:
                complain(key, "a key must be a string that is not empty")
            return self._count_dropped(0, 1)
        try:
            cleaned = clean_value(value, core.max_value_length)
        except Unusable:
            complain(key, f"a value of type {type(value).__name__} cannot be recorded")
            return self._count_dropped(0, 1)
        attributes = self._attributes
        attributes.pop(key, None)
        attributes[key] = cleaned
        if len(attributes) > core.max_attributes:
            self._drop_oldest_attributes()
        return None

    def _count_dropped(self, place: int, count: int) -> None:
        with _lock:
            if self._dropped is None:
                self._dropped = [0, 0, 0]
            self._dropped[place] += count

    def _drop_oldest_attributes(self) -> None:
        attributes = self._attributes
        with _lock:
            while len(attributes) > self._core.max_attributes:
                try:
                    del attributes[next(iter(attributes))]
                except (KeyError, RuntimeError):  # another thread set one at this moment: look again
                    continue
                self._count_dropped(0, 1)

    def _drop_oldest_events(self, events: list[Event]) -> None:
        with _lock:
            while len(events) > self._core.max_events:
                del events[0]
                self._count_dropped(1, 1)

    def _drop_oldest_links(self) -> None:
        excess = len(self._links) - self._core.max_links
        if excess > 0:
            self._links = self._links[excess:]
            self._count_dropped(2, excess)

    def _claim_end(self, now: int) -> bool:
        """Without the GIL: let one thread of several end the span."""
        with _lock:
            if self._end is not None:
                return False
            self._end = now
            return True


class Unrecorded(NonRecordingSpan):
    """A span of ours that is not recorded: ids for propagation and logs, and nothing else."""

    __slots__ = ("_ctx", "_flags", "_span_id", "_trace_id", "_trace_state")

    _ctx: SpanContext | None
    _flags: int
    _span_id: int
    _trace_id: int
    _trace_state: TraceState | None

    def get_span_context(self) -> SpanContext:
        """Return what is propagated of the span."""
        context = self._ctx
        if context is None:
            context = self._ctx = local_context(self._trace_id, self._span_id, self._flags, self._trace_state)
        return context

    _context = property(get_span_context)

    def __exit__(self, *_: object) -> None:
        """Do nothing."""


def processor_name(method: Any) -> str:
    """Return whose method it is, for the line that says that it failed."""
    return f"span processor {getattr(method, '__qualname__', method)!s:.100}"


def given_time(value: Any, anchor: int, argument: str) -> int:
    """Turn a time that the program gave (ns since the epoch) into one of the performance counter."""
    try:
        return int(value) - anchor
    except Exception:
        diagnostics.warn(
            f"{argument} of type {type(value).__name__}, expected int (ns since the epoch); ignored, using now",
            key=f"time:{argument}",
        )
        return perf_counter_ns()


def _usable_description(status: StatusCode, description: Any) -> str | None:
    if description is None or (isinstance(description, str) and (status is StatusCode.ERROR or not description)):
        return description
    diagnostics.warn("a status description must be a str and go with StatusCode.ERROR; ignored", key="description")
    return None


def _too_late(operation: str) -> None:
    diagnostics.debug(f"{operation}() on a span that has ended; ignored", key=f"ended:{operation}")
