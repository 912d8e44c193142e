# SPDX-License-Identifier: Apache-2.0
"""
How a library's functions are replaced, and put back where they are still ours.

A replacement that somebody else has wrapped meanwhile cannot be taken out from
under them: it stays, and lets calls through untouched once its patch is undone.
"""

from __future__ import annotations

from functools import WRAPPER_ASSIGNMENTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_MISSING = object()


class Patch:
    """The replacements made in one library."""

    __slots__ = ("_made",)

    def __init__(self) -> None:
        self._made: list[tuple[Any, str, Any, Any]] = []

    def __bool__(self) -> bool:
        return bool(self._made)

    def replace(self, owner: Any, name: str, make: Callable[[Any], Any]) -> bool:
        """
        Replace an attribute of a class or module; False if there is none of that name.

        Args:

            owner: The class or module.

            name: The attribute; of a class also an inherited one, which then gets its own.

            make: Gives the replacement for the function that was there.
        """
        original = getattr(owner, name, None)
        if original is None:
            return False
        before = vars(owner).get(name, _MISSING)
        replacement = dressed_as(original, make(original))
        if isinstance(before, staticmethod):
            replacement = staticmethod(replacement)
        self._made.append((owner, name, before, replacement))
        setattr(owner, name, replacement)
        return True

    def undo(self) -> None:
        """Put back what was there before, wherever our replacement is still in place."""
        while self._made:
            owner, name, before, replacement = self._made.pop()
            if vars(owner).get(name) is not replacement:
                continue
            if before is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, before)


def dressed_as(original: Any, replacement: Any) -> Any:
    """Give a replacement the name, documentation and signature of what it stands in for."""
    for name in WRAPPER_ASSIGNMENTS:
        value = getattr(original, name, None)
        if value is not None:
            setattr(replacement, name, value)
    replacement.__dict__.update(getattr(original, "__dict__", {}))
    replacement.__wrapped__ = original
    return replacement
