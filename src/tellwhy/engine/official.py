# SPDX-License-Identifier: Apache-2.0
"""
The official engine: OpenTelemetry's own provider, made from the same parts as ours.

``TELLWHY_ENGINE=sdk`` chooses it: the way out for those who must, and what our
own engine is compared with.
"""

from __future__ import annotations

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.sdk.trace.id_generator import IdGenerator
    from opentelemetry.sdk.trace.sampling import Sampler


class OfficialProvider(TracerProvider):
    """The SDK's provider, whose parts can be exchanged when tracing is set up again."""

    after_fork: Callable[[], Mapping[str, Any]] | None = None
    """Gives a forked child's own resource attributes; the SDK alone would overwrite a user's instance id."""

    def _handle_fork(self) -> None:
        super()._handle_fork()
        if self.after_fork is not None:
            self._update_resource(Resource(self.after_fork()))

    def reconfigure(
        self,
        *,
        resource_attributes: Mapping[str, Any] | None = None,
        sampler: Sampler | None = None,
    ) -> None:
        """
        Exchange the resource or the sampler, also for tracers that are already handed out.

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

    def replace_processors(self, processors: Sequence[SpanProcessor]) -> None:
        """Send what ends from now on through these processors alone."""
        self._active_span_processor._span_processors = tuple(processors)


def build(
    resource_attributes: Mapping[str, Any],
    sampler: Sampler,
    limits: Mapping[str, int | None],
    id_generator: IdGenerator | None,
    processors: list[SpanProcessor],
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
