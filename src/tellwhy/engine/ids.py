# SPDX-License-Identifier: Apache-2.0
"""
Where do trace and span ids come from? A Mersenne Twister of our own, seeded by the operating system.

Of our own, because a program that calls ``random.seed(0)`` must not get the
same trace ids on every start, and because ``import random`` costs milliseconds.
It is seeded anew in every forked child. ``getrandbits`` is one C call: threads
share it safely, with and without the GIL.
"""

from __future__ import annotations

import os
from _random import Random

from tellwhy import diagnostics

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_source = Random()


def _seed() -> None:
    _source.seed(int.from_bytes(os.urandom(32), "little"))


_seed()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_seed)

random_bits = _source.getrandbits


class RandomIdGenerator:
    """Random ids, never zero; the same interface as the SDK's ``IdGenerator``."""

    __slots__ = ()

    def generate_span_id(self) -> int:
        """Return a new span id of 64 bits."""
        return random_bits(64) or 1

    def generate_trace_id(self) -> int:
        """Return a new trace id of 128 bits."""
        return random_bits(128) or 1

    def is_trace_id_random(self) -> bool:
        """Return True: the W3C random flag may be set."""
        return True


def made_trace_id(generator: Any) -> int:
    """Return a trace id of the program's own generator; a random one if that fails."""
    return _made(generator.generate_trace_id, 128)


def made_span_id(generator: Any) -> int:
    """Return a span id of the program's own generator; a random one if that fails."""
    return _made(generator.generate_span_id, 64)


def _made(generate: Callable[[], Any], bits: int) -> int:
    try:
        made = generate()
        if isinstance(made, int) and 0 < made < 1 << bits:
            return made
        diagnostics.warn(f"the id generator made {made!r:.60}, expected an int of {bits} bits, not 0; using random ids")
    except Exception as error:
        diagnostics.fault("the id generator", error)
    return random_bits(bits) or 1
