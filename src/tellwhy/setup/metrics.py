# SPDX-License-Identifier: Apache-2.0
"""
Metrics: the SDK's provider for the program's own instruments, our counts of spans, and where both go.

Built only when ``OTEL_METRICS_EXPORTER`` names something.
"""

from __future__ import annotations

from opentelemetry.metrics import _internal as api_internal
from opentelemetry.sdk.metrics import (
    AlwaysOffExemplarFilter,
    AlwaysOnExemplarFilter,
    MeterProvider,
    TraceBasedExemplarFilter,
)
from opentelemetry.sdk.resources import Resource

from tellwhy import diagnostics
from tellwhy.delivery.foreign import in_our_terms
from tellwhy.delivery.leaving import fork
from tellwhy.delivery.signal import METRICS
from tellwhy.metrics.push import Push
from tellwhy.metrics.reader import Reader
from tellwhy.metrics.spans import SpanMetrics
from tellwhy.setup import components, otlp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from opentelemetry.sdk.metrics import ExemplarFilter

    from tellwhy.settings import Settings

_FILTERS: dict[str, Callable[[], ExemplarFilter]] = {
    "trace_based": TraceBasedExemplarFilter,
    "always_on": AlwaysOnExemplarFilter,
    "always_off": AlwaysOffExemplarFilter,
}
_OFF = (("off",), ("false",), ("none",))


class Metrics:
    """
    Everything about metrics of one pipeline.

    Args:

        settings: What it is made from.

        service_name: Whose spans are counted.

        resource: Returns who this process is, as the spans say it.
    """

    def __init__(self, settings: Settings, service_name: str, resource: Callable[[], Any]) -> None:
        self._resource = resource
        words = settings.span_metrics
        # What is scraped has no exponential buckets, and one count serves all readers.
        self._exponential = (
            settings.exporter_otlp_metrics_default_histogram_aggregation == "base2_exponential_bucket_histogram"
            and "prometheus" not in settings.metrics_exporter
        )
        self.spans = SpanMetrics(
            service_name,
            [word for word in words if word not in ("on", "off", "true", "false", "none")],
            exponential=self._exponential,
            by_span=words not in _OFF,
            with_exemplars=settings.metrics_exemplar_filter != "always_off",
        )
        self.members: list[Any] = []
        self.provider: MeterProvider | None = None
        self._forget: Callable[[], None] | None = None

    def build(self, settings: Settings) -> None:
        """Make exporters and provider; there must be a resource by now."""
        self.members = [
            member for name in settings.metrics_exporter if (member := self._member(name, settings)) is not None
        ]
        self.provider = MeterProvider(
            metric_readers=[member.reader for member in self.members],
            resource=self.sdk_resource(),
            exemplar_filter=_FILTERS[settings.metrics_exemplar_filter](),
            shutdown_on_exit=False,
        )
        self._forget = fork.on_child(self._in_child)

    def start(self) -> None:
        """Put the provider in place and begin to gather."""
        assert self.provider is not None
        _put(self.provider)
        for member in self.members:
            member.start()

    def stop(self) -> None:
        """Take the provider away, if it is still ours."""
        if self._forget is not None:
            self._forget()
        if api_internal._METER_PROVIDER is self.provider:
            api_internal._METER_PROVIDER = None

    def sdk_resource(self) -> Resource:
        """Return who this process is, as the SDK's object."""
        resource = self._resource()
        found: Resource = resource.sdk() if hasattr(resource, "sdk") else resource
        return found

    def _member(self, name: str, settings: Settings) -> Any:
        if name == "none":
            return None
        make = self._scraped if name == "prometheus" else self._pushed
        return components.made(f"OTEL_METRICS_EXPORTER={name}", lambda: make(name, settings))

    def _pushed(self, name: str, settings: Settings) -> Push:
        exporter = _exporter(name, settings)
        reader = Reader(
            self.spans,
            self.sdk_resource,
            temporality=settings.exporter_otlp_metrics_temporality_preference,
            exponential=self._exponential,
        )
        return Push(
            exporter,
            reader,
            interval=settings.metric_export_interval / 1000,
            export_timeout=settings.metric_export_timeout / 1000,
            exit_budget=settings.exit_budget / 1000,
        )

    def _scraped(self, _name: str, settings: Settings) -> Any:
        from tellwhy.metrics.scrape import Scrape

        host, port = settings.exporter_prometheus_host, settings.exporter_prometheus_port
        reader = Reader(self.spans, self.sdk_resource)
        return Scrape(reader, self.sdk_resource, host, port, self.spans.service_name)

    def _in_child(self) -> None:
        self.spans.reset()
        for member in self.members:
            member.reader.after_fork_in_child(self.provider)


def _exporter(name: str, settings: Settings) -> Any:
    if name == "otlp":
        return otlp.exporter(METRICS, settings)
    if name == "console":
        from opentelemetry.sdk.metrics.export import ConsoleMetricExporter

        return in_our_terms(ConsoleMetricExporter(), METRICS)
    return in_our_terms(components.factory("opentelemetry_metrics_exporter", name)(), METRICS)


def _put(provider: MeterProvider) -> None:
    """
    Make ours the global provider, unless the program has set one, and until it sets one.

    Not by ``set_meter_provider``, which takes the first provider only: the
    program's own, set later, would be refused.
    """
    if api_internal._METER_PROVIDER is not None:
        diagnostics.debug("the program's own MeterProvider stays; spans are counted and exported beside it")
        return
    api_internal._METER_PROVIDER = provider
    proxy: Any = getattr(api_internal, "_PROXY_METER_PROVIDER", None)
    if proxy is not None:
        proxy.on_set_meter_provider(provider)  # instruments that were made before become real
