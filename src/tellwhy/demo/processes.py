# SPDX-License-Identifier: Apache-2.0
"""
How are child processes started so that none is left behind? Each in a group of its own, known to the guard.

The children get a clean environment: what is set for the user's own programs, OpenTelemetry's variables
above all, is not meant for the demo's.
"""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tellwhy.demo import guard
from tellwhy.viewer.text import clean

# What would change where the children send spans, which database they talk to, or how they start.
_FOREIGN = ("OTEL_", "TELLWHY_", "PG", "FLASK_", "WERKZEUG_")
_PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy", "no_proxy"})
_PREFIX = "tellwhy-demo-"
_LOG_TAIL = 12  # lines


class DemoError(Exception):
    """The demo cannot go on; the message is for its user."""


@dataclass(frozen=True, slots=True)
class User:
    """Who a child runs as."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True, eq=False)
class Child:
    """A process that was started: its name, its handle, and the file with all that it says."""

    name: str
    process: subprocess.Popen[bytes]
    log: str
    stop_signal: signal.Signals

    def tail(self) -> str:
        """Return the last lines that it has said, indented and fit for a terminal."""
        with open(self.log, errors="replace") as file:
            return "\n".join(f"    {clean(line)}" for line in file.readlines()[-_LOG_TAIL:])

    def end(self, deadline: float) -> None:
        """Wait until it has ended, up to a moment of the monotonic clock; then kill it."""
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            guard.signal_groups([self.process.pid], signal.SIGKILL)
            self.process.wait()


class Processes:
    """
    The demo's children and their directory; a context manager that leaves nothing of either.

    Whatever happens to the demo itself, its guard does the same in its place.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._children: list[Child] = []
        self._closed = False
        self.directory = _make_directory()
        try:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", guard.__file__, self.directory],
                stdin=subprocess.PIPE,
                start_new_session=True,
            )
        except BaseException as error:  # also an interrupt at this very moment
            shutil.rmtree(self.directory, ignore_errors=True)
            if isinstance(error, OSError):
                raise DemoError(f"{sys.executable} cannot be started: {error.strerror}") from error
            raise

    @property
    def is_ending(self) -> bool:
        """Whether the demo is on its way out: nothing can be started any more."""
        return self._closed

    def start(
        self,
        name: str,
        command: Sequence[str],
        environ: Mapping[str, str],
        *,
        user: User | None = None,
        keep_fds: Sequence[int] = (),
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> Child:
        """
        Start a process.

        Args:

            name: What the demo's user knows it by.

            command: The program and its arguments.

            environ: Its whole environment.

            user: Who it runs as; by default the demo's own user.

            keep_fds: The descriptors it inherits.

            stop_signal: What asks it to end.

        Raises:

            DemoError: if it cannot be started, or the demo is ending.
        """
        path = os.path.join(self.directory, f"{name}.log")
        with self._lock:
            if self._closed:
                raise DemoError(f"{name} was not started: the demo is ending")
            try:
                with open(path, "ab", opener=_private) as log:
                    process = subprocess.Popen(
                        command,
                        env=dict(environ),
                        cwd=self.directory,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                        pass_fds=keep_fds,
                        user=None if user is None else user.uid,
                        group=None if user is None else user.gid,
                        extra_groups=None if user is None else [],
                    )
            except (OSError, subprocess.SubprocessError) as error:
                raise DemoError(f"{name} cannot be started: {error}") from error
            child = Child(name, process, path, stop_signal)
            self._children.append(child)
            self._tell_guard(f"+{process.pid}")
        return child

    def run(self, name: str, command: Sequence[str], environ: Mapping[str, str], *, user: User | None = None) -> None:
        """
        Run a program to its end.

        Raises:

            DemoError: if it cannot be started or fails; with what it said last.
        """
        child = self.start(name, command, environ, user=user)
        status = child.process.wait()
        self._forget(child)
        if status:
            raise DemoError(f"{name} failed with status {status}:\n{child.tail()}")

    def ended(self) -> Child | None:
        """Return a child that has ended, if there is one: while the demo runs, none should."""
        with self._lock:
            return next((child for child in self._children if child.process.poll() is not None), None)

    def stop(self, child: Child) -> None:
        """End one child."""
        self._end([child])
        self._forget(child)

    def end(self) -> None:
        """End all children, and start no more."""
        with self._lock:
            self._closed = True
            children = list(self._children)  # a thread may still be in run()
        self._end(children)

    def close(self) -> None:
        """End all children and remove the directory, which nobody may be using any more. Idempotent."""
        self.end()
        if self._guard.stdin is not None:
            self._guard.stdin.close()
        self._guard.wait()
        shutil.rmtree(self.directory, ignore_errors=True)  # should somebody have killed the guard

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _end(self, children: Sequence[Child]) -> None:
        deadline = time.monotonic() + guard.GRACE
        for child in children:
            if child.process.poll() is None:
                guard.signal_groups([child.process.pid], child.stop_signal)
        for child in children:
            child.end(deadline)

    def _forget(self, child: Child) -> None:
        with self._lock:
            if child in self._children:
                self._children.remove(child)
            self._tell_guard(f"-{child.process.pid}")

    def _tell_guard(self, line: str) -> None:
        if self._guard.stdin is None or self._guard.stdin.closed:
            return
        try:
            self._guard.stdin.write(f"{line}\n".encode())
            self._guard.stdin.flush()
        except BrokenPipeError:  # somebody killed it; close() ends the children all the same
            return


def clean_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment for children: the user's own, without what would lead them elsewhere."""
    kept = {
        name: value for name, value in environ.items() if not name.startswith(_FOREIGN) and name.lower() not in _PROXIES
    }
    if "PYTHONPATH" in kept:  # children run in another directory
        kept["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, kept["PYTHONPATH"].split(os.pathsep)))
    return kept


def is_open_to_others(path: str) -> bool:
    """Tell whether any user can get to what is below a directory."""
    while os.stat(path).st_mode & stat.S_IXOTH:
        above = os.path.dirname(path)
        if above == path:
            return True
        path = above
    return False


def _make_directory() -> str:
    """Make a temporary directory; root's PostgreSQL runs as another user, who has to get there."""
    if os.geteuid() != 0:
        return tempfile.mkdtemp(prefix=_PREFIX)
    usual = tempfile.gettempdir()
    home = usual if is_open_to_others(usual) else "/tmp"  # noqa: S108  # mkdtemp is safe there
    directory = tempfile.mkdtemp(prefix=_PREFIX, dir=home)
    os.chmod(directory, 0o711)  # noqa: S103  # they can pass through, not list it
    return directory


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
