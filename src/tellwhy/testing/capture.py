# SPDX-License-Identifier: Apache-2.0
"""
How do all spans of a process come to one place for a while, and afterwards none?

Tracers are handed out once and kept for ever, in modules, in instrumentations,
in OpenTelemetry's own proxies. So it is not the provider that is exchanged but
what the tracers' classes do: while a capture lasts, each starts its spans with
the capture's own tracer of the same scope.
"""

from __future__ import annotations

from opentelemetry.trace import Tracer as ApiTracer

from tellwhy.engine import active
from tellwhy.engine.provider import TracerProvider
from tellwhy.engine.samplers import ALWAYS_ON
from tellwhy.testing.spans import Spans

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

_STARTERS = ("start_span", "start_as_current_span")

_captures: list[Capture] = []
_patched: list[tuple[type, str, Any]] = []


class Capture:
    """One capture: its provider, and what was in force before it."""

    def __init__(self, ids: Any, clock: Callable[[], int] | None) -> None:
        self.spans = Spans()
        provider = TracerProvider.lean({"service.name": "test"}, sampler=ALWAYS_ON, id_generator=ids)
        provider.add_span_processor(_Collector(self.spans, clock))
        self._provider = provider
        self._own: dict[tuple[str, str | None], Any] = {}
        self._before: tuple[Any, Any, Any] = (None, None, None)

    def tracer(self, name: str, version: str | None = None) -> Any:
        """Return the capture's own tracer of a scope."""
        key = (name, version)
        if key not in self._own:
            self._own[key] = self._provider.get_tracer(name, version)
        return self._own[key]

    def owns(self, tracer: object) -> bool:
        """Tell whether a tracer is one of the capture's."""
        return any(own is tracer for own in self._own.values())

    def install(self) -> None:
        """Let all tracers of the process lead here."""
        self._before = (active.tracer, active.provider, active.pending)
        active.tracer, active.provider, active.pending = self.tracer(active.SCOPE_NAME), self._provider, None
        _captures.append(self)
        for kind in _classes(ApiTracer):
            for starter in _STARTERS:
                _patch(kind, starter)

    def remove(self) -> None:
        """Put everything back as it was."""
        _captures.remove(self)
        active.tracer, active.provider, active.pending = self._before
        if not _captures:
            while _patched:
                kind, starter, original = _patched.pop()
                setattr(kind, starter, original)


class _Collector:
    """A span processor that keeps what it sees."""

    def __init__(self, spans: Spans, clock: Callable[[], int] | None) -> None:
        self._spans = spans
        self._clock = clock

    def on_start(self, span: Any, parent_context: Any = None) -> None:  # noqa: ARG002 - the SDK names it
        """Keep a span from its start, so that one that never ends is known too."""
        self._spans.add(span, self._clock)

    def on_end(self, span: Any) -> None:
        """Note that a span has ended."""
        self._spans.ended(span)

    def shutdown(self) -> None:
        """What was captured stays."""

    def force_flush(self, _timeout_millis: int = 30000) -> bool:
        """Return True: nothing is waited for."""
        return True


def _classes(base: type) -> Iterator[type]:
    kind: type
    for kind in base.__subclasses__():
        yield kind
        yield from _classes(kind)


def _patch(kind: type, starter: str) -> None:
    original = vars(kind).get(starter)
    if original is None or any(one is kind and name == starter for one, name, _ in _patched):
        return

    def start(self: Any, *args: Any, **kwargs: Any) -> Any:
        capture = _captures[-1] if _captures else None
        if capture is None or capture.owns(self):
            return original(self, *args, **kwargs)
        return getattr(capture.tracer(*_scope(self)), starter)(*args, **kwargs)

    setattr(kind, starter, start)
    _patched.append((kind, starter, original))


def _scope(tracer: Any) -> tuple[str, str | None]:
    """Return name and version of a tracer's instrumentation scope: ours, the SDK's or a proxy's."""
    scope = getattr(tracer, "_scope", None) or getattr(tracer, "_instrumentation_scope", None)
    if scope is not None:
        return scope.name, scope.version
    name = getattr(tracer, "_instrumenting_module_name", None) or type(tracer).__name__
    return name, getattr(tracer, "_instrumenting_library_version", None)
