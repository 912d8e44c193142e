# SPDX-License-Identifier: Apache-2.0
"""
Which requests are left untraced? Those with a path that a pattern fits as a whole, or a URL that a regex is found in.

The pattern ``/health`` is that path and no other; ``*`` stands for any characters
and ``?`` for one, and a slash at the end makes no difference
(``TELLWHY_EXCLUDED_PATHS``). The regular expressions are OpenTelemetry's
(``OTEL_PYTHON_EXCLUDED_URLS``).
"""

from __future__ import annotations

from tellwhy.patchers import urls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Final

_MAX_LENGTH: Final = 8192  # of a path that is looked at


def excluded(paths: Iterable[str], regexes: str) -> Callable[[dict[str, Any]], bool] | None:
    """
    Return what tells of a WSGI request whether it is left untraced; None if none is.

    Args:

        paths: Patterns of whole paths.

        regexes: Regular expressions, separated by commas, that are searched for in the whole URL.
    """
    named, found = Paths(paths), urls.excluded(regexes)
    if not named and found is None:
        return None

    def is_excluded(environ: dict[str, Any]) -> bool:
        if environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "") in named:
            return True
        return found is not None and found(urls.of_environ(environ)) is not None

    return is_excluded


class Paths:
    """
    A list of patterns.

    Args:

        patterns: Paths with wild cards or without.
    """

    __slots__ = ("_exact", "_wild")

    def __init__(self, patterns: Iterable[str]) -> None:
        patterns = [_without_slash(pattern) for pattern in patterns]
        self._exact = frozenset(pattern for pattern in patterns if not _is_wild(pattern))
        self._wild = [_Glob(pattern) for pattern in patterns if _is_wild(pattern)]

    def __bool__(self) -> bool:
        return bool(self._exact or self._wild)

    def __contains__(self, path: str) -> bool:
        if path in self._exact:
            return True
        if path[-1:] == "/":
            path = _without_slash(path)
            if path in self._exact:
                return True
        return bool(self._wild) and any(glob.fits(path[:_MAX_LENGTH]) for glob in self._wild)


class _Glob:
    """
    One pattern with wild cards.

    Between stars, each piece is looked for from left to right and taken where it
    is first found. A regular expression would try every split, and a long path
    could take the caller's time.
    """

    __slots__ = ("_first", "_last", "_middle")

    def __init__(self, pattern: str) -> None:
        pieces = pattern.split("*")
        self._first = _Piece(pieces[0])
        self._middle = [_Piece(piece) for piece in pieces[1:-1] if piece]
        self._last = _Piece(pieces[-1]) if len(pieces) > 1 else None

    def fits(self, path: str) -> bool:
        """Tell whether the pattern fits the whole path."""
        at = self._first.length
        if not self._first.is_at(path, 0):
            return False
        if self._last is None:
            return at == len(path)
        end = len(path) - self._last.length
        for piece in self._middle:
            at = piece.find(path, at, end)
            if at < 0:
                return False
            at += piece.length
        return at <= end and self._last.is_at(path, end)


class _Piece:
    """Text in which ``?`` stands for any character."""

    __slots__ = ("_is_plain", "_text", "length")

    def __init__(self, text: str) -> None:
        self._text = text
        self._is_plain = "?" not in text
        self.length = len(text)

    def is_at(self, path: str, start: int) -> bool:
        """Tell whether the path has it there."""
        if self._is_plain:
            return path.startswith(self._text, start)
        part = path[start : start + self.length]
        return len(part) == self.length and all(
            wanted in ("?", found) for wanted, found in zip(self._text, part, strict=True)
        )

    def find(self, path: str, start: int, end: int) -> int:
        """Return where it is first, at or after a start and before an end; -1 if nowhere."""
        if self._is_plain:
            return path.find(self._text, start, end)
        return next((at for at in range(start, end - self.length + 1) if self.is_at(path, at)), -1)


def _without_slash(path: str) -> str:
    return path.rstrip("/") or "/"


def _is_wild(pattern: str) -> bool:
    return "*" in pattern or "?" in pattern
