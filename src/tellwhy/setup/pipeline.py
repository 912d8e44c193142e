# SPDX-License-Identifier: Apache-2.0
"""The provider with everything in it: built when the first span needs it, changed when settings change."""

from __future__ import annotations

import time

from tellwhy import diagnostics, redaction, resource
from tellwhy.delivery.leaving.lifecycle import Lifecycle
from tellwhy.settings import ROWS
from tellwhy.setup import components, engines, foreign

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from tellwhy.resource import Identity
    from tellwhy.settings import Settings
    from tellwhy.setup.logs import LogExport
    from tellwhy.setup.metrics import Metrics


_OF_EXPORT = (
    "sql",
    "exporter_",
    "bsp_",
    "blrp_",
    "logrecord_",
    "metric",
    "span_metrics",
    "traces_exporter",
    "logs_exporter",
    "spans_per_trace",
    "open_spans",
)


class Pipeline:
    """
    One provider and what spans go through behind it.

    Args:

        settings: What it is made from.

        identity: The service's name and version.
    """

    def __init__(self, settings: Settings, identity: Identity) -> None:
        self.settings = settings
        self.metrics = self._counting(identity)
        self._make_processors()
        self.adopted = False
        self.provider = self._provider(identity)
        self.logs = self._log_export()
        if self.metrics is not None:
            self.metrics.build(settings)
        self.lifecycle = Lifecycle(settings.exit_budget, open_spans=getattr(self.provider, "open_spans", None))
        self._take_part()
        self.lifecycle.install()
        self._start()

    def _start(self) -> None:
        if self.logs is not None:
            self.logs.start()
        if self.metrics is not None:
            self.metrics.start()
            for one in self._delivering():
                if hasattr(one, "publish"):
                    one.publish(self.metrics.provider)

    def _stop(self) -> None:
        if self.logs is not None:
            self.logs.stop()
        if self.metrics is not None:
            self.metrics.stop()

    def _take_part(self) -> None:
        """Put everyone who delivers under the one deadline of the exit."""
        self._leave = [
            self.lifecycle.add(one) if hasattr(one, "leave") else self.lifecycle.add_provider(one)
            for one in self._delivering()
        ]

    def _delivering(self) -> list[Any]:
        return [
            *self.processors,
            *(self.logs.outboxes if self.logs is not None else ()),
            *(self.metrics.members if self.metrics is not None else ()),
        ]

    def _of_spans(self) -> list[Any]:
        """Return everyone who gets spans, those first who only count them."""
        return [*((self.metrics.spans,) if self.metrics is not None else ()), *self._front]

    def _counting(self, identity: Identity) -> Metrics | None:
        if self.settings.metrics_exporter == ("none",):
            return None
        from tellwhy.setup.metrics import Metrics

        return Metrics(self.settings, identity.name, self.resource)

    def _log_export(self) -> LogExport | None:
        if self.settings.logs_exporter == ("none",):
            return None
        from tellwhy.setup.logs import LogExport

        return LogExport(self.settings, self.resource)

    def resource(self) -> Any:
        """Return who this process is, as the spans say it: ours, or the SDK's object."""
        core = getattr(self.provider, "_core", None)
        return core.resource if core is not None else getattr(self.provider, "resource", None)

    def _make_processors(self) -> None:
        """Make those who deliver, and what the provider gets of them."""
        settings = self.settings
        redaction.sql_mode = settings.sql
        delivering = [
            components.processor(name, exporter, settings) for name, exporter in components.exporters(settings)
        ]
        self._front, self.processors = components.intake(delivering, settings)

    def _provider(self, identity: Identity) -> Any:
        from opentelemetry import trace

        theirs = foreign.present(trace)
        if theirs is not None:
            foreign.add(theirs, self._of_spans())
            self.adopted = True
            return theirs
        attributes = resource.describe(self.settings, identity)
        provider = engines.build(self.settings, attributes, self._of_spans())
        foreign.put(trace, provider)
        return provider

    def adopt(self, theirs: Any) -> None:
        """Go on with a provider that the program has set after ours, if it takes our processors."""
        if theirs is self.provider or not hasattr(theirs, "add_span_processor"):
            return
        foreign.add(theirs, self._of_spans())
        if not self.adopted:
            foreign.hand_over(self.provider, theirs)
        self.provider = theirs
        self.adopted = True

    def change(self, settings: Settings, identity: Identity) -> None:
        """Take other settings into force; spans that are queued still go where they were meant to."""
        exporting = _exporting(settings) != _exporting(self.settings)
        self.settings = settings
        if not self.adopted:
            self.provider.reconfigure(
                resource_attributes=resource.describe(settings, identity),
                sampler=engines.sampler(settings),
                **engines.exclusion(settings),
            )
        if exporting:
            before = self._delivering()
            self._stop()
            self.metrics = self._counting(identity)
            self._make_processors()
            self.logs = self._log_export()
            if self.metrics is not None:
                self.metrics.build(settings)
            for leave in self._leave:
                leave()
            self._take_part()
            self._start()
            if self.adopted:
                foreign.add(self.provider, self._of_spans())
            else:
                self.provider.replace_processors(self._of_spans())
            _shut_down(before, settings.exit_budget / 1000)

    def flush(self, timeout: float) -> bool:
        """Deliver what is queued within a number of seconds; True if all of it was."""
        return self.lifecycle.flush(timeout)

    def shutdown(self, timeout: float) -> None:
        """
        Deliver what is queued, and stop. A provider of the program's own is left to the program.

        Args:

            timeout: The longest wait for all of it, in seconds.
        """
        from opentelemetry import trace

        self.lifecycle.uninstall()
        self._stop()
        _shut_down(self._delivering(), timeout)
        if not self.adopted:
            self.provider.replace_processors([])
            foreign.take_away(trace, self.provider)


def _shut_down(processors: Iterable[Any], timeout: float) -> None:
    end = time.monotonic() + timeout
    for processor in processors:
        # The interface has no timeout; a processor that takes one is told what is left.
        bounded = getattr(processor, "shutdown_within", None)
        try:
            if bounded is not None:
                bounded(max(0.0, end - time.monotonic()))
            else:
                processor.shutdown()
        except Exception as error:
            diagnostics.fault("shutdown", error)


def _exporting(settings: Settings) -> tuple[Any, ...]:
    """Return what the exporters, their queues and the intake are made from."""
    return tuple(getattr(settings, name) for name in ROWS if name.startswith(_OF_EXPORT))
