# SPDX-License-Identifier: Apache-2.0
"""What became of each instrumentation: for the doctor, and for whoever asks why nothing is traced."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    State = Literal["waiting", "instrumented", "skipped"]


class Record:
    """One instrumentation: its name, state, and the reason if it was skipped."""

    __slots__ = ("name", "reason", "state")

    def __init__(self, name: str, state: State, reason: str = "") -> None:
        self.name = name
        self.state = state
        self.reason = reason

    def __repr__(self) -> str:
        return f"Record({self.name!r}, {self.state!r}, {self.reason!r})"


_records: dict[str, Record] = {}


def put(name: str, state: State, reason: str = "") -> None:
    """Note what became of an instrumentation."""
    _records[name] = Record(name, state, reason)


def all_records() -> tuple[Record, ...]:
    """Return what became of every instrumentation that was looked at, by name."""
    return tuple(_records[name] for name in sorted(_records))


def clear() -> None:
    """Forget everything; when instrumentations are taken away again."""
    _records.clear()
