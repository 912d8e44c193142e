# SPDX-License-Identifier: Apache-2.0
"""
How does a regular expression cost nothing until it is used?

``import re`` takes ten milliseconds and a large pattern several more; a program
that never runs a statement or raises an exception should pay for neither.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from re import Pattern
    from typing import Any, AnyStr, Final

_METHODS: Final = ("findall", "finditer", "fullmatch", "match", "search", "split", "sub")


class _Lazy:
    """Looks like a compiled pattern; after the first use its methods are the pattern's own."""

    __slots__ = ("source", *_METHODS)

    def __init__(self, source: str | bytes) -> None:
        self.source = source

    def __getattr__(self, name: str) -> Any:
        # Reached only while the slot is empty, which is once per pattern.
        import re

        compiled = re.compile(self.source)
        for method in _METHODS:
            setattr(self, method, getattr(compiled, method))
        return getattr(compiled, name)


def lazy(source: AnyStr) -> Pattern[AnyStr]:
    """Return what behaves like ``re.compile(source)`` and compiles at its first use."""
    return _Lazy(source)  # type: ignore[return-value]
