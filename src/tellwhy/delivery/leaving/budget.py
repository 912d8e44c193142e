# SPDX-License-Identifier: Apache-2.0
"""How long may exit still be delayed? One account for everything that delays it."""

from __future__ import annotations

from time import monotonic


class Budget:
    """
    The most that exit may be delayed, all signals and phases together.

    Only the time spent in here counts: an exit handler of the program's own
    that takes a minute leaves the budget as it was. May be entered again
    while it is entered: ``with budget as deadline: …``.

    Args:

        seconds: The whole.

        parent: The account that this is a share of: what is spent here is spent there too.
    """

    __slots__ = ("_deadline", "_depth", "_left", "_parent")

    def __init__(self, seconds: float, parent: Budget | None = None) -> None:
        self._parent = parent
        self._left = seconds
        self._deadline = 0.0
        self._depth = 0

    def remaining(self) -> float:
        """Return the seconds that are left, never less than 0."""
        return max(0.0, self._deadline - monotonic() if self._depth else self._left)

    def __enter__(self) -> float:
        """Begin to spend; the value is the deadline to keep, in terms of ``time.monotonic()``."""
        limit = self._parent.__enter__() if self._parent else float("inf")
        if not self._depth:
            self._deadline = min(monotonic() + self._left, limit)
        self._depth += 1
        return self._deadline

    def __exit__(self, *_: object) -> None:
        """Note what was spent."""
        self._depth -= 1
        if not self._depth:
            self._left = self._deadline - monotonic()
        if self._parent:
            self._parent.__exit__()
