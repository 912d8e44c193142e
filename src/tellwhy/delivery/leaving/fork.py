# SPDX-License-Identifier: Apache-2.0
"""
What must happen when the process forks?

A child has the parent's memory but none of its threads: the queue it sees is
the parent's, the worker is gone, locks may be held by nobody, and the
connection's other end answers the parent. Members are told in the child;
nothing is done in the parent but waiting for a half-finished import.
"""

from __future__ import annotations

import os
import sys
import weakref
from _thread import RLock, allocate_lock

from tellwhy import diagnostics

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final, Protocol

    class Member(Protocol):
        """Whoever must be told in a forked child."""

        def after_fork_in_child(self) -> None:
            """Start afresh."""

    class Guard(Member, Protocol):
        """Whoever has something to hold on to during a fork, and is told first in the child."""

        def before_fork(self) -> None:
            """Hold."""

        def after_fork_in_parent(self) -> None:
            """Let go."""


# An import that a fork cuts in two leaves the child a module lock that nobody
# will release; the longest that the parent waits for the import to end.
_LONGEST_IMPORT: Final = 5.0


class _Forks:
    """The process's one registration with ``os.register_at_fork``, which knows no way back."""

    def __init__(self) -> None:
        self.members: list[weakref.ref[Member]] = []
        self.callbacks: list[Callable[[], object]] = []
        self.importing = RLock()
        self.registering = allocate_lock()
        self.registered = False
        self.guards: list[Guard] = []
        self.inherited: set[int] = set()
        self.born = 0
        self.pid = os.getpid()

    def watch(self) -> None:
        """Register with the interpreter, once."""
        with self.registering:
            if self.registered or not hasattr(os, "register_at_fork"):
                return
            self.registered = True
            os.register_at_fork(before=self._before, after_in_parent=self._in_parent, after_in_child=self._in_child)

    def _before(self) -> None:
        for guard in self.guards:
            guard.before_fork()
        self._held = self.importing.acquire(timeout=_LONGEST_IMPORT)

    def _in_parent(self) -> None:
        if self._held:
            self.importing.release()
        for guard in self.guards:
            guard.after_fork_in_parent()

    def _in_child(self) -> None:
        from time import time_ns

        self.pid = os.getpid()
        for guard in self.guards:
            guard.after_fork_in_child()
        self.importing = RLock()
        self.registering = allocate_lock()
        self.born = time_ns()
        self.inherited = _open_in_parent()
        for member in [alive for reference in self.members if (alive := reference())]:
            try:
                member.after_fork_in_child()
            except Exception as error:
                diagnostics.fault("a forked child", error)
        for callback in self.callbacks:
            try:
                callback()
            except Exception as error:
                diagnostics.fault("a forked child", error)


_forks = _Forks()


def register(member: Member) -> None:
    """Tell the member in every forked child, for as long as it lives."""
    _forks.watch()
    _forks.members = [reference for reference in _forks.members if reference() is not None]
    _forks.members.append(weakref.ref(member))


def guard(holder: Guard) -> Callable[[], None]:
    """Ask the holder before every fork and tell it after; returns what ends that."""
    _forks.watch()
    _forks.guards.append(holder)

    def forget() -> None:
        if holder in _forks.guards:
            _forks.guards.remove(holder)

    return forget


def on_child(callback: Callable[[], object]) -> Callable[[], None]:
    """Call back in every forked child, after the members; return what ends that."""
    _forks.watch()
    _forks.callbacks.append(callback)

    def forget() -> None:
        if callback in _forks.callbacks:
            _forks.callbacks.remove(callback)

    return forget


def is_told() -> bool:
    """Tell whether forks reach us: uWSGI forks its workers without a word to Python."""
    return "uwsgi" not in sys.modules


def catch_up() -> bool:
    """Do what a fork that did not reach us left undone; tell whether there was one."""
    if os.getpid() == _forks.pid:
        return False
    _forks._in_child()
    return True


def importing() -> RLock:
    """Return the lock to hold while modules are imported on a thread that a fork would cut off."""
    return _forks.importing


def inherited() -> set[int]:
    """
    Return the ids of spans that were open in the parent when this process was forked.

    They are the parent's to deliver. Only the current span and its parent are
    known at the fork; whoever meets one of them adds that one's parent.
    """
    return _forks.inherited


def born() -> int:
    """Return when this process was forked, in nanoseconds since the epoch; 0 if it was not."""
    return _forks.born


def _open_in_parent() -> set[int]:
    api = sys.modules.get("opentelemetry.trace")
    if api is None:
        return set()
    try:
        span = api.get_current_span()
        context = span.get_span_context()
        if not context.is_valid or context.is_remote or not span.is_recording():
            return set()
        ids = {context.span_id}
        parent = getattr(span, "parent", None)
        if parent is not None and not parent.is_remote:
            ids.add(parent.span_id)
        return ids
    except Exception as error:  # a foreign span class
        diagnostics.fault("a forked child", error)
        return set()
