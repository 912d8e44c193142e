# SPDX-License-Identifier: Apache-2.0
"""How are captured spans read? By name, as a tree, and by what must hold of them."""

from __future__ import annotations

import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any, TypeAlias

    Key: TypeAlias = tuple[int, int]
    Families: TypeAlias = dict[Key, list["CapturedSpan"]]


class CapturedSpan:
    """A span as a test wants to see it; ``span`` is OpenTelemetry's object itself."""

    def __init__(self, span: Any, spans: Spans, clock: Callable[[], int] | None) -> None:
        self.span = span
        self._spans = spans
        self._clock = clock
        self._start = clock() if clock is not None else None
        self._end: int | None = None
        self.ended = False
        context = span.get_span_context()
        self._key = (context.trace_id, context.span_id)

    @property
    def _parent_key(self) -> Key | None:
        parent = self.span.parent
        return None if parent is None else (parent.trace_id, parent.span_id)

    def _finish(self) -> None:
        self._end = self._clock() if self._clock is not None else None
        self.ended = True

    @property
    def name(self) -> str:
        """The span's name."""
        name: str = self.span.name
        return name

    @property
    def kind(self) -> str:
        """``internal``, ``client``, ``server``, ``producer`` or ``consumer``."""
        kind: str = self.span.kind.name.lower()
        return kind

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes."""
        return dict(self.span.attributes or {})

    @property
    def status(self) -> str:
        """``unset``, ``ok`` or ``error``."""
        status: str = self.span.status.status_code.name.lower()
        return status

    @property
    def status_message(self) -> str | None:
        """What the status says of an error."""
        message: str | None = self.span.status.description
        return message

    @property
    def error(self) -> str | None:
        """The type of the exception that left the span; None if there was none."""
        if "error.type" in self.attributes:
            error: str = self.attributes["error.type"]
            return error
        types = [attributes.get("exception.type") for name, attributes in self.events if name == "exception"]
        return types[-1] if types else None

    @property
    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """Name and attributes of each event, in order."""
        return [(event.name, dict(event.attributes or {})) for event in self.span.events]

    @property
    def links(self) -> list[str]:
        """The trace ids of the links, as hex."""
        return [f"{link.context.trace_id:032x}" for link in self.span.links]

    @property
    def scope(self) -> str:
        """The name of the instrumentation that made the span."""
        scope = getattr(self.span, "_scope", None) or self.span.instrumentation_scope
        name: str = scope.name
        return name

    @property
    def trace_id(self) -> str:
        """The trace id as 32 hex digits."""
        return f"{self.span.get_span_context().trace_id:032x}"

    @property
    def span_id(self) -> str:
        """The span id as 16 hex digits."""
        return f"{self.span.get_span_context().span_id:016x}"

    @property
    def parent_id(self) -> str | None:
        """The parent's span id, captured or not; None for the root of a trace."""
        parent = self.span.parent
        return None if parent is None else f"{parent.span_id:016x}"

    @property
    def parent(self) -> CapturedSpan | None:
        """The parent, if it was captured."""
        return self._spans._by_key.get(self._parent_key)

    @property
    def children(self) -> list[CapturedSpan]:
        """The spans right below, in the order in which they started."""
        return self._spans._families().get(self._key, [])

    @property
    def duration(self) -> float:
        """Seconds from start to end."""
        if self._start is not None and self._end is not None:
            return (self._end - self._start) / 1e9
        duration: float = (self.span.end_time - self.span.start_time) / 1e9
        return duration

    def __repr__(self) -> str:
        return f"<span {self.name!r}{_error_mark(self)} {self.attributes}>"


