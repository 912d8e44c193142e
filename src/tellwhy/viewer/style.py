# SPDX-License-Identifier: Apache-2.0
"""What can this terminal do? Its columns, colours and characters, found once, handed to whatever draws."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TextIO

from tellwhy.viewer.text import fit, width

PIPE_COLUMNS: Final = 100
BOLD: Final = "1"
DIM: Final = "2"
RED: Final = "31"
GREEN: Final = "32"
YELLOW: Final = "33"
SERVICE_COLORS: Final = ("36", "35", "34")  # the other colours mean something


@dataclass(frozen=True, slots=True)
class Glyphs:
    """
    The characters that are not text.

    ``bar`` draws one cell of a time bar from the states of its two halves: ``#`` the span is at work, ``-``
    it waits for what it called, ``.`` nobody waits for it any more, blank it does not run.
    """

    branch: str
    last: str
    through: str
    error: str
    fine: str
    slowest: str
    dot: str
    times: str
    cut: str
    bar: Mapping[str, str]


UNICODE: Final = Glyphs(
    branch="├─ ",
    last="└─ ",
    through="│  ",
    error="✖",
    fine="●",
    slowest="▶",
    dot=" · ",
    times=" × ",
    cut="…",
    bar={
        "  ": " ",
        "##": "━",
        "# ": "╸",
        " #": "╺",
        "--": "─",
        "- ": "╴",
        " -": "╶",
        "#-": "╾",
        "-#": "╼",
        "..": "╌",
    },
)
ASCII: Final = Glyphs(
    branch="|- ",
    last="`- ",
    through="|  ",
    error="x",
    fine="*",
    slowest=">",
    dot=" - ",
    times=" x ",
    cut="...",
    bar={"  ": " ", "##": "=", "--": "-", "..": "."},
)
_SPELLED: Final = str.maketrans({"µ": "u", "…": "..."})


@dataclass(frozen=True, slots=True)
class Style:
    """What a stream can show: columns, colours, Unicode; ``live``: a line that is written over."""

    columns: int = PIPE_COLUMNS
    color: bool = False
    live: bool = False
    glyphs: Glyphs = UNICODE

    def paint(self, text: str, code: str) -> str:
        """Colour text by an SGR code, where there are colours."""
        return f"\x1b[{code}m{text}\x1b[0m" if self.color and text and code else text

    def line(self, segments: Sequence[tuple[str, str]], cells: int) -> tuple[str, int]:
        """Join clean texts, each with its colour, in at most that many cells; return how many they take too."""
        parts: list[str] = []
        room = cells
        for raw, code in segments:
            text = self.spell(raw)  # before it is measured: spelled out, it is longer
            cut = fit(text, room, self.glyphs.cut)
            parts.append(self.paint(cut, code))
            room -= width(cut)
            if cut != text:
                break
        return "".join(parts), cells - room

    def spell(self, text: str) -> str:
        """Make a finished text printable where there is no Unicode."""
        if self.glyphs is UNICODE:
            return text
        return text.translate(_SPELLED).encode("ascii", "backslashreplace").decode("ascii")


def style_of(stream: TextIO, environ: Mapping[str, str] | None = None) -> Style:
    """
    Find out what a stream can show.

    Colours need a terminal other than ``TERM=dumb`` or a non-empty ``FORCE_COLOR``; a non-empty ``NO_COLOR``
    wins over both (https://no-color.org). The width is ``COLUMNS``, else the terminal's, else 100.
    """
    environ = os.environ if environ is None else environ
    is_terminal = stream.isatty()
    live = is_terminal and environ.get("TERM") != "dumb"
    return Style(
        columns=_columns(stream, is_terminal, environ.get("COLUMNS", "")),
        color=(live or bool(environ.get("FORCE_COLOR"))) and not environ.get("NO_COLOR"),
        live=live,
        glyphs=UNICODE if _can_encode(stream, "├━╾✖▶…µ") else ASCII,
    )


def _columns(stream: TextIO, is_terminal: bool, asked: str) -> int:
    if asked.isascii() and asked.isdigit() and 0 < len(asked.lstrip("0")) < 6:
        return int(asked)
    if is_terminal:
        try:
            return os.get_terminal_size(stream.fileno()).columns or PIPE_COLUMNS
        except (OSError, ValueError):  # a terminal in name only, as some IDEs have
            return PIPE_COLUMNS
    return PIPE_COLUMNS


def _can_encode(stream: TextIO, text: str) -> bool:
    try:
        text.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
