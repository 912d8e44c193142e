# SPDX-License-Identifier: Apache-2.0
"""
Providers whose finished spans a test looks at: ours and OpenTelemetry's.

::

    recorder = Recorder("lean")                      # or "sdk"; sampler=... of either
    FlaskInstrumentor().instrument(tracer_provider=recorder.provider)
    ...
    recorder.only().attributes["http.route"]
"""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace import TracerProvider as OfficialProvider

from tellwhy.engine import TracerProvider


class Recorder(SpanProcessor):
    """A provider, and the spans that it has ended, in order of their end."""

    def __init__(self, engine: str = "lean", sampler: Any = None) -> None:
        self.spans: list[Any] = []
        if engine == "lean":
            self.provider: Any = TracerProvider.lean({"service.name": "test"}, sampler=sampler)
        else:
            self.provider = OfficialProvider(sampler=sampler, shutdown_on_exit=False)
        self.provider.add_span_processor(self)
        self.tracer = self.provider.get_tracer("test")

    def on_end(self, span: Any) -> None:
        self.spans.append(span)

    def only(self) -> Any:
        """Return the one span that there is, and forget it."""
        assert len(self.spans) == 1, self.names()
        return self.spans.pop()

    def take(self) -> list[Any]:
        """Return the spans, and forget them."""
        taken, self.spans[:] = self.spans[:], []
        return taken

    def names(self) -> list[str]:
        """Return the spans' names."""
        return [span.name for span in self.spans]
