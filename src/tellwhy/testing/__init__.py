# SPDX-License-Identifier: Apache-2.0
"""
Spans in tests: caught in memory, read like a tree, gone when the test is over.

::

    def test_checkout(spans):                       # the pytest fixture
        shop.checkout(cart)
        assert spans["shop.checkout"].attributes["order.id"] == 7
        spans.assert_at_most(3, spans.sql)

    with tellwhy.testing.capture_spans() as spans:  # the same anywhere else
        shop.checkout(cart)
    spans.assert_tree('''
        shop.checkout
          cart.total
          SELECT shop x2
    ''')

While a capture lasts, every tracer of the process leads to it: that of
``@traced``, also on functions decorated long before, those that modules took
from ``opentelemetry.trace.get_tracer(...)``, and those of whatever provider is
installed. Nothing is exported and nothing sampled out. Captures may nest, the
innermost gets the spans; afterwards all is as it was. Each process has its own,
so it works under pytest-xdist.

Importing this module loads neither OpenTelemetry nor pytest.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager

from tellwhy.testing.spans import CapturedSpan, Spans

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["CapturedSpan", "FixedClock", "FixedIds", "Spans", "capture_spans"]


class FixedIds:
    """
    Ids that are the same in each run: 1, 2, 3 and so on, for traces and for spans.

    Can be given to ``capture_spans(ids=...)`` and to any ``TracerProvider``.
    """

    def __init__(self) -> None:
        self._traces = 0
        self._spans = 0

    def generate_trace_id(self) -> int:
        """Return the next trace id."""
        self._traces += 1
        return self._traces

    def generate_span_id(self) -> int:
        """Return the next span id."""
        self._spans += 1
        return self._spans

    def is_trace_id_random(self) -> bool:
        """Return False: the W3C random flag must not be set."""
        return False


class FixedClock:
    """
    A clock that a test moves: each look at it is ``step`` seconds after the last one.

    Args:

        start: Seconds since the epoch.

        step: Seconds between two looks; a span without anything in it lasts one step.
    """

    def __init__(self, start: float = 0.0, step: float = 0.001) -> None:
        self._now = round(start * 1e9)
        self._step = round(step * 1e9)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += round(seconds * 1e9)

    def __call__(self) -> int:
        """Return the time in nanoseconds since the epoch."""
        now = self._now
        self._now += self._step
        return now


@contextmanager
def capture_spans(*, ids: Any = None, clock: FixedClock | None = None) -> Iterator[Spans]:
    """
    Catch all spans of the process that are made inside of the block.

    Args:

        ids: Where ids come from, for example ``FixedIds()``; random by default.

        clock: What tells when the captured spans start and end; the real time by default.
    """
    from tellwhy.testing.capture import Capture

    capture = Capture(ids, clock)
    capture.install()
    try:
        yield capture.spans
    finally:
        capture.remove()


if "pytest" in sys.modules:
    import pytest

    @pytest.fixture
    def spans() -> Iterator[Spans]:
        """Give the spans that the test makes."""
        with capture_spans() as captured:
            yield captured
