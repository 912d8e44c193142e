# SPDX-License-Identifier: Apache-2.0
"""The OTLP/HTTP exporters of log records and of metrics: the spans' exporter with another signal's encoder."""

from __future__ import annotations

from tellwhy.delivery.otlp import OTLPExporter
from tellwhy.delivery.signal import LOGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class OTLPLogExporter(OTLPExporter):
    """Sends log entries (``tellwhy.logs.entries``); the arguments are those of ``OTLPExporter``."""

    signal = LOGS

    def _load_codec(self, protocol: str) -> Any:
        from tellwhy.delivery import encoder_logs

        return encoder_logs.Json if protocol == "http/json" else encoder_logs


EXPORTERS = {LOGS: OTLPLogExporter}
