# SPDX-License-Identifier: Apache-2.0
"""
The one voice of tellwhy: short lines on stderr, never through the program's own loggers.

What is said: one start line, changes of state ("export failing", "recovered"),
problems of configuration, faults of our own and losses. Each line is one write,
starts with ``tellwhy: `` and is said once per key, so that no fault can flood a
terminal. ``TELLWHY_DIAGNOSTICS`` sets how much: ``quiet`` says nothing,
``normal`` (the default) what a user must know, ``debug`` everything.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final, Literal, TextIO

    Level = Literal["quiet", "normal", "debug"]

LEVELS: Final = {"quiet": 0, "normal": 1, "debug": 2}
_MAX_KEYS: Final = 1000  # a bound on memory: beyond it, lines with new keys are counted, not said


class _Voice:
    """What the lines go through; one per process, replaced only by tests."""

    __slots__ = ("level", "said", "stream", "unsaid")

    def __init__(self) -> None:
        self.level = 1
        self.stream: TextIO | None = None
        self.said: set[str] = set()
        self.unsaid = 0


_voice = _Voice()


mask: Callable[[str], str] | None = None
"""Takes the secrets out of what is said: somebody may paste it into an issue. The setup puts it here."""

_SIGNS = frozenset("=@?'\"")  # a line without any of them, as the start line mostly is, holds no secret


def configure(level: Level = "normal", stream: TextIO | None = None) -> None:
    """
    Set how much is said, and where.

    Args:

        level: ``quiet``, ``normal`` or ``debug``.

        stream: A text stream in place of the process's original stderr; for tests.
    """
    _voice.level = LEVELS[level]
    _voice.stream = stream


def reset() -> None:
    """Forget what was said and return to ``normal`` on stderr; for tests and forked children."""
    _voice.__init__()  # type: ignore[misc]


def note(message: str, *, key: str | None = None) -> None:
    """Say what a user must know: the start line, a change of state. With a key, only once."""
    _say(message, key, 1)


def warn(message: str, *, key: str | None = None) -> None:
    """Say what is wrong and what happens now. The same message (or key) is said only once."""
    _say(message, key or message, 1)


def debug(message: str, *, key: str | None = None) -> None:
    """Say what helps to find out why, under ``TELLWHY_DIAGNOSTICS=debug`` only."""
    _say(message, key, 2)


def fault(where: str, error: BaseException) -> None:
    """Say that tellwhy itself failed somewhere: once per place, and the program goes on."""
    _say(
        f"internal fault in {where}: {type(error).__name__}: {_text(error)}; "
        "your program is running fine, with less telemetry",
        f"fault:{where}",
        1,
    )
    if _voice.level >= LEVELS["debug"]:
        import traceback

        debug("".join(traceback.format_exception(type(error), error, error.__traceback__)).rstrip())


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # an exception whose __str__ raises is still an exception
        return "<unprintable>"


def _say(message: str, key: str | None, level: int) -> None:
    if _voice.level < level:
        return
    if key is not None:
        if key in _voice.said:
            return
        if len(_voice.said) >= _MAX_KEYS:
            _voice.unsaid += 1
            return
        _voice.said.add(key)
    stream = _voice.stream or sys.__stderr__
    if stream is None:
        return
    try:
        if mask is not None and not _SIGNS.isdisjoint(message):
            message = mask(message)
        stream.write("".join(f"tellwhy: {line}\n" for line in message.splitlines()))
        stream.flush()
    except Exception:
        # A closed or broken stderr is the program's choice; there is nobody left to tell.
        return
