# SPDX-License-Identifier: Apache-2.0
"""
Spans that people write by hand: ``@traced``, ``span``, ``annotate`` and their kin.

The names are used as ``tellwhy.traced`` and so on. The package is not called
``tellwhy.traced`` itself: importing a submodule of that name would put the module
in the decorator's place.
"""

from __future__ import annotations

from tellwhy.manual.current import (
    annotate,
    annotate_root,
    current_span_id,
    current_trace_id,
    event,
    fail,
    suppressed,
)
from tellwhy.manual.decorator import traced, untraced
from tellwhy.manual.options import SpanAttr
from tellwhy.manual.spans import span

__all__ = [
    "SpanAttr",
    "annotate",
    "annotate_root",
    "current_span_id",
    "current_trace_id",
    "event",
    "fail",
    "span",
    "suppressed",
    "traced",
    "untraced",
]
