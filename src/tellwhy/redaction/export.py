# SPDX-License-Identifier: Apache-2.0
"""
The last look before export, at what anybody has put on a span: an instrumentation, the program, ourselves.

On the worker's thread, for every value, so what is asked of an ordinary one is
little: the verdict on its key is known, and a few substrings tell whether its
text is worth a search. What was found clean is remembered.
"""

from __future__ import annotations

# All that is needed later is loaded here, at once: a fork cuts an import in two.
import base64  # noqa: F401
import re  # noqa: F401
import urllib.parse  # noqa: F401

from tellwhy import redaction
from tellwhy.redaction import redactor as _with_its_parts  # noqa: F401
from tellwhy.redaction import statements as _and_theirs  # noqa: F401
from tellwhy.redaction.tokens import worth_a_search

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any, Final

    from tellwhy.redaction.redactor import Redactor

_MOST_KNOWN: Final = 4096
_LONGEST_KNOWN: Final = 512  # characters

STATEMENTS: Final = ("db.query.text", "db.statement")
"""Keys whose values are SQL, of the dialect that another attribute names."""

_STATEMENTS: Final = frozenset(STATEMENTS)

_current: Redactor | None = None
_known: dict[str, str] = {}  # text of ordinary keys in which there was a sign -> what of it may leave


def _forget() -> None:
    global _current
    _current = None
    _known.clear()


redaction.when_configured(_forget)


def _redactor() -> Redactor:
    global _current
    _current = redaction.current()
    return _current


def is_secret(key: str) -> bool:
    """Tell whether whatever stands under a key goes: numbers, lists and maps too."""
    return (_current or _redactor()).is_secret(key)


def is_ordinary(key: str) -> bool:
    """Tell whether a key says nothing of its value: ``text`` is all that can be done then."""
    return (_current or _redactor()).is_ordinary(key)


def string(key: str, value: str) -> str:
    """Return a string attribute without its secrets; a statement is left to ``watched``."""
    redactor = _current or _redactor()
    if redactor.is_ordinary(key):
        return text(value)
    if key in STATEMENTS:
        return value
    return redactor.value(key, value)  # type: ignore[no-any-return]  # a string for a string


def attributes(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return attributes without their secrets; the same object if they have none."""
    redactor = _current or _redactor()
    changed: dict[str, Any] = {}
    for key, found in values.items():
        clean = _value(redactor, key, found)
        if clean is not found and clean != found:
            changed[key] = clean
    clean = {**values, **changed} if changed else values
    return clean if redaction.sql_mode == "raw" or _STATEMENTS.isdisjoint(clean) else _without_literals(redactor, clean)


def message(value: str) -> str:
    """Return what tells of an error without its secrets: there are few of those, and secrets in many."""
    return (_current or _redactor()).text(value) if value else value


def text(value: str) -> str:
    """Return other text (a name, an attribute of any key) without its secrets."""
    if worth_a_search(value):
        return _searched(value)
    redactor = _current or _redactor()
    return redactor.text(value) if redactor.has_own_regexes else value


def _searched(value: str) -> str:
    clean = _known.get(value)
    if clean is None:
        clean = (_current or _redactor()).text(value)
        if len(value) <= _LONGEST_KNOWN:
            if len(_known) >= _MOST_KNOWN:
                _known.clear()
            _known[value] = clean
    return clean


def watched(values: Mapping[str, Any], keys: Iterable[str]) -> Mapping[str, Any]:
    """
    Return attributes without what strings alone do not show: whatever is under secret keys, and statements.

    Args:

        values: The attributes.

        keys: Those of them that are secrets' or statements'.
    """
    redactor = _current or _redactor()
    changed: dict[str, Any] = {}
    for key in keys:
        if key not in STATEMENTS:
            changed[key] = redactor.value(key, values[key])
        elif redaction.sql_mode != "raw":
            values = _without_literals(redactor, values)
    return {**values, **changed} if changed else values


def _without_literals(redactor: Redactor, values: Mapping[str, Any]) -> Mapping[str, Any]:
    if redaction.sql_mode == "off":
        return {key: found for key, found in values.items() if key not in STATEMENTS}
    changed = redactor.statements(values)
    return {**values, **changed} if changed else values


def value(key: str, found: Any) -> Any:
    """Return a list, a map or bytes without the secrets in them."""
    return (_current or _redactor()).value(key, found, text=True)


def _value(redactor: Redactor, key: str, found: Any) -> Any:
    kind = type(found)
    if kind is str:
        return string(key, found)
    if kind is int or kind is float or kind is bool or found is None:
        return redactor.value(key, found) if redactor.is_secret(key) else found
    return redactor.value(key, found, text=True)
