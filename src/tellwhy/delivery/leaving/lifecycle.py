# SPDX-License-Identifier: Apache-2.0
"""
How does a traced process end? One story, one deadline, for all signals together.

Normal exit, ``sys.exit``, an unhandled exception and Ctrl-C arrive at
``atexit``; SIGTERM and the children of multiprocessing have their own doors.
Behind each: open spans are ended and marked, everyone delivers within the
budget, one line says what was lost.
"""

from __future__ import annotations

import atexit
import os
import sys
from _thread import RLock
from time import monotonic

# All that leaving needs, now: a signal may arrive in the middle of an import,
# and its handler would find half a module.
from tellwhy import diagnostics
from tellwhy.delivery.leaving import fork
from tellwhy.delivery.leaving.budget import Budget
from tellwhy.delivery.leaving.children import ChildExit
from tellwhy.delivery.leaving.open_spans import end_all, find
from tellwhy.delivery.leaving.sigterm import Sigterm
from tellwhy.delivery.signal import TRACES
from tellwhy.delivery.stats import empty, exit_line, lost, total

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Final, Protocol

    from tellwhy.delivery.signal import Signal
    from tellwhy.delivery.stats import Snapshot

    class Member(Protocol):
        """Who takes part in the exit; every ``Outbox`` does."""

        signal: Signal

        def force_flush(self, timeout_millis: float | None = None) -> bool:
            """Deliver what is there, within the time."""
            ...

        def leave(self, budget: Budget) -> None:
            """Deliver what can be delivered within the budget."""

        def stats(self) -> Snapshot:
            """Return what became of everything so far."""
            ...

        has_said_why: bool
        when_started: Callable[[], None] | None


DEFAULT_BUDGET: Final = 2000  # milliseconds
_LONGEST_REPORT: Final = 0.5  # seconds that one thread waits for another to say what was lost


