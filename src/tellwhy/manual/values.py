# SPDX-License-Identifier: Apache-2.0
"""
What becomes of a Python value that someone wants to see in a span.

A value is looked at, never worked with: nothing here calls ``repr``, iterates
an unknown collection, or runs code of the value's own class, so no database
query starts, no generator is consumed and no secret object prints itself.
Secrets are replaced here too: this is the manual API's one door to redaction.
"""

from __future__ import annotations

import sys

from tellwhy import redaction
from tellwhy.manual import counts
from tellwhy.redaction.lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Final

    from tellwhy.manual.options import AttrValue, Scalar

REDACTED: Final = redaction.REDACTED
MAX_TEXT: Final = 256  # characters of a captured string
MAX_TOLD: Final = 65_536  # characters of an exception's message or stack
MAX_ITEMS: Final = 128  # of a captured sequence
NUMBERS: Final = frozenset({bool, int, float})
_NO_ITEM: Final = frozenset({type(None), list, tuple, dict, set, frozenset})
_MAX_SEARCHED: Final = 4096  # characters of a hand-written string in which secrets are looked for
_MARGIN: Final = 64  # text is looked at so far beyond the cut, lest a secret is cut in half and missed

# Classes whose text is their value. They are looked up in modules that are
# loaded already: a value of a class whose module is not loaded cannot exist.
_TEXT_CLASSES: Final = (
    ("uuid", "UUID"),
    ("decimal", "Decimal"),
    ("datetime", "date"),
    ("datetime", "time"),
    ("datetime", "timedelta"),
    ("pathlib", "PurePath"),
)


_WORD = lazy(r"[A-Za-z0-9_.@/,+-]{0,12}")
_UUID = lazy(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_PLAIN = lazy(r"[A-Za-z0-9.@/,+ ]*")
_DENSE = lazy(r"[A-Z0-9][a-z]*[A-Z0-9][a-z]*[A-Z0-9][a-z]*[A-Z0-9]")


def clean(key: str, value: Any, limit: int | None = MAX_TEXT) -> AttrValue | None:
    """Return what is shown of a value: a scalar or flat sequence without secrets; None for nothing."""
    kind = type(value)
    if value is None or kind is bool:
        return value  # type: ignore[no-any-return]
    if redaction.is_secret_key(key):
        return REDACTED
    if kind in NUMBERS:
        return value  # type: ignore[no-any-return]
    if kind is list or kind is tuple:
        return _sequence(key, value, limit)
    return _scalar(key, value, limit)


def put(attributes: dict[str, Any], key: str, value: Any) -> None:
    """Add a captured value, unless there is nothing to show."""
    try:
        shown = clean(key, value)
    except Exception as error:
        counts.attribute_failed(key, error)
        return
    if shown is not None:
        attributes[key] = shown


def cleaned(*mappings: Mapping[str, Any] | None, limit: int | None = None) -> dict[str, Any]:
    """Return attributes cleaned; what was written by hand keeps its length (the span's limits cut)."""
    attributes = {}
    for mapping in mappings:
        for key, value in (mapping or {}).items():
            shown = clean(key, value, limit)
            if shown is not None:
                attributes[key] = shown
    return attributes


def scrubbed(text: str) -> str:
    """Return a text without key, such as an exception's message or stack, without secrets and of bounded length."""
    if len(text) > MAX_TOLD:
        text = f"{text[:MAX_TOLD]}… ({len(text) - MAX_TOLD} more characters)"
    return redaction.redact_text(text)


def harmless(text: str) -> bool:
    """
    Tell whether ``redaction.redact_text`` surely finds nothing, in a fraction of the time that it takes.

    True for short words and ids, UUIDs, and words with few capitals and digits
    between harmless signs. tests/traced/test_secrets.py holds it to that.
    """
    if len(text) <= 12 and _WORD.fullmatch(text) is not None:
        return True
    if len(text) == 36 and _UUID.fullmatch(text) is not None:
        return True
    return (
        _PLAIN.fullmatch(text) is not None
        and _DENSE.search(text) is None
        and "earer " not in text
        and "asic " not in text
    )


def captured_text(key: str, text: str) -> str:
    """Return a captured string, short and without secrets; most cannot hold one, and that is seen first."""
    if len(text) <= MAX_TEXT and harmless(text):
        return text
    shown: str = redaction.redact_value(key, text[: MAX_TEXT + _MARGIN], text=True)
    return shown[:MAX_TEXT]


def _scalar(key: str, value: Any, limit: int | None) -> Scalar:
    kind = type(value)
    if kind is str:
        return _text(key, value, limit)
    if _is_subclass(kind, "enum", "Enum"):
        value = value._value_
        kind = type(value)
    if kind in NUMBERS:
        return value  # type: ignore[no-any-return]
    # ``issubclass`` of the type, for ``isinstance`` would ask a proxy for its ``__class__``
    # and so run its code. Of a subclass only what the base holds: its methods are not run.
    if issubclass(kind, str):
        return _text(key, str.__str__(value), limit)
    if issubclass(kind, int):
        return int.__int__(value)
    if issubclass(kind, float):
        return float.__float__(value)
    if issubclass(kind, (bytes, bytearray, memoryview)):
        return f"<{len(value)} bytes>"
    for module_name, class_name in _TEXT_CLASSES:
        if _is_subclass(kind, module_name, class_name):
            return _text(key, getattr(sys.modules[module_name], class_name).__str__(value), limit)
    return kind.__qualname__


def _sequence(key: str, values: list[Any] | tuple[Any, ...], limit: int | None) -> AttrValue:
    items = values[:MAX_ITEMS]
    # OpenTelemetry knows sequences of one type only; nesting, None and mixtures have no form.
    if not any(type(item) in _NO_ITEM for item in items):
        shown = tuple(_scalar(key, item, limit) for item in items)
        if len({type(item) for item in shown}) <= 1:
            return shown  # type: ignore[return-value]
    return type(values).__name__


def _text(key: str, text: str, limit: int | None) -> str:
    if limit is not None:
        return captured_text(key, text)
    shown: str = redaction.redact_value(key, text, text=len(text) <= _MAX_SEARCHED)
    return shown


def _is_subclass(kind: type, module_name: str, class_name: str) -> bool:
    base = getattr(sys.modules.get(module_name), class_name, None)
    return base is not None and issubclass(kind, base)
