# SPDX-License-Identifier: Apache-2.0
"""How does a span look from outside the hot path? As the SDK's JSON, and as the SDK's ReadableSpan."""

from __future__ import annotations

import datetime
import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext

    from tellwhy.engine.span_data import SpanData


def to_json(span: SpanData, indent: int | None) -> str:
    """Return the text of the SDK's ``ReadableSpan.to_json``; what JSON cannot say is written as hex or text."""
    parent = span.parent
    status = {"status_code": span.status.status_code.name}
    if span.status.description:
        status["description"] = span.status.description
    resource = span._core.resource
    told = {
        "name": span.name,
        "context": _context(span.get_span_context()),
        "kind": str(span.kind),
        "parent_id": None if parent is None else f"0x{parent.span_id:016x}",
        "start_time": _iso(span.start_time),
        "end_time": _iso(span.end_time),
        "status": status,
        "attributes": dict(span._attributes),
        "events": [
            {"name": event.name, "timestamp": _iso(event.timestamp), "attributes": dict(event.attributes)}
            for event in span.events
        ],
        "links": [
            {"context": _context(link.context), "attributes": dict(link.attributes or {})} for link in span.links
        ],
        "resource": {"attributes": dict(resource.attributes), "schema_url": resource.schema_url},
    }
    return json.dumps(told, indent=indent, default=_text)


def readable_span(span: SpanData) -> ReadableSpan:
    """Return a copy of the span as it is now, in the SDK's own class; imports the SDK."""
    from opentelemetry.attributes import BoundedAttributes
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util import BoundedList

    attributes = BoundedAttributes(attributes=span._attributes)
    attributes.dropped = span.dropped_attributes
    events = BoundedList.from_seq(None, span.events)
    events.dropped = span.dropped_events
    links = BoundedList.from_seq(None, span.links)
    links.dropped = span.dropped_links
    return ReadableSpan(
        name=span.name,
        context=span.get_span_context(),
        parent=span.parent,
        resource=span.resource,
        attributes=attributes,
        events=events,
        links=links,
        kind=span.kind,
        instrumentation_info=span.instrumentation_info,
        status=span.status,
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _context(context: SpanContext) -> dict[str, str]:
    return {
        "trace_id": f"0x{context.trace_id:032x}",
        "span_id": f"0x{context.span_id:016x}",
        "trace_state": repr(context.trace_state),
    }


def _iso(nanoseconds: int | None) -> str | None:
    if not nanoseconds:
        return None
    moment = datetime.datetime.fromtimestamp(nanoseconds / 1e9, tz=datetime.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _text(value: Any) -> str:
    return value.hex() if isinstance(value, (bytes, bytearray)) else str(value)
