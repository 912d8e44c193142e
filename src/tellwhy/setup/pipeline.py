# SPDX-License-Identifier: Apache-2.0
"""The provider with everything in it: built when the first span needs it, changed when settings change."""

from __future__ import annotations

from tellwhy import diagnostics, resource
from tellwhy.engine import active
from tellwhy.settings import ROWS
from tellwhy.setup import components, engines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tellwhy.resource import Identity
    from tellwhy.settings import Settings


class Pipeline:
    """
    One provider and what spans go through behind it.

    Args:

        settings: What it is made from.

        identity: The service's name and version.
    """

    def __init__(self, settings: Settings, identity: Identity) -> None:
        self.settings = settings
        self.processors = self._processors()
        self.adopted = False
        self.provider = self._provider(identity)

    def _processors(self) -> list[Any]:
        return [
            components.processor(name, exporter, self.settings)
            for name, exporter in components.exporters(self.settings)
        ]

    def _provider(self, identity: Identity) -> Any:
        from opentelemetry import trace

        settings = self.settings
        present = trace._TRACER_PROVIDER
        if present is not None and hasattr(present, "add_span_processor"):
            # The program set a provider of its own before us: it stays, and what
            # it makes goes our way too.
            for processor in self.processors:
                present.add_span_processor(processor)
            self.adopted = True
            diagnostics.debug("the program's own TracerProvider is used; spans are exported beside it")
            return present
        provider = engines.build(settings, resource.describe(settings, identity), self.processors)
        trace._set_tracer_provider(provider, log=False)
        return provider

    def change(self, settings: Settings, identity: Identity) -> None:
        """Take other settings into force; spans that are queued still go where they were meant to."""
        exporting = _exporting(settings) != _exporting(self.settings)
        self.settings = settings
        if not self.adopted:
            self.provider.reconfigure(
                resource_attributes=resource.describe(settings, identity), sampler=engines.sampler(settings)
            )
        if exporting and not self.adopted:
            before, self.processors = self.processors, self._processors()
            self.provider.replace_processors(self.processors)
            for processor in before:
                processor.shutdown()

    def flush(self, timeout: float) -> bool:
        """Deliver what is queued within a number of seconds; True if all of it was."""
        return bool(self.provider.force_flush(int(timeout * 1000)))

    def shutdown(self) -> None:
        """Deliver what is queued, and stop. A provider of the program's own is left to the program."""
        for processor in self.processors:
            try:
                processor.shutdown()
            except Exception as error:
                diagnostics.fault("shutdown", error)
        active.deactivate()


def _exporting(settings: Settings) -> tuple[Any, ...]:
    """Return what the exporters and their queues are made from."""
    return tuple(getattr(settings, name) for name in ROWS if name.startswith(("exporter_", "bsp_", "traces_exporter")))
