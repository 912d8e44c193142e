# SPDX-License-Identifier: Apache-2.0
"""Does an instrumentation notice that more is wanted of it than before?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tellwhy.engine import TracerProvider, active
from tellwhy.engine.samplers import ALWAYS_OFF
from tellwhy.patchers.spans import Spans


class Counting:
    """A span processor that counts what is not sampled, too."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def counter(self, then: Any) -> Any:
        def count(span: Any) -> None:
            self.names.append(span.name)
            if then is not None:
                then(span)

        return count

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """Nothing."""

    def on_end(self, span: Any) -> None:
        """Nothing."""


@pytest.fixture(autouse=True)
def _off_again() -> Iterator[None]:
    yield
    active.deactivate()


def test_whoever_begins_to_count_spans_gets_all_of_them() -> None:
    """What was not even begun, because every trace is dropped, is begun from then on."""
    provider = TracerProvider.lean({}, sampler=ALWAYS_OFF)
    active.activate(provider)
    spans = Spans("shop")
    spans.current()
    assert spans.drops_roots

    counting = Counting()
    provider.add_span_processor(counting)
    tracer = spans.current()

    assert not spans.drops_roots
    tracer.start_span("GET").end()
    assert counting.names == ["GET"]
