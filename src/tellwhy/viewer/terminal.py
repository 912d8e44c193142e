# SPDX-License-Identifier: Apache-2.0
"""
How does a trace look on a terminal? A header, one row per span with its time as a bar, one line that says why.

A bar is thick where the span itself was at work, thin where it waited for what it had called, dotted where
it had been given up on. The thick parts, read from top to bottom, are where the time went.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tellwhy.viewer import describe
from tellwhy.viewer.bars import AFTER, OWN, WAITS, bar
from tellwhy.viewer.layout import Row, lay_out
from tellwhy.viewer.model import Trace
from tellwhy.viewer.style import BOLD, DIM, GREEN, RED, SERVICE_COLORS, YELLOW, Style
from tellwhy.viewer.text import clean, duration, pad, width

MAX_ROWS: Final = 40
_GUTTER: Final = 2
_LEAST_LEFT: Final = 30  # cells for the tree: below that, bars are left out
_LEAST_BAR: Final = 12
_MOST_BAR: Final = 56

Segments = list[tuple[str, str]]  # clean texts, each with its colour


def draw(trace: Trace, style: Style, *, max_rows: int = MAX_ROWS) -> str:
    """Draw a trace: lines of text, the last one ended, and nothing else, whatever its spans hold."""
    return style.spell("".join(f"{line.rstrip()}\n" for line in _Drawing(trace, style, max_rows)))


def legend(style: Style) -> str:
    """Explain the bars in one line, without its end."""
    glyphs = style.glyphs
    meanings = (
        (glyphs.bar[OWN * 2] * 2, "at work"),
        (glyphs.bar[WAITS * 2] * 2, "waiting for what it called"),
        (glyphs.bar[AFTER * 2] * 2, "given up on"),
        (glyphs.slowest, "most at work"),
    )
    line, _ = style.line([("   ".join(map(" ".join, meanings)), DIM)], style.columns - 1)
    return style.spell(line)


class _Drawing:
    """One trace being drawn: what all its rows have in common."""

    def __init__(self, trace: Trace, style: Style, max_rows: int) -> None:
        self.trace = trace
        self.style = style
        self.glyphs = style.glyphs
        self.total = max(1, style.columns - 1)  # a full last column makes some terminals wrap
        self.layout = lay_out(trace, max_rows)
        self.colors = {service: SERVICE_COLORS[i % len(SERVICE_COLORS)] for i, service in enumerate(trace.services)}
        self.told_below = _messages_below(list(self.layout))
        guided = list(self._guided())
        self.rows = [(row, guide, below, self._describe(row, guide)) for row, guide, below in guided]
        self._measure_columns()

    def __iter__(self) -> Iterator[str]:
        """Yield the lines of the drawing."""
        yield from self._header()
        for row, _, below, segments in self.rows:
            yield self._row(row, segments)
            message = self._message(row)
            if message:
                line, _ = self.style.line([(below, DIM), (message, RED)], self.total - _GUTTER)
                yield " " * _GUTTER + line
        if self.layout.left_out:
            yield self.style.paint(f"  {self.glyphs.cut} and {self.layout.left_out} more spans", DIM)
        yield from self._why()

    def _measure_columns(self) -> None:
        """Give the tree what it needs, bars the rest; on a narrow terminal, both a fair part, or no bars."""
        durations = [width(duration(row.duration_ns)) for row, *_ in self.rows]
        self.duration_width = max(durations)
        needed = max(sum(width(text) for text, _ in segments) for *_, segments in self.rows)
        room = max(1, self.total - _GUTTER - 1 - self.duration_width - 3)  # blank, duration, blank, mark, blank
        fair_bar = max(_LEAST_BAR, min(_MOST_BAR, room * 2 // 5))
        self.left_width = min(needed, room) if room < _LEAST_LEFT + _LEAST_BAR else min(needed, room - fair_bar)
        bar_room = room - self.left_width
        self.bar_width = min(bar_room, _MOST_BAR) if bar_room >= _LEAST_BAR else 0

    def _guided(self) -> Iterator[tuple[Row, str, str]]:
        """Yield each row with the guide that leads to it and the one for lines below it."""
        longest = max(6, self.style.columns // 4)
        stack = [(row, "", "") for row in reversed(self.layout.roots)]
        while stack:
            row, guide, below = stack.pop()
            here = self._shorten(below, longest)
            yield row, self._shorten(guide, longest), here + (self.glyphs.through if row.children else "   ")
            for place, child in enumerate(reversed(row.children)):
                is_last = place == 0
                branch = self.glyphs.last if is_last else self.glyphs.branch
                stack.append((child, here + branch, here + ("   " if is_last else self.glyphs.through)))

    def _shorten(self, guide: str, longest: int) -> str:
        """Leave out the outer levels of a guide that would fill the row."""
        cut = self.glyphs.cut
        return guide if len(guide) <= longest else cut + guide[len(guide) - longest + len(cut) :]

    def _describe(self, row: Row, guide: str) -> Segments:
        """Say what a row is: guide, how many, service if new, system, label, outcome, the author's attributes."""
        span = row.span
        segments: Segments = [(guide, DIM)]
        if row.skips:
            segments.append((f"{self.glyphs.cut} ", DIM))
        if span is None:
            segments.append((f"(a span that did not arrive: {clean(row.nodes[0].span_id)})", DIM))
            return segments
        if row.times > 1:
            segments.append((f"{row.times}{self.glyphs.times}", BOLD))
        if row.parent is None or row.parent.span is None or row.parent.span.service != span.service:
            segments.append((clean(span.service), f"{BOLD};{self.colors[span.service]}"))
            segments.append((self.glyphs.dot, DIM))
        system = describe.system(span)
        if system:
            segments.append((f"{system} ", self.colors[span.service]))
        segments.append((describe.label(span), YELLOW if row.is_slowest else ""))
        status = describe.http_status(span)
        if status:
            segments.append((f" {status}", RED if span.is_error or status >= "400" else DIM))
        if error := describe.error_type(span):
            segments.append((f" {error}", RED))
        if not span.is_finished:
            segments.append((" (not ended)", YELLOW))
        if row.nodes[0].cuts_cycle:
            segments.append((" (its parents run in a circle)", DIM))
        segments.extend((f"  {extra}", DIM) for extra in describe.extras(span))
        return segments

    def _row(self, row: Row, segments: Segments) -> str:
        style = self.style
        gutter = style.paint(pad(self.glyphs.slowest, _GUTTER), YELLOW) if row.is_slowest else " " * _GUTTER
        left, taken = style.line(segments, self.left_width)
        if row.span is None:
            return gutter + left
        length = duration(row.duration_ns)
        length = style.paint(" " * (self.duration_width - width(length)) + length, YELLOW if row.is_slowest else "")
        color = YELLOW if row.is_slowest else self.colors[row.span.service]
        drawn = bar(row, self.trace, self.bar_width, style, color)
        mark = style.paint(self.glyphs.error, RED) if row.span.is_error else " "
        return f"{gutter}{left}{' ' * (self.left_width - taken)} {length} {mark} {drawn}"

    def _message(self, row: Row) -> str:
        """Return the message of a row's error, unless a row below tells the same."""
        if row.span is None or not row.span.is_error:
            return ""
        message = describe.error_message(row.span)
        return "" if message in self.told_below[id(row)] else message

    def _header(self) -> Iterator[str]:
        trace, entry = self.trace, self.trace.entry
        failed_below = any(span.is_error for span in trace.spans)  # and was dealt with
        mark = (self.glyphs.error, RED) if entry.is_error else (self.glyphs.fine, YELLOW if failed_below else GREEN)
        count = len(trace.spans)
        facts = [clean(entry.service), duration(entry.duration_ns), f"{count} span{'s' if count > 1 else ''}"]
        segments: Segments = [
            mark,
            (f" {describe.label(entry)}", BOLD),
        ]
        for fact in facts:
            segments += [(self.glyphs.dot, DIM), (fact, "")]
        left, taken = self.style.line(segments, self.total)
        right = f"trace {trace.trace_id}"
        gap = self.total - taken - len(right)
        if gap >= _GUTTER:
            yield left + " " * gap + self.style.paint(right, DIM)
        else:
            yield left
            yield " " * _GUTTER + self.style.paint(right, DIM)

    def _why(self) -> Iterator[str]:
        """Name what was at work for longest and, if something failed, where that began."""
        whole = self.trace.entry.duration_ns if self.trace.has_root else self.trace.duration_ns
        clauses: list[Segments] = []
        slowest = self.layout.slowest
        if slowest is not None:
            share = f" ({slowest.self_ns / whole:.0%})" if 0 < slowest.self_ns <= whole else ""
            spent = f"{duration(slowest.self_ns)} of {duration(whole)}{share}"
            clauses.append([(spent, BOLD), (" in ", ""), (self._name(slowest), YELLOW)])
        failed = next((row for row in self.layout if self._is_first_failure(row)), None)
        if failed is not None and failed.span is not None:
            error = describe.error_type(failed.span) or describe.http_status(failed.span)
            clauses.append([(error, RED), (" in ", ""), (self._name(failed), "")])
        for head, clause in zip(("why: ", "     "), clauses, strict=False):
            line, _ = self.style.line([(head, BOLD), *clause], self.total - _GUTTER)
            yield " " * _GUTTER + line

    def _name(self, row: Row) -> str:
        """Name a row outside of its tree."""
        span = row.span
        assert span is not None, "a ghost is never a reason"
        times = f"{row.times}{self.glyphs.times}" if row.times > 1 else ""
        system = describe.system(span)
        place = f"{system} " if system else f"{clean(span.service)}{self.glyphs.dot}"
        return f"{times}{place}{describe.label(span)}"

    def _is_first_failure(self, row: Row) -> bool:
        if row.span is None or not row.span.is_error:
            return False
        return not any(child.span is not None and child.span.is_error for child in row.children)


def _messages_below(rows: list[Row]) -> dict[int, frozenset[str]]:
    """For each row, the error messages told anywhere below it; rows come parents first."""
    below: dict[int, frozenset[str]] = {}
    for row in reversed(rows):
        told: set[str] = set()
        for child in row.children:
            told |= below[id(child)]
            if child.span is not None:
                told.add(describe.error_message(child.span))
        below[id(row)] = frozenset(told)
    return below
