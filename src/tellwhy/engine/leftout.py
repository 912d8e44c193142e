# SPDX-License-Identifier: Apache-2.0
"""
What stands in for the span of a request that is left out? One that is not recorded, nor anything below it.

Whatever the sampler says: it would be asked of each span below, and one that
records everything would make roots of them that nobody can place.
"""

from __future__ import annotations

from tellwhy.engine.context import SPAN_KEY
from tellwhy.engine.ids import random_bits
from tellwhy.engine.span import Unrecorded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from opentelemetry.context import Context


class LeftOut(Unrecorded):
    """A span that is left out; the next service is told that nothing is recorded (flags 00)."""

    __slots__ = ()

    def child(self) -> LeftOut:
        """Return a span below this one."""
        return _new(self._trace_id, self._trace_state)


def left_out_below(context: Context) -> LeftOut:
    """Return a span that is left out, in the trace of the one in the context if there is one."""
    parent: Any = context.get(SPAN_KEY)
    if parent is not None:
        about = parent.get_span_context()
        if about.is_valid:
            return _new(about.trace_id, about.trace_state)
    return _new(random_bits(128) or 1, None)


def _new(trace_id: int, trace_state: Any) -> LeftOut:
    span = object.__new__(LeftOut)
    span._trace_id = trace_id
    span._span_id = random_bits(64) or 1
    span._flags = 0
    span._trace_state = trace_state
    span._ctx = None
    return span
