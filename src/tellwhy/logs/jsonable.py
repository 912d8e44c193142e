# SPDX-License-Identifier: Apache-2.0
"""
How is any Python value said in strict JSON, whatever it is?

``json.dumps`` raises on cycles, on keys that are no strings and on most classes,
and writes ``NaN``, which is no JSON. A log line must not fail for what was
logged, so each of these has an answer here, and each has a bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, time
from math import isfinite, isnan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

MAX_LENGTH: Final = 32_768
"""Characters of one text; of a longer one the middle is left out."""
MAX_DEPTH: Final = 8
"""Containers inside containers; what is deeper is left out."""
MAX_ITEMS: Final = 1_000
"""Values inside one value, at all depths together; the rest are left out."""
_MAX_INT: Final = 2**63 - 1
_LEFT_OUT: Final = "..."


def jsonable(value: Any) -> Any:
    """
    Return the value as dicts with text keys, lists, texts, finite numbers, booleans and None.

    ``NaN`` and infinities become texts (as in OTLP's JSON), and so do integers
    beyond 64 bits, which most readers would round; bytes are decoded, sets become
    lists, dates ISO 8601; anything else is its ``str()``. It never raises.
    """
    kind = type(value)
    if kind is str:
        return well_formed(value)
    if value is None or kind is bool:
        return value
    if (kind is int and -_MAX_INT <= value <= _MAX_INT) or (kind is float and isfinite(value)):
        return value
    return _Conversion().value(value, MAX_DEPTH)


def text(value: object) -> str:
    """Return ``str(value)``, bounded and encodable; never raises."""
    try:
        content = str.__str__(str(value))  # of a subclass of str, the plain text
    except Exception as error:  # logged objects are others' code
        content = f"<{type(value).__name__}: str() raised {type(error).__name__}>"
    return well_formed(content)


def well_formed(content: str, limit: int = MAX_LENGTH) -> str:
    """Return the text without lone surrogates, which no UTF-8 has, and no longer than the limit."""
    if len(content) > limit:
        half = limit // 2
        left_out = len(content) - 2 * half
        content = f"{content[:half]}...[{left_out} characters left out]...{content[len(content) - half :]}"
    if content.isascii():
        return content
    return content.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class _Conversion:
    """One logged value on its way to JSON; it counts what it has seen, so that it ends."""

    __slots__ = ("inside", "items", "room")

    def __init__(self) -> None:
        self.items = MAX_ITEMS
        self.room = 2 * MAX_LENGTH
        self.inside: set[int] = set()

    def value(self, value: Any, depth: int) -> Any:
        self.items -= 1
        try:
            return self.known(value, depth)
        except Exception:  # a subclass with surprises; its str() may still say something
            return self.text(text(value))

    def known(self, value: Any, depth: int) -> Any:
        # The methods of the base classes: a subclass may have overridden its own.
        if value is None or value is True or value is False:
            return value
        if isinstance(value, str):
            return self.text(str.__str__(value))
        if isinstance(value, int):
            number = int.__int__(value)
            return number if -_MAX_INT <= number <= _MAX_INT else self.text(_digits(number))
        if isinstance(value, float):
            return _finite(float.__float__(value))
        if isinstance(value, (bytes, bytearray, memoryview)):
            return self.text(bytes(value[:MAX_LENGTH]).decode("utf-8", "backslashreplace"))
        if isinstance(value, (Mapping, list, tuple, set, frozenset)):
            return self.container(value, depth)
        if isinstance(value, (date, time)):
            return self.text(text(value.isoformat()))
        if isinstance(value, BaseException):
            return self.text(f"{type(value).__name__}: {text(value)}")
        return self.text(text(value))

    def text(self, content: str) -> str:
        content = well_formed(content, max(0, min(MAX_LENGTH, self.room)))
        self.room -= len(content)
        return content

    def container(self, value: Any, depth: int) -> Any:
        if depth == 0:
            return _LEFT_OUT
        if id(value) in self.inside:
            return f"<cycle: {type(value).__name__}>"
        self.inside.add(id(value))
        try:
            if isinstance(value, Mapping):
                return self.mapping(value, depth - 1)
            return self.sequence(value, depth - 1)
        finally:
            self.inside.discard(id(value))

    def mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, item in value.items():
            if self.full():
                result[_LEFT_OUT] = _LEFT_OUT
                break
            result[self.text(text(key))] = self.value(item, depth)
        return result

    def sequence(self, value: Any, depth: int) -> list[Any]:
        result: list[Any] = []
        for item in value:
            if self.full():
                result.append(_LEFT_OUT)
                break
            result.append(self.value(item, depth))
        return result

    def full(self) -> bool:
        return self.items <= 0 or self.room <= 0


def _digits(number: int) -> str:
    try:
        return str(number)
    except ValueError:  # more digits than sys.get_int_max_str_digits()
        return hex(number)


def _finite(number: float) -> float | str:
    if isfinite(number):
        return number
    return "NaN" if isnan(number) else "Infinity" if number > 0 else "-Infinity"
