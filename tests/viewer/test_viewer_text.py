# SPDX-License-Identifier: Apache-2.0
"""Text of unknown origin: harmless, measured, cut; and durations that read well."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellwhy.viewer.text import clean, duration, fit, pad, width

_DANGEROUS = {"Cc", "Cf", "Cs", "Zl", "Zp"}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("plain", "plain"),
        ("two\n  lines\tand\rmore", "two lines and more"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x9b2J", "\\x9b2J"),
        ("a\u202eb", "a\\u202eb"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("\U000e0041tag", "\\U000e0041tag"),
        ("\ud800", "\\ud800"),
        ("漢字 é", "漢字 é"),
    ],
)
def test_what_could_act_on_a_terminal_is_spelled_out(raw: str, expected: str) -> None:
    """Escapes are visible and do nothing."""
    assert clean(raw) == expected


@given(st.text(st.characters(), max_size=200))
def test_clean_text_is_one_line_without_controls(raw: str) -> None:
    """Whatever comes in."""
    cleaned = clean(raw)

    assert not {unicodedata.category(character) for character in cleaned} & _DANGEROUS
    assert clean(cleaned) == cleaned


@given(st.text(st.characters(), max_size=50).map(clean), st.integers(0, 60))
def test_text_that_is_cut_fits(text: str, cells: int) -> None:
    """Never wider than asked for, and untouched when it fits."""
    cut = fit(text, cells)

    assert width(cut) <= cells
    assert cut == text or width(text) > cells


def test_wide_characters_take_two_cells() -> None:
    """Columns stay columns in Chinese."""
    assert width("漢字") == 4
    assert fit("漢字漢字", 5) == "漢字…"
    assert pad("漢", 4) == "漢  "
    assert width("e\u0301") == 1


@pytest.mark.parametrize(
    ("nanoseconds", "expected"),
    [
        (0, "0 µs"),
        (1_499, "1 µs"),
        (870_000, "870 µs"),
        (999_499, "999 µs"),
        (999_600, "1.0 ms"),
        (8_140_000, "8.1 ms"),
        (9_949_999, "9.9 ms"),
        (9_950_001, "10 ms"),
        (340_000_000, "340 ms"),
        (999_499_999, "999 ms"),
        (999_500_001, "1.00 s"),
        (1_244_000_000, "1.24 s"),
        (12_340_000_000, "12.3 s"),
        (99_960_000_000, "1 min 40 s"),
        (3_725_000_000_000, "1 h 02 min"),
    ],
)
def test_durations_have_the_digits_that_matter(nanoseconds: int, expected: str) -> None:
    """Two or three of them, in the unit that fits."""
    assert duration(nanoseconds) == expected
