# SPDX-License-Identifier: Apache-2.0
"""
Where do undelivered batches survive the process? A folder of small files.

One file is one OTLP request body: written under a temporary name, readable by
its owner alone, renamed when complete, checked by length and CRC when read. A
file belongs to whoever holds its lock, and the kernel releases the lock of a
process that dies, so several processes share a folder and no claim outlives
its holder. The folder belongs to one destination: credentials are not kept on
disk, the process that delivers a file uses its own.
"""

from __future__ import annotations

import os
from time import time, time_ns
from zlib import crc32

from tellwhy import diagnostics
from tellwhy.delivery.stats import SPOOL_CORRUPT, SPOOL_EXPIRED, SPOOL_FULL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

MAX_BYTES: Final = 64 * 1024 * 1024
MAX_AGE: Final = 24 * 3600.0  # seconds
SUFFIX, ASIDE, PARTIAL = ".otlp", ".corrupt", ".tmp"
_MAGIC: Final = b"tellwhy1"


class Entry:
    """One claimed file: its payload, and the lock that makes it ours."""

    __slots__ = ("content_type", "descriptor", "name", "payload", "spans")

    def __init__(self, name: str, descriptor: int, content_type: str, spans: int, payload: bytes) -> None:
        self.name = name
        self.descriptor = descriptor
        self.content_type = content_type
        self.spans = spans
        self.payload = payload


class Lost:
    """Files that the spool could not keep: the spans of this process by reason, those of others apart."""

    __slots__ = ("of_others", "ours")

    def __init__(self) -> None:
        self.ours: dict[str, int] = {}
        self.of_others = 0

    def count(self, reason: str, spans: int, *, ours: bool) -> None:
        """Note the spans of one file."""
        if ours:
            self.ours[reason] = self.ours.get(reason, 0) + spans
        else:
            self.of_others += spans


class Spool:
    """
    The folder.

    Args:

        folder: Created if it does not exist, for its owner alone.

        max_bytes: The most that all files take together; beyond it the oldest are removed.

        max_age: How long a file is kept, in seconds.

    Raises:
        OSError: If the folder cannot be created or written to.
    """

    def __init__(self, folder: str, *, max_bytes: int = MAX_BYTES, max_age: float = MAX_AGE) -> None:
        self.folder = folder
        self._max_bytes = max_bytes
        self._max_age = max_age
        self._mine: dict[str, int] = {}
        self._claimed: set[int] = set()
        self._lost = Lost()
        os.makedirs(folder, mode=0o700, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(f"{folder} is not writable")

    def write(self, payload: bytes, spans: int, content_type: str) -> None:
        """Keep one request body. Raises OSError if the disk does not take it."""
        head = b"%s %d %d %d %s\n" % (_MAGIC, len(payload), crc32(payload), spans, content_type.encode("ascii"))
        # The time first, so that names sort by age; span count and process for people who look.
        name = f"{time_ns():020d}-{os.getpid()}-{spans}{SUFFIX}"
        path = os.path.join(self.folder, name)
        descriptor = os.open(path + PARTIAL, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            with open(descriptor, "wb") as file:
                file.write(head)
                file.write(payload)
            os.rename(path + PARTIAL, path)
        except BaseException:
            _remove(path + PARTIAL)
            raise
        self._mine[name] = spans

    def claim(self) -> Entry | None:
        """Return the oldest file that nobody else holds, locked; None if there is none."""
        for name in self._names(SUFFIX):
            entry = self._open(name)
            if entry is not None:
                return entry
        return None

    def done(self, entry: Entry) -> bool:
        """Remove a delivered file and release it; tell whether this process had written it."""
        _remove(os.path.join(self.folder, entry.name))
        self.release(entry)
        return self._mine.pop(entry.name, None) is not None

    def release(self, entry: Entry) -> None:
        """Leave a file for later, for us or for another process."""
        self._claimed.discard(entry.descriptor)
        os.close(entry.descriptor)

    def losses(self) -> Lost:
        """Return what was lost since this was last asked."""
        lost, self._lost = self._lost, Lost()
        return lost

    def tidy(self) -> None:
        """Remove what is too old or too much, the oldest first."""
        files = list(self._sizes())
        total = sum(size for _, size, _ in files)
        oldest_allowed = time() - self._max_age
        for name, size, written in files:
            if written < oldest_allowed:
                self._discard(name, SPOOL_EXPIRED)
            elif total > self._max_bytes:
                self._discard(name, SPOOL_FULL)
            else:
                continue
            total -= size

    def after_fork_in_child(self) -> None:
        """Forget the parent's files and close the copies of its locks, which hold on to them."""
        self._mine.clear()
        for descriptor in self._claimed:
            try:
                os.close(descriptor)
            except OSError:
                continue
        self._claimed.clear()

    def _open(self, name: str) -> Entry | None:
        path = os.path.join(self.folder, name)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        except OSError:  # delivered by another process meanwhile, or another user's
            return None
        self._claimed.add(descriptor)
        if not _lock(descriptor) or not _is_still(path, descriptor):
            self._let_go(descriptor)
            return None
        entry = _read(name, descriptor)
        if entry is None:
            self._set_aside(name)
            self._let_go(descriptor)
        return entry

    def _let_go(self, descriptor: int) -> None:
        self._claimed.discard(descriptor)
        os.close(descriptor)

    def _set_aside(self, name: str) -> None:
        path = os.path.join(self.folder, name)
        try:
            os.rename(path, path + ASIDE)
        except OSError:
            return
        self._lost.count(SPOOL_CORRUPT, _spans_of(name), ours=self._mine.pop(name, None) is not None)
        diagnostics.warn(f"spool: {path} is damaged; set aside as {os.path.basename(path)}{ASIDE}")

    def _discard(self, name: str, reason: str) -> None:
        _remove(os.path.join(self.folder, name))
        self._lost.count(reason, _spans_of(name), ours=self._mine.pop(name, None) is not None)

    def _names(self, *suffixes: str) -> list[str]:
        try:
            return sorted(name for name in os.listdir(self.folder) if name.endswith(suffixes))
        except OSError:
            return []

    def _sizes(self) -> Iterator[tuple[str, int, float]]:
        for name in self._names(SUFFIX, SUFFIX + ASIDE, SUFFIX + PARTIAL):
            try:
                status = os.stat(os.path.join(self.folder, name))
            except OSError:
                continue
            yield name, status.st_size, status.st_mtime


def _lock(descriptor: int) -> bool:
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_still(path: str, descriptor: int) -> bool:
    """Tell whether the name still means the file that was locked: its last holder may have delivered it."""
    try:
        named = os.stat(path)
    except OSError:
        return False
    return os.path.samestat(named, os.fstat(descriptor))


def _read(name: str, descriptor: int) -> Entry | None:
    with open(descriptor, "rb", closefd=False) as file:
        head, separator, payload = file.read().partition(b"\n")
    words = head.split(b" ", 4)
    if not separator or len(words) != 5 or words[0] != _MAGIC:
        return None
    try:
        length, checksum, spans = (int(word) for word in words[1:4])
        content_type = words[4].decode("ascii")
    except ValueError:
        return None
    if length != len(payload) or checksum != crc32(payload):
        return None
    return Entry(name, descriptor, content_type, spans, payload)


def _spans_of(name: str) -> int:
    if not name.endswith(SUFFIX):
        return 0
    number = name[: -len(SUFFIX)].rpartition("-")[2]
    return int(number) if number.isdecimal() else 0


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return
