# SPDX-License-Identifier: Apache-2.0
"""
What do the processes of one service have in common? A folder in which each leaves what it has counted.

One of them owns the port and adds everything up when it is scraped. A process
that lives holds a lock on its own file, so the system itself says who is dead,
however it died; what the dead have counted is folded into one file and stays.
When nobody of an earlier run is left, a new run starts from nothing: each
process stands by with a lock of its own from the moment that tracing is set up.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
import time

from tellwhy.metrics import openmetrics

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from tellwhy.metrics.openmetrics import Family

_DEAD: Final = "dead.json"
_ALIVE, _STATE, _UNFINISHED = ".alive", ".json", ".unfinished"


_ANCHOR: Final = ".anchor"
_held: dict[str, Commons] = {}


def hold(host: str, port: int, service: str) -> Commons:
    """
    Return what the processes of a service have in common, from as early on as this process knows that it is one.

    A server's master never counts anything; but while it lives, what its workers
    have counted is kept, though all of them may be dead at a time.

    Raises:

        OSError: The folder cannot be made, or is somebody else's.
    """
    name = f"{host}\n{port}\n{service}"
    if name not in _held:
        _held[name] = Commons(name)
    return _held[name]


class Commons:
    """
    The folder, and this process's place in it.

    Args:

        name: What the processes share.
    """

    def __init__(self, name: str) -> None:
        digest = hashlib.sha256(name.encode()).hexdigest()[:16]
        parent = os.path.join(tempfile.gettempdir(), f"tellwhy-{os.getuid()}")
        self.folder = os.path.join(parent, f"metrics-{digest}")
        for folder in (parent, self.folder):
            os.makedirs(folder, mode=0o700, exist_ok=True)
            found = os.lstat(folder)
            if found.st_uid != os.getuid() or found.st_mode & 0o40077 != 0o40000:
                raise PermissionError(f"{folder} is not this user's own folder")
        self._me = ""
        self._file = -1
        self._anchor = self._drop_anchor()

    def _drop_anchor(self) -> int:
        """Sweep the folder if nobody lives in it; stay in it from here on, and with this process all that it forks."""
        with self._locked():
            if not any(map(self._is_held, self._names(_ANCHOR))):
                for name in os.listdir(self.folder):
                    if name.endswith((_ALIVE, _STATE, _ANCHOR, _UNFINISHED)):
                        self._remove(name)
            return self._hold(f"{os.getpid()}-{time.time_ns()}{_ANCHOR}")

    def join(self) -> None:
        """Take a place of one's own."""
        with self._locked():
            self._me = f"{os.getpid()}-{time.time_ns()}"
            self._file = self._hold(self._me + _ALIVE)

    def after_fork_in_child(self) -> None:
        """Let go of the parent's place; ``join()`` takes another."""
        if self._file >= 0:
            os.close(self._file)  # the parent holds it still: the lock is on the open file, which both have
            self._file = -1

    def write(self, families: list[Family]) -> None:
        """Leave what this process has counted."""
        self._write(self._me + _STATE, families)

    def others(self) -> list[tuple[bool, list[Family]]]:
        """Return what the others have counted, and whether they are alive; the dead are folded."""
        with self._locked():
            living: list[str] = []
            dead: list[str] = []
            for member in self._members():
                if member != self._me:
                    (living if self._is_alive(member) else dead).append(member)
            folded = self._fold(dead)
        found = [(True, state) for member in living if (state := self._read(member + _STATE)) is not None]
        return [*found, (False, folded)]

    def has_company(self) -> bool:
        """Tell whether another process of the service is alive."""
        with self._locked():
            return any(member != self._me and self._is_alive(member) for member in self._members())

    def _fold(self, dead: list[str]) -> list[Family]:
        """Add what the dead have counted to what is there of the dead, once."""
        kept: dict[str, Any] = self._read(_DEAD) or {"members": [], "families": []}
        new = [member for member in dead if member not in kept["members"]]
        if new:
            states = [state for member in new if (state := self._read(member + _STATE)) is not None]
            families = openmetrics.add((False, state) for state in [kept["families"], *states])
            # The names stay until the files are gone: whoever dies in between leaves nothing to count twice.
            kept = {"members": dead, "families": families}
            self._write(_DEAD, kept)
        for member in dead:
            self._remove(member + _STATE)
            self._remove(member + _ALIVE)
        families_of_the_dead: list[Family] = kept["families"]
        return families_of_the_dead

    def _members(self) -> list[str]:
        return [name.removesuffix(_ALIVE) for name in self._names(_ALIVE)]

    def _names(self, suffix: str) -> list[str]:
        return sorted(name for name in os.listdir(self.folder) if name.endswith(suffix))

    def _is_alive(self, member: str) -> bool:
        return (member == self._me and self._file >= 0) or self._is_held(member + _ALIVE)

    def _hold(self, name: str) -> int:
        """Hold a file until this process, and every process that it forks meanwhile, has ended or let go."""
        file = os.open(self._path(name), os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        return file

    def _is_held(self, name: str) -> bool:
        try:
            file = os.open(self._path(name), os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        else:
            return False
        finally:
            os.close(file)

    def _locked(self) -> _Lock:
        return _Lock(self._path("lock"))

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def _read(self, name: str) -> Any:
        try:
            with open(self._path(name), encoding="utf-8") as file:
                return json.load(file)
        except (OSError, ValueError):
            return None

    def _write(self, name: str, content: Any) -> None:
        unfinished = self._path(f"{name}.{os.getpid()}{_UNFINISHED}")
        with open(unfinished, "w", encoding="utf-8") as file:
            json.dump(content, file)
        os.replace(unfinished, self._path(name))

    def _remove(self, name: str) -> None:
        try:
            os.unlink(self._path(name))
        except FileNotFoundError:
            return


class _Lock:
    """One process at a time does what others must not see half done."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        self._file = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self._file)
