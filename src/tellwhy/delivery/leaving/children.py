# SPDX-License-Identifier: Apache-2.0
"""
How do the children of multiprocessing and billiard leave? By ``os._exit``, past every exit handler.

Only there, and in no other process, ``os._exit`` is made to let delivery have
its chance first. Both libraries call those who ask in every child that they
fork: that is where it happens.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

_LIBRARIES: Final = ("multiprocessing", "billiard")


class ChildExit:
    """
    The way out of a child process.

    Args:

        leave: What to do before the child is gone; it keeps its own time limit.
    """

    def __init__(self, leave: Callable[[], None]) -> None:
        self._leave = leave
        self._exit: Any = None
        self._original: Any = None
        self._is_active = False

    def install(self) -> None:
        """Watch for being in such a child: now, in one that comes to life later, or across a fork."""
        self._is_active = True
        self._ask()
        # A spawned child is known by its command line; the others by their process object.
        if sys.orig_argv[-1:] == ["--multiprocessing-fork"] or any(_is_child(library) for library in _LIBRARIES):
            self._in_child()

    def uninstall(self) -> None:
        """Put ``os._exit`` back, if ours is in force."""
        self._is_active = False
        self._restore()

    def after_fork_in_child(self) -> None:
        """Start over: this child may be one of those, or one of the program's own making."""
        self._restore()
        if self._is_active:
            self._ask()

    def _ask(self) -> None:
        # A library that is not loaded yet is asked in the child that it forks: by then it is.
        for library in _LIBRARIES:
            util = sys.modules.get(f"{library}.util")
            if util is not None:
                util.register_after_fork(self, ChildExit._in_child)

    def _in_child(self) -> None:
        if not self._is_active or self._original is not None:
            return
        original, leave = os._exit, self._leave

        def _exit(status: int) -> None:
            try:
                leave()
            finally:
                original(status)

        self._original, self._exit = original, _exit
        os._exit = _exit  # type: ignore[assignment]  # NoReturn, as original() is

    def _restore(self) -> None:
        if self._original is not None and os._exit is self._exit:
            os._exit = self._original
        self._original = None


def _is_child(library: str) -> bool:
    process = sys.modules.get(f"{library}.process")
    current = getattr(process, "_current_process", None)
    return getattr(current, "_parent_pid", None) is not None
