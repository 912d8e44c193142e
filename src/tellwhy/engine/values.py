# SPDX-License-Identifier: Apache-2.0
"""
What may an attribute's value be? OpenTelemetry's AnyValue; the rest is converted if it can be.

The rules are the SDK's (1.45): None, bool, int, float, str and bytes stay as
they are, sequences become tuples, mappings become dicts, anything else its own
``str()``. Kinder than the SDK are two: an Enum becomes its value, a numpy
scalar its Python number. Nothing here raises: a value that cannot be had at
all is left out, counted as dropped and told of once per key.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence

from tellwhy import diagnostics

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

PLAIN = frozenset((str, int, float, bool))
"""Types whose values are stored as they are (a str only up to the length limit)."""

if TYPE_CHECKING:
    Attributes: TypeAlias = dict[str, Any]


class Unusable(Exception):
    """The value cannot be turned into anything that can be sent."""


def clean_value(value: Any, limit: int | None) -> Any:
    """
    Return the value as it is stored.

    Args:

        value: Anything.

        limit: The most characters a string may have; None for no limit.

    Raises:

        Unusable: Its ``str()`` fails, or it is nested too deeply.
    """
    try:
        return _clean(value, limit)
    except Exception as error:
        raise Unusable(type(value).__name__) from error


def plain_copy(attributes: Any) -> Attributes | None:
    """Return a copy of a dict that needs no cleaning, which is nearly every one; None for any other thing."""
    if type(attributes) is not dict:
        return None
    copied = attributes.copy()
    for key, value in copied.items():
        if type(value) not in PLAIN or type(key) is not str or not key:
            return None
    return copied


def clean_attributes(attributes: Any, limit: int | None, into: Attributes) -> int:
    """
    Put cleaned attributes into a dict, later keys last, and return how many were dropped.

    Args:

        attributes: A mapping of the user's, or None.

        limit: The most characters a string may have; None for no limit.

        into: The dict to fill, which nobody else sees yet.
    """
    try:
        items = attributes.items()
        count = len(attributes)
    except Exception:
        if attributes is not None:
            diagnostics.warn(
                f"attributes given as {type(attributes).__name__}, expected a mapping; ignored",
                key="attributes-not-a-mapping",
            )
        return 0
    unlimited = limit is None
    try:
        for key, value in items:
            if type(value) in PLAIN and type(key) is str and key:
                into[key] = value if unlimited or type(value) is not str else value[:limit]
            else:
                _put(into, key, value, limit)
    except Exception as error:  # a mapping of the user's own whose iteration fails
        diagnostics.warn(f"attributes could not be read ({type(error).__name__}); ignored", key="attributes-unreadable")
    return max(0, count - len(into))


def usable_key(key: object) -> str:
    """Return the key as a string; an empty string if there is no way to make one."""
    if isinstance(key, str):
        return key
    if not key or not _has_own_text(key):
        return ""
    return str(key)


def complain(key: object, problem: str) -> None:
    """Tell once per key that an attribute was lost."""
    try:
        told = f"{key!r:.80}"
    except Exception:
        told = f"<{type(key).__name__}>"
    diagnostics.warn(f"attribute {told}: {problem}; left out and counted", key=f"attribute:{told}")


def _put(into: Attributes, key: object, value: object, limit: int | None) -> None:
    try:
        name = usable_key(key)
        if not name:
            complain(key, "a key must be a string that is not empty")
            return
        cleaned = _clean(value, limit)
    except Exception:
        complain(key, f"a value of type {type(value).__name__} cannot be recorded")
        return
    into[name] = cleaned


def _clean(value: Any, limit: int | None) -> Any:
    if isinstance(value, str):
        return value if limit is None or len(value) <= limit else value[:limit]
    if value is None or isinstance(value, (bool, int, float, bytes)):
        return value
    if isinstance(value, Sequence):
        return tuple([_clean(item, limit) for item in value])
    if isinstance(value, Mapping):
        return _clean_mapping(value, limit)
    if isinstance(value, enum.Enum):
        return _clean(value.value, limit)
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        return _clean(value.item(), limit)
    if not _has_own_text(value):
        diagnostics.warn(f"an attribute value of type {type(value).__name__} has no text of its own; recorded as empty")
        return None
    text = str(value)
    return text if limit is None else text[:limit]


def _clean_mapping(value: Mapping[Any, Any], limit: int | None) -> dict[str, Any]:
    cleaned = {}
    for key, item in value.items():
        name = usable_key(key)
        if name:
            cleaned[name] = _clean(item, limit)
    return cleaned


def _has_own_text(value: object) -> bool:
    kind = type(value)
    return kind.__str__ is not object.__str__ or kind.__repr__ is not object.__repr__
