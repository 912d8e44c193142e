# SPDX-License-Identifier: Apache-2.0
"""
How do OpenTelemetry's own exporters of logs and metrics deliver what waits in our outboxes?

Log entries become the SDK's records, collections go one by one. A gRPC receiver
that does not know the signal (UNIMPLEMENTED) is found out before the exporter
complains about it in the program's own log.
"""

from __future__ import annotations

from tellwhy.delivery.attempt import ForeignExporter
from tellwhy.delivery.signal import LOGS
from tellwhy.delivery.stats import ABSENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from tellwhy.delivery.attempt import Attempt
    from tellwhy.delivery.signal import Signal

_UNIMPLEMENTED = "UNIMPLEMENTED"


def in_our_terms(exporter: Any, signal: Signal) -> ForeignExporter:
    """Return an exporter of logs or metrics in the courier's terms."""
    return _ForeignLogExporter(exporter) if signal is LOGS else _ForeignMetricExporter(exporter)


class _ForeignSignalExporter(ForeignExporter):
    """Any exporter of a signal that a sound backend may not know."""

    def __init__(self, exporter: Any) -> None:
        super().__init__(exporter)
        self.unknown = ""
        _watch_stub(exporter, self._is_unknown)
        self.destination = getattr(exporter, "_endpoint", None) or self.destination

    def attempt(self, spans: Sequence[Any], deadline: float, pause: Callable[[], None]) -> Attempt:
        """Export once; how long it takes is the exporter's affair."""
        self.unknown = ""
        attempt = super().attempt(spans, deadline, pause)
        if self.unknown:
            attempt.dropped[ABSENT] = attempt.delivered
            attempt.delivered = 0
            attempt.fail(self.unknown, _UNIMPLEMENTED, refused=True, answered=True)
            attempt.absent = True
        return attempt

    def _is_unknown(self, words: str) -> None:
        self.unknown = words


class _ForeignLogExporter(_ForeignSignalExporter):
    def _export(self, spans: Sequence[Any]) -> Any:
        from opentelemetry._logs import LogRecord, SeverityNumber
        from opentelemetry.sdk._logs import ReadableLogRecord
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope

        records = []
        for entry in spans:
            fields, scope = entry.fields(), entry.instrumentation_scope
            record = LogRecord(
                timestamp=fields.time,
                observed_timestamp=fields.observed_time,
                severity_number=SeverityNumber(fields.severity_number),
                severity_text=fields.severity_text,
                body=fields.body,
                attributes=fields.attributes,
                event_name=fields.event_name or None,
            )
            record.trace_id = int.from_bytes(fields.trace_id, "big")
            record.span_id = int.from_bytes(fields.span_id, "big")
            record.trace_flags = fields.flags
            of_logger = InstrumentationScope(scope.name, scope.version, scope.schema_url, scope.attributes)
            records.append(ReadableLogRecord(record, _sdk_resource(entry.resource), of_logger))
        return self._exporter.export(records)


def _sdk_resource(resource: Any) -> Any:
    return resource.sdk() if hasattr(resource, "sdk") else resource


class _ForeignMetricExporter(_ForeignSignalExporter):
    def _export(self, spans: Sequence[Any]) -> Any:
        result: Any = None
        for collection in spans:
            result = self._exporter.export(collection)
            if getattr(result, "name", None) == "FAILURE":
                break
        return result


def _watch_stub(exporter: Any, tell: Callable[[str], None]) -> None:
    """Look at the answers to a gRPC exporter's calls; an exporter that is built otherwise is left alone."""
    stub: Any = getattr(exporter, "_stub", None)
    connect: Any = getattr(exporter, "_initialize_channel_and_stub", None)
    if stub is None or connect is None:
        return

    class Stub:
        def __init__(self, channel: Any) -> None:
            self._inner = stub(channel)

        def Export(self, *arguments: Any, **keywords: Any) -> Any:  # noqa: N802  # its name in the service
            from grpc import RpcError

            try:
                return self._inner.Export(*arguments, **keywords)
            except RpcError as error:
                call: Any = error  # it is the call, too
                if call.code().name != _UNIMPLEMENTED:
                    raise
                tell(f"{_UNIMPLEMENTED}: {call.details()}")
                return None  # no failure to the exporter, which would log it

    exporter._stub = Stub
    channel = getattr(exporter, "_channel", None)
    if channel is not None:
        channel.close()
    connect()
