# SPDX-License-Identifier: Apache-2.0
"""
Which spans are open when the process ends? Asked of the garbage collector, so that starting one costs nothing.

A registry would tax every span for the sake of the last moment. The
collector knows every object that refers to the span class, which instances
do: one pass at exit, some 15 ns per object of the program.
"""

from __future__ import annotations

import gc
import sys

from tellwhy.delivery.leaving import fork

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Final

UNFINISHED: Final = "tellwhy.unfinished"
"""The attribute of a span that was still open when its process ended: true."""

_SPAN_CLASSES: Final = (("tellwhy.engine.span", "Span"), ("opentelemetry.sdk.trace", "_Span"))


def find() -> list[Any]:
    """Return the spans that have started in this process and not ended."""
    kinds = [
        kind for module, name in _SPAN_CLASSES if (kind := getattr(sys.modules.get(module), name, None)) is not None
    ]
    if not kinds:
        return []
    born = fork.born()
    # What was open at a fork is the parent's to end.
    return [
        found
        for found in gc.get_referrers(*kinds)
        if type(found) in kinds and found.end_time is None and (found.start_time or 0) >= born
    ]


def end_all(open_spans: Callable[[], Iterable[Any]]) -> None:
    """End what is open and mark it."""
    for span in open_spans():
        try:
            if span.is_recording():
                span.set_attribute(UNFINISHED, True)
                span.end()
        except Exception:  # a half-made span, or a processor of the user's that raises: the next one counts
            continue
