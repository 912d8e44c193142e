# SPDX-License-Identifier: Apache-2.0
r"""
What does ``TELLWHY_REDACT`` say?

::

    patterns = pattern *( ( "," / line break ) pattern )
    pattern  = key-glob / "/" regex "/" [ "i" ]

A key glob is the whole name of an attribute, a parameter, a header or a variable
in any case; ``*`` and ``?`` are wild. A regex is searched in every string; if it
has a group, only the first group is replaced, else the whole match. ``\/`` is a
slash inside of a regex.
"""

from __future__ import annotations

from tellwhy.redaction.lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from re import Pattern
    from typing import Final

_PATTERN: Final = lazy(r"[\s,]*(?:/((?:[^/\\\n]|\\.)*)/(i?)(?=\s*(?:,|\n|\Z))|([^,\n]+))")


def parse(text: str) -> tuple[list[str], list[Pattern[str]], list[str]]:
    """Return key globs, regexes, and what is wrong, in words; what is wrong is left out."""
    globs: list[str] = []
    regexes: list[Pattern[str]] = []
    problems: list[str] = []
    if not text.strip():
        return globs, regexes, problems
    import re

    for source, flag, glob in _PATTERN.findall(text):
        if glob[:1] == "/":
            problems.append(f"{glob.strip()!r}: expected a key pattern or /regex/; ignored")
        elif glob.strip():
            globs.append(glob.strip())
        elif source:
            try:
                regexes.append(re.compile(source, re.IGNORECASE if flag else 0))
            except (re.error, RecursionError, OverflowError) as error:
                problems.append(f"'/{source}/': expected a regular expression ({error}); ignored")
    return globs, regexes, problems