class Spans:
    """
    The spans that a capture has caught, those that have ended, in the order in which they started.

    A sequence: ``len(spans)``, ``spans[0]``, ``for span in spans``; and by name: ``spans["cart.total"]``.
    """

    def __init__(self) -> None:
        self.all: list[CapturedSpan] = []
        """All of them, also those that have not ended."""
        self._by_key: dict[Key | None, CapturedSpan] = {}
        self._lock = threading.Lock()

    def add(self, span: Any, clock: Callable[[], int] | None) -> None:
        """Take a span that has started."""
        with self._lock:
            captured = CapturedSpan(span, self, clock)
            self.all.append(captured)
            self._by_key[captured._key] = captured

    def ended(self, span: Any) -> None:
        """Take note that a span has ended."""
        context = span.get_span_context()
        with self._lock:
            captured = self._by_key.get((context.trace_id, context.span_id))
            if captured is not None:  # None: forgotten by clear() meanwhile
                captured._finish()

    def clear(self) -> None:
        """Forget what was captured so far."""
        with self._lock:
            self.all.clear()
            self._by_key.clear()

    def __iter__(self) -> Iterator[CapturedSpan]:
        return iter([span for span in self.all if span.ended])

    def __len__(self) -> int:
        return sum(span.ended for span in self.all)

    def __contains__(self, name: object) -> bool:
        return any(span.name == name or span is name for span in self)

    def __getitem__(self, which: int | str) -> CapturedSpan:
        if isinstance(which, int):
            return list(self)[which]
        found = self.named(which)
        if len(found) != 1:
            raise KeyError(f"{len(found)} spans are named {which!r}:\n{self.tree() or '(no spans at all)'}")
        return found[0]

    @property
    def unfinished(self) -> list[CapturedSpan]:
        """The spans that have started and not ended."""
        return [span for span in self.all if not span.ended]

    @property
    def roots(self) -> list[CapturedSpan]:
        """The spans whose parent was not captured, or has not ended."""
        return [span for span in self if span.parent is None or not span.parent.ended]

    @property
    def names(self) -> list[str]:
        """The names, in the order in which the spans started."""
        return [span.name for span in self]

    @property
    def sql(self) -> list[CapturedSpan]:
        """The spans of database calls."""
        return [span for span in self if "db.system.name" in span.attributes or "db.system" in span.attributes]

    def named(self, pattern: str) -> list[CapturedSpan]:
        """Return the spans of a name; ``*`` and ``?`` are wild: ``spans.named("SELECT *")``."""
        from fnmatch import fnmatchcase

        return [span for span in self if span.name == pattern or fnmatchcase(span.name, pattern)]

    def tree(self, *attributes: str) -> str:
        """
        Return the spans as text, a line for each, children indented by two spaces.

        Siblings that look the same are one line with their number, ``SELECT shop x2``;
        an error is told by its type, ``cart.total !KeyError``.

        Args:

            attributes: Keys of attributes to show.
        """
        return "\n".join(_lines(self.roots, attributes, self._families()))

    def _families(self) -> Families:
        """Return the children of each span that has some."""
        families: Families = {}
        for span in self:
            parent = span.parent
            if parent is not None:
                families.setdefault(parent._key, []).append(span)
        return families

    def assert_tree(self, expected: str, *attributes: str) -> None:
        """Raise AssertionError unless ``tree()`` is this; indentation of the whole does not matter."""
        from textwrap import dedent

        wanted = dedent(expected).strip()
        actual = self.tree(*attributes)
        if actual != wanted:
            raise AssertionError(f"these spans were expected:\n{wanted}\n\nand these were made:\n{actual or '(none)'}")

    def assert_at_most(self, most: int, which: str | Iterable[CapturedSpan]) -> None:
        """Raise AssertionError if there are more spans of a name pattern, or in ``spans.sql`` and the like."""
        found = self.named(which) if isinstance(which, str) else list(which)
        if len(found) > most:
            raise AssertionError(f"at most {most} spans were expected, there are {len(found)}:\n{self.tree()}")

    def __repr__(self) -> str:
        return f"<{len(self)} spans>\n{self.tree()}"


def _error_mark(span: CapturedSpan) -> str:
    if span.status != "error":
        return ""
    return f" !{span.error or span.status_message or 'error'}"


def _lines(spans: Sequence[CapturedSpan], attributes: Sequence[str], families: Families) -> list[str]:
    blocks = [_block(span, attributes, families) for span in spans]
    lines: list[str] = []
    position = 0
    while position < len(blocks):
        block = blocks[position]
        same = 1
        while position + same < len(blocks) and blocks[position + same] == block:
            same += 1
        lines += [f"{block[0]} x{same}" if same > 1 else block[0], *block[1:]]
        position += same
    return lines


def _block(span: CapturedSpan, attributes: Sequence[str], families: Families) -> list[str]:
    shown = "".join(f" {key}={span.attributes[key]}" for key in attributes if key in span.attributes)
    below = _lines(families.get(span._key, []), attributes, families)
    return [f"{span.name}{shown}{_error_mark(span)}", *(f"  {line}" for line in below)]
