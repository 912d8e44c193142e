# SPDX-License-Identifier: Apache-2.0
"""Two providers side by side, ours and the SDK's, and what can be read from their spans."""

from __future__ import annotations

# The SDK's provider starts threads in a forked child's first moments; the child waits for ever
# unless this module, and its fork handlers with it, was loaded before the provider was made.
import concurrent.futures.thread  # noqa: F401
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace import SpanLimits as SdkSpanLimits
from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Sampler

from tellwhy.engine import TracerProvider

RESOURCE = Resource({"service.name": "shop"})


class CountingIds(IdGenerator):
    """Ids 1, 2, 3, …, so that two providers that are asked the same make the same."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def generate_span_id(self) -> int:
        return next(self._numbers)

    def generate_trace_id(self) -> int:
        return next(self._numbers)


class Keep(SpanProcessor):
    """Keeps finished spans."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


class Engine:
    """A provider, its tracer, and the spans that it has finished."""

    def __init__(self, provider: Any) -> None:
        self.provider = provider
        self.kept = Keep()
        provider.add_span_processor(self.kept)
        self.tracer = provider.get_tracer("tests", "1.0")

    @property
    def spans(self) -> list[Any]:
        return self.kept.spans


def ours(sampler: Sampler | None = None, **limits: int | None) -> Engine:
    """Return our engine with counting ids and limits; None is no limit."""
    return Engine(_provider(TracerProvider, sampler, limits))


def sdks(sampler: Sampler | None = None, **limits: int | None) -> Engine:
    """Return the SDK's engine with the same."""
    return Engine(_provider(SdkTracerProvider, sampler, limits))


def _provider(kind: Any, sampler: Sampler | None, limits: Mapping[str, int | None]) -> Any:
    given = {name: SdkSpanLimits.UNSET if limit is None else limit for name, limit in limits.items()}
    return kind(
        sampler=sampler,
        resource=RESOURCE,
        shutdown_on_exit=False,
        id_generator=CountingIds(),
        span_limits=SdkSpanLimits(**given),
    )


def facts(span: Any) -> dict[str, Any]:
    """Return everything that can be read from a span, in values that compare by type too; no times of the clock."""
    return dict(_facts(span))


def _facts(span: Any) -> Iterator[tuple[str, Any]]:
    yield "name", span.name
    yield "kind", span.kind
    yield "context", span.get_span_context()
    yield "flags", span.get_span_context().trace_flags
    yield "parent", span.parent
    yield "attributes", exact(span.attributes)
    yield (
        "events",
        [(event.name, event.timestamp, exact(event.attributes), event.dropped_attributes) for event in span.events],
    )
    yield "links", [(link.context, exact(link.attributes), link.dropped_attributes) for link in span.links]
    yield "status", (span.status.status_code, span.status.description)
    yield "dropped", (span.dropped_attributes, span.dropped_events, span.dropped_links)
    yield "resource", span.resource
    yield "scope", span.instrumentation_scope


def exact(value: Any) -> Any:
    """Return a text that tells 1, 1.0 and True apart, NaN from nothing, and keeps the order of a mapping."""
    if isinstance(value, Mapping):
        return [(key, exact(item)) for key, item in value.items()]
    if isinstance(value, tuple):
        return ("tuple", *map(exact, value))
    return type(value).__name__, repr(value)
