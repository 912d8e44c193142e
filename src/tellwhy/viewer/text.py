# SPDX-License-Identifier: Apache-2.0
"""
How is a value of unknown origin put on a terminal? Neutralised, measured in cells, cut to fit.

Names and attributes come from whoever sends spans: an escape sequence in one must not move the
cursor, a right-to-left override must not turn the line around.
"""

from __future__ import annotations

import unicodedata

# Controls, format characters (bidi overrides, zero-width ones), lone surrogates, private use, line separators.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_LONGEST = 4096  # characters looked at: no terminal row shows more


def clean(text: str) -> str:
    """Make text safe for one row: white space becomes single spaces, what could act becomes an escape."""
    text = " ".join(text[:_LONGEST].split())
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_clean_character, text))


def _clean_character(character: str) -> str:
    if unicodedata.category(character) not in _UNSAFE:
        return character
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def width(text: str) -> int:
    """Count the terminal cells of cleaned text: wide East Asian characters take two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(map(_cells, text))


def _cells(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def fit(text: str, cells: int, ellipsis: str = "…") -> str:
    """Cut cleaned text to at most that many cells, with an ellipsis where something is missing."""
    if width(text) <= cells:
        return text
    room = cells - width(ellipsis)
    if room < 0:
        return ""
    kept: list[str] = []
    for character in text:
        room -= _cells(character)
        if room < 0:
            break
        kept.append(character)
    return "".join(kept).rstrip() + ellipsis


def pad(text: str, cells: int) -> str:
    """Fill cleaned text up with spaces on the right."""
    return text + " " * (cells - width(text))


def duration(nanoseconds: int) -> str:
    """Write a duration in the unit that fits, with the digits that matter: ``870 µs``, ``8.1 ms``, ``1.24 s``."""
    microseconds = nanoseconds / 1e3
    if microseconds < 999.5:
        return f"{microseconds:.0f} µs"
    milliseconds = nanoseconds / 1e6
    if milliseconds < 999.5:
        return f"{milliseconds:.1f} ms" if milliseconds < 9.95 else f"{milliseconds:.0f} ms"
    seconds = nanoseconds / 1e9
    if seconds < 99.95:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"
