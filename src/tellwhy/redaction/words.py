# SPDX-License-Identifier: Apache-2.0
"""Which word stands where a secret was, and how are lists of words written?"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

REDACTED: Final = "[redacted]"


def words(text: str) -> frozenset[str]:
    """Return the blank-separated words of a text."""
    return frozenset(text.split())


def spellings(text: str) -> list[str]:
    """Return each word as it stands (in capitals), in small letters and capitalized."""
    return [spelling for word in text.split() for spelling in (word, word.lower(), word.capitalize())]


def any_case(text: str) -> str:
    """
    Return a pattern for one of the words, which are in capitals, in any case.

    A set for each letter is several times faster than ``(?i)``, which switches
    the engine's literal search off.
    """
    return "|".join("".join(f"[{c}{c.lower()}]" for c in word) for word in text.split())
