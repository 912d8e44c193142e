# SPDX-License-Identifier: Apache-2.0
"""
The engine: OpenTelemetry's tracer, lean. ``TracerProvider`` is a drop-in for the SDK's.

Public: ``TracerProvider``, ``SpanLimits``, ``RandomIdGenerator``, and the samplers in
``tellwhy.sampling.head``. ``Tracer`` and ``Span`` are what a provider makes. All are loaded when first
named; ``opentelemetry.sdk`` is not loaded by any of them until somebody asks for one of its objects
(``provider.resource``, ``span.instrumentation_scope``, ``TracerProvider()`` without a resource).

For tellwhy's own rooms, beside OpenTelemetry's API:

``provider = TracerProvider.lean(resource_attributes, sampler=, limits=, id_generator=)``
    From plain data. ``provider.reconfigure(...)``, ``.replace_processors([...])`` change it while it runs;
    ``.after_fork`` returns the resource attributes that differ in a forked child.

``tracer.begin(name, kind, attributes, links, context)``
    Like ``start_span``, but None if the parent is one of ours that is not recorded and no span below it is
    wanted: call straight through. Else a ``Span``, or an ``Unrecorded`` one that must be made current like any
    other, for what is below it to follow. Give it the attributes that samplers look at, and the rest by
    ``set_attributes`` if ``type(span) is Span``. No processor or sampler that fails makes it raise.

``context.enter(span) -> token``, ``context.leave(token, span)``
    Make a span current, and undo it; the latter in any context, without a complaint.

``span.end()``, ``span.fail(exception, record=True, set_status=True)``, ``span.set_attribute(...)``
    Never raise. Of a ``Span`` these slots may be read: ``_trace_id``, ``_span_id``, ``_flags`` (bit 0: sampled),
    ``_trace_state``, ``_end`` (None while it is open), ``_attributes``, ``_local_root`` (None: the span itself),
    ``_has_children``. ``Unrecorded`` has the first four.

``samplers.Sampler``
    The base of a sampler whose ``plan`` the tracer reads without a call.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tellwhy.engine.ids import RandomIdGenerator
    from tellwhy.engine.limits import SpanLimits
    from tellwhy.engine.provider import TracerProvider
    from tellwhy.engine.span import Span
    from tellwhy.engine.tracer import Tracer

__all__ = ["RandomIdGenerator", "Span", "SpanLimits", "Tracer", "TracerProvider"]

_HOMES = {
    "RandomIdGenerator": "ids",
    "Span": "span",
    "SpanLimits": "limits",
    "Tracer": "tracer",
    "TracerProvider": "provider",
}


def __getattr__(name: str) -> object:
    """Load what is named (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
