# SPDX-License-Identifier: Apache-2.0
"""
What do instrumentations log that use OpenTelemetry's own logs API? Events, mostly; they go the same way.

https://opentelemetry.io/docs/specs/otel/logs/api/. While log records are exported,
``opentelemetry._logs.get_logger(...)`` gives loggers whose records are delivered.
"""

from __future__ import annotations

from time import time_ns

from opentelemetry import _logs as api
from opentelemetry._logs import _internal as api_internal

from tellwhy import diagnostics, redaction
from tellwhy.logs.entries import LogEntry, LogFields, LoggerScope, exception_attributes
from tellwhy.logs.jsonable import jsonable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Sink = Callable[[Any], None]


class LoggerProvider(api.LoggerProvider):
    """
    Makes loggers whose records are exported.

    Args:

        sink: Takes each entry; None for nobody.
    """

    def __init__(self, sink: Sink | None) -> None:
        self.sink = sink

    def get_logger(
        self, name: str, version: str | None = None, schema_url: str | None = None, attributes: Any = None
    ) -> api.Logger:
        """Return a logger of this instrumentation scope."""
        return _Logger(self, LoggerScope(name, version or "", schema_url or "", attributes))


def put(provider: LoggerProvider) -> None:
    """Make ours the global provider, unless the program has set one, and until it sets one."""
    if api_internal._LOGGER_PROVIDER is None:
        api_internal._LOGGER_PROVIDER = provider  # not by set_logger_provider, which takes the first one only


def take_away(provider: LoggerProvider) -> None:
    """Leave no global provider behind, if it is still ours."""
    provider.sink = None
    if api_internal._LOGGER_PROVIDER is provider:
        api_internal._LOGGER_PROVIDER = None


class _Logger(api.Logger):
    def __init__(self, provider: LoggerProvider, scope: LoggerScope) -> None:
        self._provider = provider
        self._scope = scope

    def emit(self, record: api.LogRecord | None = None, **fields: Any) -> None:
        """Let a record be exported; never raises."""
        sink = self._provider.sink
        if sink is None:
            return
        try:
            sink(_ApiEntry(self._scope, record or api.LogRecord(**fields)))
        except Exception as error:
            diagnostics.fault("logs: exporting a record", error)

    def enabled(self, *_: Any, **__: Any) -> bool:
        """Tell whether somebody exports."""
        return self._provider.sink is not None


class _ApiEntry(LogEntry):
    __slots__ = ("_attributes", "_content", "_record")

    def __init__(self, scope: LoggerScope, record: api.LogRecord) -> None:
        self.instrumentation_scope = scope
        self._record = record
        self._content = jsonable(record.body) if record.body is not None else None
        self._attributes = {str(name): jsonable(value) for name, value in (record.attributes or {}).items()}
        exception = getattr(record, "exception", None)
        if exception is not None:
            self._attributes.update(exception_attributes(exception))

    def fields(self) -> LogFields:
        """Return what is exported, without secrets and within the limits."""
        record, fields = self._record, LogFields()
        fields.observed_time = record.observed_timestamp or time_ns()
        fields.time = record.timestamp or fields.observed_time
        number = record.severity_number
        fields.severity_number = number.value if number is not None else 0
        fields.severity_text = record.severity_text or ""
        fields.body = redaction.redact_value("body", self._content, text=True)
        fields.trace_id = record.trace_id.to_bytes(16, "big") if record.trace_id else b""
        fields.span_id = (record.span_id or 0).to_bytes(8, "big") if record.trace_id else b""
        fields.flags = int(record.trace_flags or 0) if record.trace_id else 0
        fields.event_name = record.event_name or ""
        attributes = redaction.redact_attributes(self._attributes) or self._attributes
        fields.attributes, fields.dropped_attributes = self._limited(attributes)
        return fields
