# SPDX-License-Identifier: Apache-2.0
"""
Who works while the program's threads go on? One daemon thread, started when there is work.

Waking it must be safe where a span may end: in a signal handler, in a
finalizer, at interpreter exit. So the bell is a bare lock that is released to
ring it; releasing takes no other lock and cannot block.
"""

from __future__ import annotations

import _thread
import os
import threading

from tellwhy import diagnostics
from tellwhy.delivery.suppression import untraced

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Worker:
    """A thread that runs one function until it returns; a span that comes later starts it again."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self.when_started: Callable[[], None] | None = None
        self.reset()

    def reset(self) -> None:
        """Forget the thread: after a fork it is the parent's."""
        self.is_running = False
        self._ident = 0
        self._pid = 0
        self._starting = _thread.allocate_lock()
        self._bell = _thread.allocate_lock()

    def call(self) -> bool:
        """Wake the thread, or start it if there is none; False if the interpreter grants no thread."""
        if not self.is_running or self._pid != os.getpid():
            return self._start()
        try:
            self._bell.release()
        except Exception:  # RuntimeError, or gevent's own: it rings already
            pass
        return True

    def sleep(self, seconds: float | None) -> None:
        """Wait, on the worker's thread, until called or until the time has passed."""
        if seconds is None:
            self._bell.acquire()
        else:
            self._bell.acquire(timeout=max(0.0, min(seconds, threading.TIMEOUT_MAX)))

    def is_current(self) -> bool:
        """Tell whether this is the worker's own thread."""
        return self.is_running and self._ident == threading.get_ident()

    def _start(self) -> bool:
        if not self._starting.acquire(blocking=False):
            return True  # another thread is at it
        try:
            if self.is_running and self._pid == os.getpid():
                return True
            self._pid = os.getpid()
            # Made here, not earlier: a lock and a thread from before gevent's monkey
            # patching do not go with those from after it.
            self._bell = threading.Lock()
            self._bell.acquire()
            self.is_running = True
            threading.Thread(target=self._run, name="tellwhy-delivery", daemon=True).start()
            if self.when_started is not None:
                self.when_started()
            return True
        except RuntimeError as error:  # exhausted, or the interpreter is shutting down
            self.is_running = False
            diagnostics.debug(f"no thread for delivery: {error}", key="worker")
            return False
        finally:
            self._starting.release()

    def _run(self) -> None:
        self._ident = threading.get_ident()
        try:
            untraced(self._work)
        except Exception as error:
            diagnostics.fault("the delivery thread", error)
        finally:
            self.is_running = False
