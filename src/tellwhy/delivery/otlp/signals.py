# SPDX-License-Identifier: Apache-2.0
"""The OTLP/HTTP exporters of log records and of metrics: the spans' exporter with another signal's encoder."""

from __future__ import annotations

from tellwhy.delivery.otlp.exporter import OTLPExporter
from tellwhy.delivery.signal import LOGS, METRICS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class OTLPLogExporter(OTLPExporter):
    """Sends log entries (``tellwhy.logs.entries``); the arguments are those of ``OTLPExporter``."""

    signal = LOGS

    def _load_codec(self, protocol: str) -> Any:
        from tellwhy.delivery.otlp import encoder_logs

        return encoder_logs.Json if protocol == "http/json" else encoder_logs


class OTLPMetricExporter(OTLPExporter):
    """Sends collections of metrics (the SDK's ``MetricsData``); the arguments are those of ``OTLPExporter``."""

    signal = METRICS

    def _load_codec(self, protocol: str) -> Any:
        from tellwhy.delivery.otlp import encoder_metrics

        return encoder_metrics.Json if protocol == "http/json" else encoder_metrics


EXPORTERS = {LOGS: OTLPLogExporter, METRICS: OTLPMetricExporter}
