# SPDX-License-Identifier: Apache-2.0
"""A span around a block of code: ``with tellwhy.span("pricing.quote", currency="EUR"):``."""

from __future__ import annotations

from tellwhy.errors import DecorationError
from tellwhy.manual import entry
from tellwhy.manual.options import checked_expected, checked_kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, NoReturn

    from opentelemetry.trace import Span

    from tellwhy.manual.options import AttrValue, Expected, Kind


class _NoSpan:
    """What ``as`` gives while tracing is off: takes every call of a span and does nothing."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        from opentelemetry.trace import INVALID_SPAN  # 70 ms, paid only by who uses the span

        return getattr(INVALID_SPAN, name)


_NO_SPAN: Any = _NoSpan()


class SpanScope:
    """
    What ``span(...)`` returns: a context manager, sync and async, that may be entered again.

    Each entry is a new span; entries may nest and may overlap in threads and tasks.
    """

    __slots__ = ("_attributes", "_entries", "expected", "is_simple", "kind", "name", "new_trace", "prepared", "start")

    # A site as the functions of ``live`` read it, with nothing to take from arguments.
    constants: dict[str, Any] = {}  # noqa: RUF012 - never changed
    late = links = when = None
    min_duration_ns = 0
    record_exception = True
    result = False

    def __init__(
        self, name: str, kind: Kind, expected: Expected, new_trace: bool, attributes: dict[str, AttrValue]
    ) -> None:
        self.name = name
        self.kind: Any = kind
        self.expected = expected
        self.new_trace = new_trace
        self.is_simple = not new_trace
        self.prepared = False
        self.start = self._clean if attributes else None
        self._attributes = attributes
        self._entries: list[Any] = []  # Scope, Silent or None for each time that it is entered now

    def prepare(self, kind_of: Callable[[Any], Any]) -> None:
        """Resolve the kind, which may be a word; asked for before the first span."""
        self.kind = kind_of(self.kind)
        self.prepared = True

    def _clean(self) -> dict[str, Any]:
        """Return the attributes; asked for only if the span is made."""
        return entry.cleaned(self._attributes)

    def __enter__(self) -> Span:
        off = entry.off()
        scope: Any = None if off else entry.begin(self, (), {})
        opened: Span = _NO_SPAN if scope is None else scope.span
        if scope is None and self._entries and not off:
            scope = entry.Silent()
        self._entries.append(scope)
        return opened

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        mine = self._take_mine()
        if mine is None:
            return
        if error is None:
            mine.done(None)
        else:
            mine.raised(error)

    async def __aenter__(self) -> Span:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)

    def __call__(self, *_: object, **__: object) -> NoReturn:
        raise DecorationError(f"span({self.name!r}) is for with-blocks: decorate with @traced({self.name!r})")

    def _take_mine(self) -> Any:
        """
        Take out the entry that this exit belongs to: the latest one that is current in this thread and task.

        One that is known by nothing (None) was the only one when it was made.
        """
        entries = self._entries[::-1]  # a copy: other threads enter and exit meanwhile
        if len(entries) == 1:
            mine = entries[0]
        else:
            current = (one for one in entries if one is not None and one.is_current())
            mine = next(current, None if None in entries else entries[0])
        self._entries.remove(mine)
        return mine


def span(
    name: str,
    /,
    *,
    kind: Kind = "internal",
    expected: Expected = (),
    new_trace: bool = False,
    **attributes: AttrValue,
) -> SpanScope:
    """
    Make a span around a block of code.

    ``as`` gives OpenTelemetry's own ``Span``. An exception that leaves the block
    marks the span as failed and goes on as it is. Works in ``with`` and
    ``async with``; the returned object may be kept and entered again.

    Args:

        name: Of few values: no ids in it.

        kind: ``internal``, ``client``, ``server``, ``producer``, ``consumer``, or a ``SpanKind``.

        expected: Exceptions that are no error when they leave the block.

        new_trace: Start a trace of its own, with a link back to the current span.

        attributes: Attributes from the start, as samplers see them.

    Raises:

        DecorationError: An unknown kind, or ``expected`` is not of exception classes.
    """
    if not isinstance(name, str):
        raise DecorationError(f"span({name!r}): the first argument is the span's name, a string")
    return SpanScope(name, checked_kind(kind), checked_expected(expected), new_trace, attributes)
