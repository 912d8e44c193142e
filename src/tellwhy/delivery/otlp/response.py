# SPDX-License-Identifier: Apache-2.0
"""
What did the receiver say? The two small OTLP messages that come back, read by hand.

``ExportTraceServiceResponse`` carries a partial success, ``google.rpc.Status``
(the body of every error) a message. Whatever else comes is "nothing said".
"""

from __future__ import annotations

from tellwhy.delivery.signal import TRACES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from tellwhy.delivery.signal import Signal

LONGEST_MESSAGE: Final = 300  # characters: one line for people
_VARINT, _LENGTH_DELIMITED = 0, 2
_FIXED: Final = {1: 8, 5: 4}


def partial_success(body: bytes, content_type: str, signal: Signal = TRACES) -> tuple[int, str]:
    """Return how many items the receiver rejected, and its words; ``(0, "")`` for a full success."""
    if "json" in content_type:
        outer = _json(body).get("partialSuccess")
        if not isinstance(outer, dict):
            return 0, ""
        try:
            rejected = int(outer.get(signal.rejected, 0))
        except (TypeError, ValueError):
            rejected = 0
        return max(0, rejected), clean(str(outer.get("errorMessage", "")))
    if "protobuf" not in content_type:
        return 0, ""
    rejected, words = 0, ""
    for number, value in _fields(body):
        if number == 1 and isinstance(value, bytes):
            for inner, content in _fields(value):
                if inner == 1 and isinstance(content, int):
                    rejected = content if content < 1 << 63 else 0  # a negative int64
                elif inner == 2 and isinstance(content, bytes):
                    words = clean(content.decode("utf-8", "replace"))
    return rejected, words


def error_message(body: bytes, content_type: str) -> str:
    """Return what an error's body says, as one short line; empty if it says nothing to people."""
    if "protobuf" in content_type:
        for number, value in _fields(body):
            if number == 2 and isinstance(value, bytes):
                return clean(value.decode("utf-8", "replace"))
        return ""
    if "json" in content_type:
        said = _json(body)
        return clean(str(said.get("message") or said.get("error") or ""))
    if "html" in content_type:  # an error page, not meant for one line
        return ""
    return clean(body[: 4 * LONGEST_MESSAGE].decode("utf-8", "replace"))


def clean(text: str) -> str:
    """Return a receiver's words fit for a terminal: one line, no control characters, not too long."""
    words = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return words if len(words) <= LONGEST_MESSAGE else words[: LONGEST_MESSAGE - 1] + "…"


def _json(body: bytes) -> dict[str, object]:
    import json

    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield number and value of a protobuf message's fields; end at the first byte that makes no sense."""
    at, end = 0, len(message)
    while at < end:
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            if at <= end:
                yield tag >> 3, value
        elif kind == _LENGTH_DELIMITED:
            length, at = _varint(message, at)
            if at + length > end:
                return
            yield tag >> 3, message[at : at + length]
            at += length
        elif kind in _FIXED:
            at += _FIXED[kind]
        else:
            return


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """Return a varint and the place after it; a place beyond the end if there is none."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            return 0, len(message) + 1
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    return 0, len(message) + 1
