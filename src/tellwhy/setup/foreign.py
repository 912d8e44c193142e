# SPDX-License-Identifier: Apache-2.0
"""
What if the program sets a ``TracerProvider`` of its own? It stays the global one.

OpenTelemetry's API takes the first provider that is set and refuses all others
with a warning. So ours is put in place without using up that one chance: what
the program sets later, it gets, as it would without us; our processors are then
added to it, and it is told where our own spans go from then on.
"""

from __future__ import annotations

from tellwhy import diagnostics

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import ModuleType
    from typing import Any

_BUSY = ("opentelemetry.sdk", "opentelemetry.exporter", "tellwhy.engine")


def present(trace: Any) -> Any:
    """Return the provider that the program set and that takes our processors, or None."""
    provider = trace._TRACER_PROVIDER
    return provider if hasattr(provider, "add_span_processor") else None


def put(trace: Any, provider: Any) -> None:
    """Make ours the global provider, unless the program has set one, and until it sets one."""
    if trace._TRACER_PROVIDER is None:
        trace._TRACER_PROVIDER = provider  # not by set_tracer_provider: see above


def take_away(trace: Any, provider: Any) -> None:
    """Leave no global provider behind, if it is still ours."""
    if trace._TRACER_PROVIDER is provider:
        trace._TRACER_PROVIDER = None


def add(theirs: Any, processors: Sequence[Any]) -> None:
    """Let what their provider makes go our way too."""
    for processor in processors:
        theirs.add_span_processor(processor)
    diagnostics.debug("the program's own TracerProvider is used; its spans are exported here too")


def hand_over(ours: Any, theirs: Any) -> None:
    """Let tracers that ours has handed out make what theirs would make, and deliver it there."""
    ours.reconfigure(resource_attributes=dict(theirs.resource.attributes), sampler=theirs.sampler)
    ours.replace_processors([theirs._active_span_processor])


class Watch:
    """
    Tells of what happens to the global provider; one per process.

    Args:

        trace: The module ``opentelemetry.trace``.
    """

    def __init__(self, trace: Any) -> None:
        self.first_need: Callable[[], object] | None = None
        """Called when a tracer that was asked for before there was a provider is first used."""
        self.adopt: Callable[[Any], object] | None = None
        """Called with a provider that the program has set."""
        original_set = trace._set_tracer_provider
        original_tracer = trace.ProxyTracer._tracer.fget

        def _set_tracer_provider(tracer_provider: Any, log: bool) -> None:
            original_set(tracer_provider, log)
            if self.adopt is not None and trace._TRACER_PROVIDER is tracer_provider:
                _guarded(self.adopt, tracer_provider)

        def _tracer(proxy: Any) -> Any:
            if self.first_need is not None and trace._TRACER_PROVIDER is None:
                _guarded(self.first_need)
            return original_tracer(proxy)

        trace._set_tracer_provider = _set_tracer_provider
        trace.ProxyTracer._tracer = property(_tracer)


_watch: Watch | None = None


def watch(trace: Any) -> Watch:
    """Return the watch over the API module, set up at the first call."""
    global _watch
    if _watch is None:
        _watch = Watch(trace)
    return _watch


def _guarded(action: Callable[..., object], *arguments: Any) -> None:
    try:
        action(*arguments)
    except Exception as error:
        diagnostics.fault("the care for a TracerProvider", error)


def is_being_imported(modules: Mapping[str, ModuleType]) -> bool:
    """Tell whether a part of the SDK is half imported, so that nothing can be built of it yet."""
    return any(
        name.startswith(_BUSY) and getattr(getattr(module, "__spec__", None), "_initializing", False)
        for name, module in list(modules.items())
    )
