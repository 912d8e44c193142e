# SPDX-License-Identifier: Apache-2.0
"""How is a row's time drawn as a bar? Half a cell at a time: at work, waiting, or no longer waited for."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Final

from tellwhy.viewer.layout import Row
from tellwhy.viewer.model import Trace
from tellwhy.viewer.style import DIM, Style

OWN: Final = "#"
WAITS: Final = "-"
AFTER: Final = "."
_BLANK: Final = " "

Interval = tuple[int, int]


def bar(row: Row, trace: Trace, cells: int, style: Style, color: str) -> str:
    """Draw the time of a row, on the scale of its trace, in that many cells; its own work in ``color``."""
    halves = _halves(row, trace, 2 * cells)
    pairs = [halves[i] + halves[i + 1] for i in range(0, len(halves), 2)]
    parts: list[str] = []
    for state, run in groupby(pairs, _strongest):
        # A pair without a character of its own takes that of its stronger half.
        glyphs = "".join(style.glyphs.bar.get(pair, style.glyphs.bar[state * 2]) for pair in run)
        parts.append(style.paint(glyphs, {OWN: color, _BLANK: ""}.get(state, DIM)))
    return "".join(parts)


def _strongest(pair: str) -> str:
    return next(state for state in (OWN, WAITS, AFTER, _BLANK) if state in pair)


def _halves(row: Row, trace: Trace, count: int) -> list[str]:
    """Paint the weaker states first; time at work shows however short it was."""
    halves = [_BLANK] * count
    spans = [(node.span.start_ns, node.span.end_ns) for node in row.nodes if node.span is not None]
    layers = (
        (AFTER, spans),
        (WAITS, [node.window for node in row.nodes]),
        (OWN, [interval for node in row.nodes for interval in node.busy]),
    )
    for state, intervals in layers:
        for start, end in _scaled(intervals, trace, count):
            halves[start:end] = state * (end - start)
    if OWN not in halves and count:
        shown = max(layers[2][1] or spans, key=lambda interval: interval[1] - interval[0])
        for start, _ in _scaled([shown], trace, count):
            halves[min(start, count - 1)] = OWN
    return halves


def _scaled(intervals: list[Interval], trace: Trace, count: int) -> Iterator[Interval]:
    scale = count / max(1, trace.duration_ns)
    for start, end in intervals:
        first = max(0, round((start - trace.start_ns) * scale))
        yield first, max(first, min(count, round((end - trace.start_ns) * scale)))
