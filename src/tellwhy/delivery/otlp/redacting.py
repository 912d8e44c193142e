# SPDX-License-Identifier: Apache-2.0
"""
How do secrets not leave by an exporter that is not ours? It gets spans without them.

The console's, gRPC's, an installed one: whatever takes ``ReadableSpan``s. Our
own encoders look for themselves.
"""

from __future__ import annotations

from tellwhy import diagnostics
from tellwhy.redaction import export

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


class RedactingExporter:
    """
    An exporter in front of an exporter.

    Args:

        exporter: Gets the spans, those with secrets as copies without them.
    """

    def __init__(self, exporter: Any) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[Any]) -> Any:
        """Export the spans without their secrets."""
        return self._exporter.export([_redacted(span) for span in spans])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._exporter, name)  # shutdown, force_flush, and what it has of its own


def _redacted(span: Any) -> Any:
    try:
        return _without_secrets(span)
    except Exception as error:  # a span that nobody can read leaves nothing of itself, either
        diagnostics.fault("the redaction of a span", error)
        return _copy(span, "<unreadable>", {}, (), (), None)


def _without_secrets(span: Any) -> Any:
    """Return the span itself if there is nothing to hide."""
    attributes = span.attributes or {}
    clean = export.attributes(attributes)
    events = [(event, export.text(event.name), export.attributes(_given(event))) for event in span.events]
    links = [(link, export.attributes(_given(link))) for link in span.links]
    description = span.status.description
    said = None if description is None else export.message(description)
    name = export.text(span.name)
    if (
        clean is attributes
        and said == description
        and name == span.name
        and all(new is _given(old) and what == old.name for old, what, new in events)
        and all(new is _given(old) for old, new in links)
        and export.attributes(span.resource.attributes) is span.resource.attributes
    ):
        return span
    return _copy(span, name, clean, events, links, said)


def _given(thing: Any) -> Mapping[str, Any]:
    return thing.attributes or _NONE


_NONE: dict[str, Any] = {}


def _copy(span: Any, name: str, attributes: Any, events: Any, links: Any, description: str | None) -> Any:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.trace import Link, Status

    resource = span.resource
    return ReadableSpan(
        name=name,
        context=span.get_span_context(),
        parent=span.parent,
        resource=Resource(dict(export.attributes(resource.attributes)), resource.schema_url),
        attributes=attributes,
        events=[Event(what, new, old.timestamp) for old, what, new in events],
        links=[Link(old.context, new) for old, new in links],
        kind=span.kind,
        status=Status(span.status.status_code, description),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )
