# SPDX-License-Identifier: Apache-2.0
"""
How does a trace look on a terminal? One header, one row per span with its time as a bar, one line that says why.

A bar is thick where the span itself was at work, thin where it waited for what it called, dotted where
nobody waited for it any more: the thick parts, read together, are where the time went.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TextIO

from tellwhy.viewer import describe
from tellwhy.viewer.layout import Layout, Row, lay_out
from tellwhy.viewer.model import Trace
from tellwhy.viewer.text import clean, duration, fit, pad, width

MAX_ROWS: Final = 40
_NARROWEST: Final = 40  # columns; on less, rows are cut off by the terminal
_BAR_FROM: Final = 64  # columns; on less there is no room for bars
_DURATION: Final = 8

_BOLD, _DIM, _RED, _YELLOW = "1", "2", "31", "1;33"
_SERVICE_COLORS: Final = ("36", "35", "34", "32")  # in order of appearance; red and yellow have meanings


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters that are not text; two sets, for terminals with and without Unicode."""

    branch: str
    last: str
    through: str
    error: str
    ok: str
    slow: str
    times: str
    dot: str
    cut: str
    own: tuple[str, str, str]  # a full cell, its left half, its right half
    waits: str
    after: str


UNICODE: Final = Glyphs("├─ ", "└─ ", "│  ", "✖", "●", "▶", "×", " · ", "…", ("━", "╸", "╺"), "─", "╌")
ASCII: Final = Glyphs("|- ", "`- ", "|  ", "x", "*", ">", "x", " - ", "...", ("=", "=", "="), "-", ".")
LEGEND: Final = (("own", "at work"), ("waits", "waiting for what it called"), ("after", "nobody waits for it"))


@dataclass(frozen=True, slots=True)
class Style:
    """What the terminal can do: columns, colours, Unicode."""

    columns: int = 100
    color: bool = False
    glyphs: Glyphs = UNICODE

    def paint(self, text: str, code: str) -> str:
        """Colour cleaned text by an SGR code, where there are colours."""
        return f"\x1b[{code}m{text}\x1b[0m" if self.color and text and code else text

    def encode(self, text: str) -> str:
        """Spell what a terminal without Unicode cannot show."""
        return text if self.glyphs is UNICODE else text.replace("µ", "u").replace("…", "...")


def style_of(stream: TextIO, environ: Mapping[str, str] | None = None) -> Style:
    """
    Find out what a stream can do.

    Colours need a terminal, and go away with ``NO_COLOR`` or ``TERM=dumb``; ``FORCE_COLOR`` brings them to a
    pipe. The width is the terminal's or ``COLUMNS``, 100 where there is neither.
    """
    environ = os.environ if environ is None else environ
    wanted = bool(environ.get("FORCE_COLOR")) or (stream.isatty() and environ.get("TERM") != "dumb")
    try:
        "━╸…✖µ".encode(stream.encoding or "ascii")
        glyphs = UNICODE
    except (UnicodeEncodeError, LookupError):
        glyphs = ASCII
    return Style(_columns(stream, environ), wanted and not environ.get("NO_COLOR"), glyphs)


def _columns(stream: TextIO, environ: Mapping[str, str]) -> int:
    asked = environ.get("COLUMNS", "")
    if asked.isascii() and asked.isdigit() and int(asked[:6]) > 0:
        return int(asked[:6])
    if not stream.isatty():
        return 100
    return shutil.get_terminal_size((100, 24)).columns


def legend(style: Style) -> str:
    """Explain the bars in one line."""
    glyphs = style.glyphs
    bars = (("━" if glyphs is UNICODE else glyphs.own[0], "at work"), (glyphs.waits, "waiting for what it called"))
    return ""


def draw(trace: Trace, style: Style, *, max_rows: int = MAX_ROWS) -> str:
    """Draw a trace as text that ends in a newline; whatever the spans hold, nothing but rows of text comes out."""
    return _Drawing(trace, style, lay_out(trace, max_rows)).text()
