# SPDX-License-Identifier: Apache-2.0
"""
What is known of an object, as long as it lives: found by its identity, in one look into a dictionary.

``weakref.WeakKeyDictionary`` answers the same at five times the price, in
Python, and asks the key for its hash and equality, which are the program's own.
"""

from __future__ import annotations

import weakref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Kept(dict):  # type: ignore[type-arg]  # its subscript would be evaluated
    """
    ``id(owner) -> (weak reference, what is known)``.

    Whoever reads compares the reference with the owner, so that nobody is taken for another::

        entry = kept.get(id(owner))
        known = entry[1] if entry is not None and entry[0]() is owner else kept.keep(owner, look(owner))
    """

    __slots__ = ()

    def keep(self, owner: Any, known: Any) -> Any:
        """Remember what is known of the owner until it dies, if that can be told; returns it."""
        key = id(owner)
        if type(owner).__weakrefoffset__:
            self[key] = weakref.ref(owner, self._forgetting(key)), known
        return known

    def _forgetting(self, key: int) -> Callable[[Any], None]:
        def died(reference: Any) -> None:
            entry = self.get(key)
            if entry is not None and entry[0] is reference:  # else the next owner of that address was quicker
                del self[key]

        return died
