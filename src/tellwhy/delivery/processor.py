# SPDX-License-Identifier: Apache-2.0
"""
What happens to a span when it ends? It is put into a bounded queue, and nothing else.

A drop-in for the SDK's ``BatchSpanProcessor``, for any ``SpanExporter``. Ending
a span never blocks and never raises: everything slow is the courier's.
"""

from __future__ import annotations

import os

from tellwhy import diagnostics
from tellwhy.delivery.outbox import Outbox

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span

    from tellwhy.delivery.queue import SpanQueue
    from tellwhy.delivery.snapshots import OpenSpans


class BatchSpanProcessor(Outbox):
    """
    Queues ended spans and delivers them in batches, on one thread that starts with the first span.

    Whatever is not given comes from the environment, with the specification's names and defaults.

    Args:

        span_exporter: Any OpenTelemetry ``SpanExporter``.

        max_queue_size: Most spans that wait, 2048 by default; beyond it the oldest are dropped and counted.

        schedule_delay_millis: Longest wait of a span in the queue, 5000 by default. The first
            batch of a process goes out after a second at the latest.

        max_export_batch_size: Most spans in one export, 512 by default.

        export_timeout_millis: Longest time for one attempt at a batch, 30000 by default.

        meter_provider: If given, the counts are published under the SDK's own metric names; the
            global one if ``OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED`` is true.

        exit_budget_millis: The most that ``shutdown()`` waits, 2000 by default (``TELLWHY_EXIT_BUDGET``).

        spool_dir: Keeps undelivered batches on disk here (``TELLWHY_SPOOL_DIR``); with our OTLP exporter only.

    Raises:
        ValueError: If a number is not positive, or a batch larger than the queue.
    """

    def __init__(
        self,
        span_exporter: Any,
        max_queue_size: int | None = None,
        schedule_delay_millis: float | None = None,
        max_export_batch_size: int | None = None,
        export_timeout_millis: float | None = None,
        *,
        meter_provider: Any = None,
        exit_budget_millis: float | None = None,
        spool_dir: str | None = None,
    ) -> None:
        given = _Defaults(max_queue_size, schedule_delay_millis, max_export_batch_size, export_timeout_millis,
                          exit_budget_millis, spool_dir)  # fmt: skip
        self.span_exporter = span_exporter
        super().__init__(
            span_exporter,
            queue_size=given.queue_size,
            batch_size=given.batch_size,
            delay=given.delay / 1000,
            export_timeout=given.export_timeout / 1000,
            exit_budget=given.exit_budget / 1000,
            store=_store(given.spool_dir),
        )
        if meter_provider is None and os.environ.get("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"):
            meter_provider = _meters_of_the_environment()
        if meter_provider is not None:
            self.publish(meter_provider)

    # ------------------------------------------------ the SpanProcessor protocol

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Do nothing: what is open is not ours yet."""

    def _on_ending(self, span: Span) -> None:
        """Do nothing."""

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a sampled span. Never blocks, never raises; at the bound the oldest makes room."""
        try:
            # A span of our engine makes its context only when asked for it; the flags are at hand.
            flags = getattr(span, "_flags", None)
            if flags is None:
                context: Any = span.get_span_context()  # None in a span made by hand: a fault, told of once
                flags = context.trace_flags
            if flags & 1:
                self.put(span)
        except Exception as error:
            diagnostics.fault("the end of a span", error)

    def show_open(self, spans: OpenSpans) -> None:
        """Send what is open from time to time, too."""
        self._courier.snapshots = spans.sent_by(self._courier.call)

    @property
    def is_crowded(self) -> bool:
        """Whether half of the queue is taken."""
        return len(self._queue) * 2 >= self._queue.bound

    @property
    def direct_queue(self) -> SpanQueue | None:
        """
        The queue, for our engine: it appends sampled spans itself, a call less, and calls ``attend()`` when due.

        None in a subclass with an ``on_end`` of its own.
        """
        return self._queue if type(self).on_end is BatchSpanProcessor.on_end else None


class _Defaults:
    """The constructor's numbers: given, else the environment's, else the specification's; checked."""

    def __init__(
        self,
        queue_size: int | None,
        delay: float | None,
        batch_size: int | None,
        export_timeout: float | None,
        exit_budget: float | None,
        spool_dir: str | None,
    ) -> None:
        if None in (queue_size, delay, batch_size, export_timeout, exit_budget, spool_dir):
            from tellwhy.settings.load import load

            settings, _ = load(os.environ)
            queue_size = settings.bsp_max_queue_size if queue_size is None else queue_size
            delay = settings.bsp_schedule_delay if delay is None else delay
            if batch_size is None:
                batch_size = min(settings.bsp_max_export_batch_size, queue_size)
            export_timeout = settings.bsp_export_timeout if export_timeout is None else export_timeout
            exit_budget = settings.exit_budget if exit_budget is None else exit_budget
            spool_dir = settings.spool_dir if spool_dir is None else spool_dir
        assert queue_size is not None and delay is not None and batch_size is not None
        assert export_timeout is not None and exit_budget is not None
        if queue_size <= 0:
            raise ValueError("max_queue_size must be a positive integer.")
        if delay <= 0:
            raise ValueError("schedule_delay_millis must be positive.")
        if batch_size <= 0:
            raise ValueError("max_export_batch_size must be a positive integer.")
        if batch_size > queue_size:
            raise ValueError("max_export_batch_size must be less than or equal to max_queue_size.")
        self.queue_size = queue_size
        self.delay = delay
        self.batch_size = batch_size
        self.export_timeout = export_timeout
        self.exit_budget = exit_budget
        self.spool_dir = spool_dir


def _meters_of_the_environment() -> Any:
    """Return the global meter provider if the environment asks for the SDK's metrics of itself."""
    from tellwhy.delivery.self_metrics import asked_for

    if not asked_for():
        return None
    from opentelemetry.metrics import get_meter_provider

    return get_meter_provider()


def _store(folder: str | None) -> Any:
    if not folder:
        return None
    from tellwhy.delivery.disk.store import Store

    return Store(folder)
