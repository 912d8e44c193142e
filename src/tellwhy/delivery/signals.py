# SPDX-License-Identifier: Apache-2.0
"""
What happens at SIGTERM? Delivery gets its chance, and the process still dies of the signal.

Python's default is to die at once, without exit handlers. Our handler stands
in for that default alone: where anybody else has set one, or sets one later,
theirs is in force and ours is not.
"""

from __future__ import annotations

import signal
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


class Sigterm:
    """
    The handler for SIGTERM, while nobody else has one.

    Args:

        leave: What to do before the process dies; it keeps its own time limit.
    """

    def __init__(self, leave: Callable[[], None]) -> None:
        self._leave = leave
        self._handler = self._handle  # one object: what is installed must be recognised

    def install(self) -> None:
        """Take the place of the default, if the default is in force and this is the main thread."""
        if threading.current_thread() is not threading.main_thread():
            return
        if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            signal.signal(signal.SIGTERM, self._handler)

    def uninstall(self) -> None:
        """Put the default back, if ours is in force."""
        if threading.current_thread() is not threading.main_thread():
            return
        if signal.getsignal(signal.SIGTERM) is self._handler:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if signal.getsignal(number) is not self._handler:
            return  # called by a handler that has replaced ours, as it would not have called the default
        try:
            self._leave()
        finally:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
            # Still here: the first process of a container, which the default does not kill.
            signal.signal(number, self._handler)
