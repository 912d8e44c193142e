# SPDX-License-Identifier: Apache-2.0
"""How does a user see that something is happening? A live line on a terminal, plain lines everywhere else."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TextIO

from tellwhy.viewer.style import DIM, GREEN, UNICODE, Style
from tellwhy.viewer.text import clean

_TICK: Final = 0.1  # seconds
_WHEEL: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_PLAIN_WHEEL: Final = "|/-\\"


class Progress:
    """
    What is being started, shown while it is; a context manager around the time in which it is.

    Args:

        stream: Where to show it.

        style: What that can show.
    """

    def __init__(self, stream: TextIO, style: Style) -> None:
        self._stream = stream
        self._style = style
        self._lock = threading.Lock()
        self._started_at = time.monotonic()
        self._waiting: list[str] = []
        self._finished = threading.Event()
        self._painter = threading.Thread(target=self._paint, name="progress", daemon=True)

    @contextmanager
    def step(self, name: str) -> Iterator[list[str]]:
        """Show a step while its block runs; what the block puts into the list is shown with its end."""
        remarks: list[str] = []
        with self._lock:
            self._waiting.append(name)
        try:
            yield remarks
        except BaseException:
            with self._lock:
                self._waiting.remove(name)
            raise
        took = time.monotonic() - self._started_at
        mark = self._style.paint("✔" if self._style.glyphs is UNICODE else "+", GREEN)
        facts = self._style.paint("  ".join(map(clean, [*remarks, f"after {took:.1f} s"])), DIM)
        with self._lock:
            self._waiting.remove(name)
            self._write(f"{self._erased()}{mark} {name}  {facts}\n")

    def __enter__(self) -> Progress:
        if self._style.live:
            self._painter.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._finished.set()
        if self._style.live:
            self._painter.join()
            self._write(self._erased())

    def _paint(self) -> None:
        wheel = _WHEEL if self._style.glyphs is UNICODE else _PLAIN_WHEEL
        turn = 0
        while not self._finished.wait(_TICK):
            with self._lock:
                line, _ = self._style.line(
                    [(f"{wheel[turn % len(wheel)]} starting {', '.join(self._waiting)}", DIM)],
                    self._style.columns - 1,
                )
                self._write(self._erased() + line)
            turn += 1

    def _erased(self) -> str:
        return "\r\x1b[K" if self._style.live else ""

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
