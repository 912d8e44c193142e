# SPDX-License-Identifier: Apache-2.0
"""
Who makes the spans of one instrumentation: the tracer in force, or none.

A patched function asks on every call, so the answer is one comparison while
nothing changes. OpenTelemetry is loaded when there is a first span to make.
"""

from __future__ import annotations

import sys

from tellwhy._version import __version__
from tellwhy.engine import active

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from opentelemetry.trace import TracerProvider

_NOBODY = object()


class Spans:
    """
    The tracer of one instrumentation.

    Args:

        scope: The name under which its spans are exported.

        provider: Makes the spans; None for whatever provider is in force.

    Attributes:

        lean: Whether the tracer is tellwhy's own, so that ``begin`` may be used.

        eager: Whether attributes are needed at the start: the sampler may look at
            them, a processor looks at spans that start, or neither is ours to know.

        drops_roots: Whether a span without a parent is dropped in any case.
    """

    __slots__ = (
        "_basis",
        "_on_start",
        "_provider",
        "_root",
        "_sampler",
        "_tracer",
        "drops_roots",
        "eager",
        "lean",
        "on",
        "scope",
    )

    def __init__(self, scope: str, provider: TracerProvider | None = None) -> None:
        self.scope = scope
        self.on = True
        self._provider = provider
        self._basis: Any = _NOBODY
        self._tracer: Any = None
        self._sampler: Any = None
        self._root: Any = None  # changes without the sampler where somebody begins to count spans
        self._on_start: Any = None
        self.lean = False
        self.eager = True
        self.drops_roots = False

    def current(self) -> Any:
        """Return the tracer in force; None if there is none, or this instrumentation was taken away."""
        basis = active.tracer
        if basis is None or basis is not self._basis:
            return self._look()
        tracer = self._tracer
        if self.lean:
            core = tracer._core
            if core.root is not self._root or core.sampler is not self._sampler or core.on_start is not self._on_start:
                self._judge()
        return tracer

    def prepare(self) -> None:
        """
        See to it that there is a provider before OpenTelemetry's API is imported for any other reason.

        Its import is a moment at which the setup builds one, and our own modules
        must not be half imported then.
        """
        self.current()

    def off(self) -> None:
        """Make no more spans: for a patched function that could not be put back."""
        self.on = False
        self._tracer = None
        self._basis = _NOBODY

    def _look(self) -> Any:
        if not self.on:
            return None
        basis: Any = active.get_tracer() if self._provider is None else self._provider
        provider = self._provider or active.provider
        if basis is None:
            # Not set up by tellwhy: a provider that the program has installed itself.
            provider = basis = getattr(sys.modules.get("opentelemetry.trace"), "_TRACER_PROVIDER", None)
        if provider is None:
            self._tracer = None
            return None
        if basis is not self._basis:
            self._tracer = provider.get_tracer(self.scope, __version__)
            self._basis = basis
        self._judge()
        return self._tracer

    def _judge(self) -> None:
        """Find out what may be relied on with the tracer."""
        tracer = self._tracer
        self.lean = hasattr(tracer, "_core") and hasattr(tracer, "begin")
        self.eager, self.drops_roots = True, False
        if self.lean:
            from tellwhy.engine.samplers import DROP, reads_attributes

            core = tracer._core
            self._sampler, self._root, self._on_start = core.sampler, core.root, core.on_start
            plan = (core.root, core.remote_sampled, core.remote_unsampled, core.local_sampled, core.local_unsampled)
            self.eager = core.reads_start or any(map(reads_attributes, plan))
            self.drops_roots = core.root is DROP
