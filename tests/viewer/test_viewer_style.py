# SPDX-License-Identifier: Apache-2.0
"""What a stream is found to be able to show."""

from __future__ import annotations

import io
import os
import pty

import pytest

from tellwhy.viewer.style import ASCII, UNICODE, Style, style_of


def pipe(encoding: str = "utf-8") -> io.TextIOWrapper:
    """Make a text stream that is no terminal."""
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": ""}, True),
    ],
)
def test_a_pipe_has_colours_only_by_force(environ: dict[str, str], expected: bool) -> None:
    """And NO_COLOR has the last word."""
    assert style_of(pipe(), environ).color is expected


@pytest.mark.parametrize(
    ("environ", "color", "live"),
    [
        ({"TERM": "xterm"}, True, True),
        ({"TERM": "dumb"}, False, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False, True),
    ],
)
def test_a_terminal_has_colours_unless_it_or_its_user_says_otherwise(
    environ: dict[str, str], color: bool, live: bool
) -> None:
    """A real pseudo-terminal."""
    master, slave = pty.openpty()
    with os.fdopen(master, "rb"), os.fdopen(slave, "w") as stream:
        style = style_of(stream, environ)

    assert (style.color, style.live) == (color, live)
    assert style.columns == 100  # a pseudo-terminal without a size


@pytest.mark.parametrize(
    ("columns", "expected"), [("80", 80), ("0", 100), ("", 100), ("many", 100), ("²", 100), ("9" * 5000, 100)]
)
def test_the_width_is_what_columns_says(columns: str, expected: int) -> None:
    """Where it is a number."""
    assert style_of(pipe(), {"COLUMNS": columns}).columns == expected


@pytest.mark.parametrize(
    ("encoding", "glyphs"), [("utf-8", UNICODE), ("ascii", ASCII), ("latin-1", ASCII), ("cp437", ASCII)]
)
def test_unicode_is_drawn_where_all_of_it_can_be_written(encoding: str, glyphs: object) -> None:
    """Half a set of characters is none."""
    assert style_of(pipe(encoding), {}).glyphs is glyphs


def test_a_line_is_cut_at_its_last_segment_that_fits() -> None:
    """Colours end where the text is cut."""
    line, taken = Style(color=True).line([("abc", "1"), ("defgh", ""), ("never", "")], 6)

    assert (line, taken) == ("\x1b[1mabc\x1b[0mde…", 6)


def test_without_unicode_everything_is_ascii() -> None:
    """Also names."""
    assert Style(glyphs=ASCII).spell("µs … é") == "us ... \\xe9"