class Lifecycle:
    """
    The beginning and end of delivery in this process and its forked children.

    Args:

        budget_ms: The most that exit may be delayed, in milliseconds.

        open_spans: Returns the spans that have not ended; by default the
            garbage collector is asked.
    """

    def __init__(
        self, budget_ms: float = DEFAULT_BUDGET, *, open_spans: Callable[[], Iterable[Any]] | None = None
    ) -> None:
        self._budget_ms = budget_ms
        self._open_spans = find if open_spans is None else open_spans
        self._members: list[Member] = []
        self._sigterm = Sigterm(self._on_sigterm)
        self._child_exit = ChildExit(self.leave)
        self._is_installed = False
        self._begin()

    def _begin(self) -> None:
        self._budget = Budget(self._budget_ms / 1000)
        self._reported: dict[Signal, int] = {}
        self._reporting = RLock()

    def add(self, member: Member) -> Callable[[], None]:
        """Let somebody take part; returns what ends that."""
        self._members.append(member)
        member.when_started = self.has_started

        def forget() -> None:
            if member in self._members:
                self._members.remove(member)

        return forget

    def add_provider(self, provider: Any) -> Callable[[], None]:
        """Let a meter or logger provider of the SDK take part, which keeps no time limit by itself."""
        return self.add(_Provider(provider))

    def on_fork_child(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Call back in every forked child, once delivery has started afresh there; returns what ends that."""
        return fork.on_child(callback)

    def install(self) -> None:
        """Stand at every door through which the process may leave. Idempotent."""
        if not self._is_installed:
            self._is_installed = True
            atexit.register(self._at_exit)
            fork.register(self)
            self._forget_guard = fork.guard(self._sigterm)
        self._child_exit.install()
        self._sigterm.install()  # again: someone may have put the default back

    def has_started(self) -> None:
        """Say that there is something to deliver in this process now; processors do, with their first span."""
        self._sigterm.arm()

    def uninstall(self) -> None:
        """Leave every door as it was found. Idempotent."""
        if self._is_installed:
            self._is_installed = False
            atexit.unregister(self._at_exit)
            self._forget_guard()
        self._sigterm.uninstall()
        self._child_exit.uninstall()

    def flush(self, timeout_seconds: float) -> bool:
        """Deliver what has ended so far; True only if the receivers have taken all of it in time."""
        deadline = monotonic() + timeout_seconds
        late, flushed = [], True
        for position, member in enumerate(self._members):
            # A fair share for each, as at the exit; whoever needs longer gets what the others have left.
            share = max(0.0, deadline - monotonic()) / (len(self._members) - position)
            started = monotonic()
            if not member.force_flush(timeout_millis=share * 1000):
                late += [member] if monotonic() - started >= share else []
                flushed = flushed and member in late
        for member in late:
            left = max(0.0, deadline - monotonic())
            flushed = bool(member.force_flush(timeout_millis=left * 1000)) and flushed
        return flushed

    def cut(self, timeout_seconds: float) -> bool:
        """End what is open, mark it, and flush: for who knows that the process is about to be stopped."""
        self._end_open_spans()
        return self.flush(timeout_seconds)

    def stats(self) -> Snapshot:
        """Return what became of the spans of all members together; other signals, if any, stand under their names."""
        whole = total(self._stats_of(TRACES))
        for signal in self._signals():
            if signal is not TRACES:
                whole[signal.name] = total(self._stats_of(signal))
        return whole

    def _signals(self) -> list[Signal]:
        return list(dict.fromkeys(member.signal for member in self._members))

    def _stats_of(self, signal: Signal) -> Iterable[Snapshot]:
        return (member.stats() for member in self._members if member.signal is signal)

    def leave(self) -> None:
        """Deliver what can be delivered within the budget, and say what was lost. May be called again."""
        try:
            self._leave()
        except KeyboardInterrupt:  # Ctrl-C once more: whoever leaves is in a hurry, so nobody gets any more time
            self._budget = Budget(0.0)
            self._leave()
        except Exception as error:
            diagnostics.fault("the exit", error)

    def after_fork_in_child(self) -> None:
        """Start afresh: the child has a budget of its own."""
        self._begin()
        self._child_exit.after_fork_in_child()

    def _leave(self) -> None:
        with self._budget:
            self._end_open_spans()
            for position, member in enumerate(self._members):
                # A fair share for each: one that hangs must not eat the others' time.
                member.leave(Budget(self._budget.remaining() / (len(self._members) - position), self._budget))
        self._report()

    def _at_exit(self) -> None:
        self.leave()
        self._sigterm.disarm()
        if getattr(sys, "last_type", None) is KeyboardInterrupt:
            _remember_interrupt()

    def _on_sigterm(self) -> None:
        if os.getpid() == 1:  # the default does not kill the first process of a container: it goes on
            self.flush(self._budget.remaining())
        else:
            self.leave()

    def _end_open_spans(self) -> None:
        end_all(self._open_spans)

    def _report(self) -> None:
        # Whoever leaves beside us may end the process next, and takes it for said.
        held = self._reporting.acquire(timeout=_LONGEST_REPORT)
        try:
            self._report_losses()
        finally:
            if held:
                self._reporting.release()

    def _report_losses(self) -> None:
        """Say for each signal what was lost; where the receiver does not know the signal, all has been said."""
        for signal in self._signals():
            if all(getattr(member, "is_absent", False) for member in self._members if member.signal is signal):
                continue
            stats = total(self._stats_of(signal))
            dropped = lost(stats)
            if dropped <= self._reported.get(signal, 0):
                continue
            self._reported[signal] = dropped
            said = any(member.has_said_why for member in self._members if member.signal is signal)
            line = exit_line(stats, explain=not said, noun=signal.noun)
            if line:
                diagnostics.note(line)


def _remember_interrupt() -> None:
    """
    See to it that a program that ended by Ctrl-C still dies of SIGINT.

    CPython notes that the main program was left by a KeyboardInterrupt, and
    forgets it when anything is compiled from text meanwhile: a named tuple in
    a module that is imported at exit is enough. This makes the same note again.
    """
    try:
        exec("raise KeyboardInterrupt")  # noqa: S102  # our own three words
    except KeyboardInterrupt:
        return


class _Provider:
    """
    A provider of the SDK, made to keep the deadline.

    Its shutdown may block for half a minute, so a thread waits for it in our
    place. Python 3.12, and it alone, starts no thread at interpreter exit:
    there the thread is started in advance, and sleeps until it is needed.
    """

    signal = TRACES  # of which it has none
    has_said_why = False
    when_started: Callable[[], None] | None = None

    def __init__(self, provider: Any) -> None:
        self._provider = provider
        self._pid = 0
        if sys.version_info[:2] == (3, 12):
            self._start()
        fork.register(self)

    def force_flush(self, timeout_millis: float | None = None) -> bool:
        """Flush; a provider without that has nothing to flush."""
        flush = getattr(self._provider, "force_flush", None)
        return True if flush is None else flush(timeout_millis=timeout_millis) is not False

    def leave(self, budget: Budget) -> None:
        """Shut the provider down, for as long as the budget lasts."""
        if self._pid != os.getpid():
            self._start()
        if self._go.locked():
            self._go.release()
        with budget:
            self._done.acquire(timeout=budget.remaining())

    def stats(self) -> Snapshot:
        """Return nothing: these are no spans."""
        return empty()

    def after_fork_in_child(self) -> None:
        """Forget the parent's thread; the child's is started when it leaves."""
        self._pid = 0

    def _start(self) -> None:
        import threading

        self._pid = os.getpid()
        self._go, self._done = threading.Lock(), threading.Lock()
        self._go.acquire()
        self._done.acquire()
        try:
            threading.Thread(target=self._shut_down, name="tellwhy-shutdown", daemon=True).start()
        except RuntimeError:  # at interpreter exit, in a forked child: too late for a thread of our own
            self._done.release()

    def _shut_down(self) -> None:
        self._go.acquire()
        try:
            self._provider.shutdown()
        except Exception as error:
            diagnostics.fault("the shutdown of a provider", error)
        finally:
            self._done.release()
