# SPDX-License-Identifier: Apache-2.0
"""
The official engine: OpenTelemetry's own provider, made from the same parts as ours.

``TELLWHY_ENGINE=sdk`` chooses it: the way out for those who must, and what our
own engine is compared with.
"""

from __future__ import annotations

import threading

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.sdk.trace.id_generator import IdGenerator
    from opentelemetry.sdk.trace.sampling import Sampler


class OfficialProvider(TracerProvider):
    """The SDK's provider, whose parts can be exchanged when tracing is set up again."""

    after_fork: Callable[[], Mapping[str, Any]] | None = None
    """Gives a forked child's own resource attributes; the SDK alone would overwrite a user's instance id."""

    def _handle_fork(self) -> None:
        """
        Leave out what the SDK does in a forked child.

        It runs resource detectors in a thread pool there, which deadlocks if
        ``concurrent.futures`` was imported after the provider was made: its own
        fork handler, which frees its lock, then runs later.
        """

    def become_child(self) -> None:
        """Start over in a forked child; called by whoever knows of all forks, also of those that Python is not told."""
        self._tracers_lock = threading.Lock()
        if self.after_fork is not None:
            self.reconfigure(resource_attributes={**self._resource.attributes, **self.after_fork()})

    def reconfigure(
        self,
        *,
        resource_attributes: Mapping[str, Any] | None = None,
        sampler: Sampler | None = None,
    ) -> None:
        """
        Exchange parts, also for tracers that are already handed out; None leaves one as it is.

        Args:

            resource_attributes: What the resource becomes, whole.

            sampler: Who decides from now on.
        """
        with self._tracers_lock:
            if resource_attributes is not None:
                self._resource = Resource(resource_attributes)
            if sampler is not None:
                self.sampler = sampler
            for tracer in self._tracers.values():
                tracer.resource = self._resource
                tracer.sampler = self.sampler

    def replace_processors(self, processors: Iterable[SpanProcessor]) -> None:
        """Send what ends from now on through these processors alone; the old ones are not shut down."""
        self._active_span_processor._span_processors = tuple(processors)


class OfficialBatchSpanProcessor(BatchSpanProcessor):
    """The SDK's batch processor, which can be told how long to wait at shutdown: alone it waits for 30 s."""

    def shutdown_within(self, timeout: float) -> None:
        """Deliver what is queued within a number of seconds, and stop."""
        self._batch_processor.shutdown(int(timeout * 1000))


def build(
    resource_attributes: Mapping[str, Any],
    sampler: Sampler,
    limits: Mapping[str, int | None],
    id_generator: IdGenerator | None,
    processors: Iterable[SpanProcessor],
) -> OfficialProvider:
    """
    Return the SDK's provider with these parts in it.

    Args:

        resource_attributes: The resource, whole.

        sampler: The sampler that decides at the start of each span.

        limits: Keywords of the SDK's ``SpanLimits``; None is without limit.

        id_generator: Where ids come from; None for the SDK's random ones.

        processors: What ended spans go through.
    """
    provider = OfficialProvider(
        sampler=sampler,
        resource=Resource(resource_attributes),
        shutdown_on_exit=False,
        id_generator=id_generator,
        span_limits=SpanLimits(
            **{name: SpanLimits.UNSET if value is None else value for name, value in limits.items()}
        ),
    )
    for processor in processors:
        provider.add_span_processor(processor)
    return provider
