# SPDX-License-Identifier: Apache-2.0
"""
What ``@traced`` makes, on each engine: the lean one by its short way, by its long way, and the SDK.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace import TracerProvider as SdkProvider

from tellwhy import diagnostics
from tellwhy.engine import active
from tellwhy.engine.provider import TracerProvider as LeanProvider
from tellwhy.manual.lineage import Lineage


class Made:
    """The spans that have ended, in the order of their ends."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        self.spans: list[Any] = []
        self.faults: list[str] = []

    def provider(self, **options: Any) -> Any:
        """A provider of the engine, whose spans come here."""
        if self.engine == "sdk":
            provider: Any = SdkProvider(shutdown_on_exit=False, **options)
            provider.add_span_processor(Lineage())
            provider.add_span_processor(_Both(self.spans))
        else:
            provider = LeanProvider.lean({"service.name": "test"}, **options)
            provider.add_span_processor((_Both if self.engine == "lean-long" else _EndOnly)(self.spans))
        return provider

    @property
    def names(self) -> list[str]:
        return [span.name for span in self.spans]

    def __getitem__(self, name: str) -> Any:
        found = [span for span in self.spans if span.name == name]
        assert len(found) == 1, f"{len(found)} spans {name!r} among {self.names}"
        return found[0]

    def parent_of(self, span: Any) -> Any:
        """The name of the parent of a span, None if it has none."""
        if span.parent is None:
            return None
        return next((one.name for one in self.spans if one.context.span_id == span.parent.span_id), "?")


class _EndOnly:
    def __init__(self, spans: list[Any]) -> None:
        self._spans = spans

    def on_end(self, span: Any) -> None:
        self._spans.append(span)

    def shutdown(self) -> None: ...

    def force_flush(self, timeout_millis: int = 0) -> bool:
        return True


class _Both(SpanProcessor):
    def __init__(self, spans: list[Any]) -> None:
        self._spans = spans

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        assert span.is_recording()

    def on_end(self, span: Any) -> None:
        self._spans.append(span)


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """No tracing before, none after, and every line of tellwhy's own voice in a list."""
    lines: list[str] = []

    class Lines:
        def write(self, text: str) -> None:
            lines.extend(text.splitlines())

        def flush(self) -> None: ...

    before = (active.tracer, active.provider, active.pending)
    active.deactivate()
    diagnostics.reset()
    diagnostics.configure("debug", Lines())  # type: ignore[arg-type]
    yield lines
    diagnostics.reset()
    active.tracer, active.provider, active.pending = before


@pytest.fixture
def said(clean: list[str]) -> list[str]:
    """What tellwhy has said."""
    return clean


@pytest.fixture(params=["lean", "lean-long", "sdk"])
def made(request: pytest.FixtureRequest, said: list[str]) -> Iterator[Made]:
    """Tracing is on; here is what comes of it. A fault of our own fails the test."""
    made = Made(request.param)
    active.activate(made.provider())
    yield made
    assert [line for line in said if "internal fault" in line] == []
