# SPDX-License-Identifier: Apache-2.0
"""
Is a request compressed? As asked; and unasked where it pays: on the way out of the house.

Spans repeat themselves: gzip makes 512 of one shape ten times smaller, for half a
microsecond a span on the delivery thread, while others run. To a receiver beside us or
in the same network that buys nothing; beyond it, bytes are billed and links are slow.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

NONE, GZIP, DEFLATE = "none", "gzip", "deflate"
WHERE_IT_PAYS: Final = ""  # nobody has asked for anything

_FITS_A_PACKET: Final = 1_400  # bytes: smaller is no faster
_LEVEL: Final = 1  # traces repeat themselves: higher levels cost more than they save
_GZIP_FORMAT: Final = 31  # zlib's word for it


class Compression:
    """
    How the requests to one receiver are compressed.

    Args:

        asked: ``gzip``, ``deflate``, ``none``, or ``WHERE_IT_PAYS``.

        is_far: Whether the receiver is outside of the own network.
    """

    __slots__ = ("_encoding", "_unasked")

    def __init__(self, asked: str, *, is_far: bool) -> None:
        self._unasked = asked == WHERE_IT_PAYS
        self._encoding = asked if not self._unasked else GZIP if is_far else NONE

    def of(self, payload: bytes) -> str | None:
        """Return the content encoding for a payload; None for the payload as it is."""
        if self._encoding == NONE or (self._unasked and len(payload) < _FITS_A_PACKET):
            return None
        return self._encoding

    def may_be_left(self) -> bool:
        """Leave it, because the receiver does not take it; False if it was asked for, or not done anyway."""
        if not self._unasked or self._encoding == NONE:
            return False
        self._encoding = NONE
        return True


def compressed(payload: bytes, encoding: str | None) -> bytes:
    """Return a payload in a content encoding."""
    if encoding is None:
        return payload
    import zlib

    if encoding == DEFLATE:
        return zlib.compress(payload, _LEVEL)
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_FORMAT)
    return compressor.compress(payload) + compressor.flush()
