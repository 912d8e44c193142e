# SPDX-License-Identifier: Apache-2.0
"""
What happens at SIGTERM? Delivery gets its chance, and the process still dies of the signal.

Python's default is the kernel's: the process is gone at once, whatever its
main thread is doing. A handler written in Python is not like that. It runs
when the main thread comes to it, and if the signal arrives just before that
thread enters a wait, never: whoever then waits for the process waits for ever
(``Pool.terminate()`` does). So the handler here is not run by Python:

* Until the first span of the process, the kernel's default stays in force.
* With the first span, ``faulthandler`` puts its handler in place, which is C,
  takes no lock, and writes to a pipe. A thread of ours reads the pipe,
  delivers, puts the default back and sends the signal again.
* Python's own table of handlers names ours all the same. Frameworks that keep
  what they find there and restore it before they raise the signal again
  (uvicorn) then reach us.

Where anybody else has set a handler, or sets one later, theirs is in force
and ours is not. But many of those set theirs before the application, and with
it tracing, is loaded, and put the default back in the end to die of the signal
properly (uvicorn's workers; gunicorn's before they run uvicorn). So
``signal.signal`` is looked after: the default, set again, means ours again.
"""

from __future__ import annotations

import faulthandler
import os
import sys
from functools import wraps

from tellwhy.delivery.leaving import fork

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from types import FrameType
    from typing import Any
else:
    import _signal as signal  # the C module beneath: at start-up, `signal` itself would cost its enumerations

_SIGTERM = {signal.SIGTERM}


class Sigterm:
    """
    The way out by SIGTERM, while nobody else has a handler for it.

    Args:

        leave: What to do before the process dies; it keeps its own time limit.
    """

    def __init__(self, leave: Callable[[], None]) -> None:
        self._leave = leave
        self._handler = self._handle  # one object: what is installed must be recognised
        self._pipe: tuple[int, int] | None = None
        self._is_installed = False
        self._has_started = False
        self._mask: Any = None
        self._front: tuple[Any, Any] | None = None  # signal.signal: the original, and ours before it

    def install(self) -> None:
        """Put our name into Python's table, if the default stands there; the kernel's default stays in force."""
        self._is_installed = fork.is_told()  # uWSGI has signal handlers, too, that Python does not know of
        if not self._is_installed:
            return
        self._look_after_the_table()
        if self._pipe is None and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            self._put_name()

    def uninstall(self) -> None:
        """Put the default back, if ours is in force."""
        self._is_installed = False
        self._leave_the_table()
        self.disarm()
        if signal.getsignal(signal.SIGTERM) is self._handler:
            try:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
            except ValueError:  # not the main thread; the kernel has the default anyway
                return

    def arm(self) -> None:
        """There is something to deliver now: from here on the signal comes to us. From any thread."""
        self._has_started = True
        if self._is_installed:
            self._look_after_the_table()  # again: `signal` may have been loaded since
        if not self._is_installed or self._pipe is not None or not self._is_ours():
            return
        if _is_gevent_in_charge():  # no native threads, but a loop that looks for signals all the time
            self._take_python_handler()
            return
        with fork.importing():  # of another thread's fork, which would cut the import in two
            import threading

            import tellwhy.delivery.otlp.readable  # noqa: F401  # here, not on our thread, which a fork always cuts off
        os.set_blocking((pipe := os.pipe())[1], False)
        self._pipe = pipe
        try:
            threading.Thread(target=self._watch, args=(pipe,), name="tellwhy-sigterm", daemon=True).start()
        except RuntimeError:  # no thread to be had: the default is all there is
            self._close()
            return
        faulthandler.register(signal.SIGTERM, file=pipe[1], all_threads=False)

    def disarm(self) -> None:
        """Let the default be in force again; a signal that has come in the meantime still takes effect."""
        self._has_started = False
        pipe = self._pipe
        if pipe is None:
            return
        if self._is_ours():
            faulthandler.unregister(signal.SIGTERM)
            if _readable(pipe[0], 0):
                os.kill(os.getpid(), signal.SIGTERM)
        self._pipe = None
        os.write(pipe[1], b"\0")  # ends the thread, which closes the pipe

    def before_fork(self) -> None:
        """Hold the signal back: until the child has disarmed, its SIGTERM would be written into our pipe."""
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGTERM) if self._pipe else None

    def after_fork_in_parent(self) -> None:
        """Let it through again."""
        if self._mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
            self._mask = None

    def after_fork_in_child(self) -> None:
        """Start over: the default is in force until this child's first span."""
        self._has_started = False
        if self._pipe is not None:
            if self._is_ours():
                faulthandler.unregister(signal.SIGTERM)
            self._close()
        if signal.getsignal(signal.SIGTERM) is self._handler:
            self._put_name()
        self.after_fork_in_parent()

    def _watch(self, pipe: tuple[int, int]) -> None:
        """Wait, on a thread of our own, for the signal. What it writes stays in the pipe: others look there too."""
        _readable(pipe[0], None)
        if self._pipe is not pipe:  # disarmed
            os.close(pipe[0])
            os.close(pipe[1])
            return
        try:
            self._leave()
        finally:
            self._pipe = None
            faulthandler.unregister(signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)
            # Still here: the first process of a container, which the default does not kill.
            self.arm()

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        """Leave on the main thread: for those who have put our handler back, and for gevent."""
        if signal.getsignal(number) is not self._handler:
            return  # called by a handler that has replaced ours, as it would not have called the default
        try:
            self._leave()
        finally:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
            self._take_python_handler()

    def _put_name(self) -> None:
        """Let Python's table name ours, while the kernel's default is in force."""
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGTERM)
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            faulthandler.register(signal.SIGTERM, file=2)  # notes what is in force: the default
            signal.signal(signal.SIGTERM, self._handler)
        except ValueError:  # only the main thread may write to the table
            pass
        finally:
            faulthandler.unregister(signal.SIGTERM)  # puts that back
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    def _look_after_the_table(self) -> None:
        """Notice when somebody puts the default back, if the program has loaded what it takes for that."""
        module: Any = sys.modules.get("signal")
        original = getattr(module, "signal", None)
        if original is None or self._front is not None:
            return

        @wraps(original)
        def front(signalnum: Any, handler: Any) -> Any:
            before = original(signalnum, handler)
            if signalnum == signal.SIGTERM and self._is_installed:
                self._table_has_changed()
            return before

        self._front = (original, front)
        module.signal = front

    def _leave_the_table(self) -> None:
        module: Any = sys.modules.get("signal")
        if self._front is not None and module.signal is self._front[1]:
            module.signal = self._front[0]
            self._front = None

    def _table_has_changed(self) -> None:
        if signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
            return
        if self._has_started:
            # Run by Python, on the main thread: whoever does this usually raises the signal
            # next, and must not get any further.
            self._take_python_handler()
        else:
            self._put_name()

    def _is_ours(self) -> bool:
        return signal.getsignal(signal.SIGTERM) in (signal.SIG_DFL, self._handler)

    def _take_python_handler(self) -> None:
        try:
            signal.signal(signal.SIGTERM, self._handler)
        except ValueError:  # not the main thread
            return

    def _close(self) -> None:
        pipe, self._pipe = self._pipe, None
        for descriptor in pipe or ():
            os.close(descriptor)


def _readable(descriptor: int, timeout: float | None) -> bool:
    from tellwhy.delivery.otlp.readable import is_readable  # not at start-up; imported when we are armed

    return is_readable(descriptor, timeout)


def _is_gevent_in_charge() -> bool:
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))
