# SPDX-License-Identifier: Apache-2.0
"""
What stands in for the span of a request that is left untraced?

A span that is not recorded, with a trace of its own or the caller's: whatever
is done for that request follows it, here and in the next service, instead of
becoming the root of a trace that nobody can place
(open-telemetry/opentelemetry-python-contrib#2140).
"""

from __future__ import annotations

from tellwhy.engine.context import SPAN_KEY
from tellwhy.engine.ids import random_bits
from tellwhy.engine.span import Unrecorded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from opentelemetry.context.context import Context


def left_out_span(context: Context) -> Unrecorded:
    """Return a span that is not recorded, below the one in the context if there is one."""
    parent: Any = context.get(SPAN_KEY)
    about = None if parent is None else parent.get_span_context()
    span = object.__new__(Unrecorded)
    span._trace_id = about.trace_id if about is not None and about.is_valid else random_bits(128) or 1
    span._span_id = random_bits(64) or 1
    span._flags = 0
    span._trace_state = about.trace_state if about is not None else None
    span._ctx = None
    return span
