# SPDX-License-Identifier: Apache-2.0
"""Log records on their way out: an outbox for each exporter that ``OTEL_LOGS_EXPORTER`` names."""

from __future__ import annotations

from tellwhy.delivery.foreign import in_our_terms
from tellwhy.delivery.leaving import fork
from tellwhy.delivery.outbox import Outbox
from tellwhy.delivery.signal import LOGS
from tellwhy.logs import api, capture
from tellwhy.logs.entries import LogEntry, come_from
from tellwhy.setup import components, otlp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tellwhy.settings import Settings


class LogExport:
    """
    The outboxes, and the capture of records that feeds them.

    Args:

        settings: What they are made from.

        resource: Returns who this process is.
    """

    def __init__(self, settings: Settings, resource: Callable[[], Any]) -> None:
        self.outboxes = [
            _outbox(exporter, settings)
            for name in settings.logs_exporter
            if (exporter := _made(name, settings)) is not None
        ]
        for outbox in self.outboxes:
            outbox.when_absent = self._fewer
        self._limit(settings)
        _load_encoding()
        come_from(resource)
        self._api: api.LoggerProvider | None = None
        self._forget = fork.on_child(capture.after_fork_in_child)

    def start(self) -> None:
        """Let records come; what was logged before is the first."""
        self._connect(self.outboxes)

    def stop(self) -> None:
        """Let no more records come."""
        self._connect([])
        if self._api is not None:
            api.take_away(self._api)
        self._forget()

    def _fewer(self) -> None:
        self._connect([outbox for outbox in self.outboxes if not outbox.is_absent])

    def _connect(self, outboxes: list[Outbox]) -> None:
        def put_into_all(entry: LogEntry) -> None:
            for outbox in outboxes:
                outbox.put(entry)

        sink = None if not outboxes else outboxes[0].put if len(outboxes) == 1 else put_into_all
        capture.send_to(sink)
        if self._api is not None:
            self._api.sink = sink
        elif sink is not None:
            self._api = api.LoggerProvider(sink)
            api.put(self._api)

    def _limit(self, settings: Settings) -> None:
        count, length = settings.logrecord_attribute_count_limit, settings.logrecord_attribute_value_length_limit
        LogEntry.max_attributes = settings.attribute_count_limit if count is None else count
        LogEntry.max_length = settings.attribute_value_length_limit if length is None else length


def _load_encoding() -> None:
    """Import now what encoding needs: on the worker's thread a fork could cut an import in two."""
    from tellwhy import redaction
    from tellwhy.delivery.otlp import encoder_logs  # noqa: F401  # so that it is loaded

    redaction.redact_text("token=x")
    redaction.redact_attributes({"url.full": "http://x/?token=x", "db.query.text": "SELECT 1"})


def _made(name: str, settings: Settings) -> Any:
    if name == "none":
        return None
    return components.made(f"OTEL_LOGS_EXPORTER={name}", lambda: _exporter(name, settings))


def _exporter(name: str, settings: Settings) -> Any:
    if name == "otlp":
        return otlp.exporter(LOGS, settings)
    if name == "console":
        from opentelemetry.sdk._logs.export import ConsoleLogRecordExporter

        return in_our_terms(ConsoleLogRecordExporter(), LOGS)
    return in_our_terms(components.factory("opentelemetry_logs_exporter", name)(), LOGS)


def _outbox(exporter: Any, settings: Settings) -> Outbox:
    return Outbox(
        exporter,
        queue_size=settings.blrp_max_queue_size,
        batch_size=settings.blrp_max_export_batch_size,
        delay=settings.blrp_schedule_delay / 1000,
        export_timeout=settings.blrp_export_timeout / 1000,
        exit_budget=settings.exit_budget / 1000,
        signal=LOGS,
    )
