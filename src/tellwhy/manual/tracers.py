# SPDX-License-Identifier: Apache-2.0
"""
Which tracer makes the spans, and what may be relied on with it.

tellwhy's own, once tracing is set up; else the one of a provider that the
program installed with ``opentelemetry.trace.set_tracer_provider``.
"""

from __future__ import annotations

from opentelemetry import trace as trace_api

from tellwhy._version import __version__
from tellwhy.engine import active
from tellwhy.engine.samplers import DROP, LOCAL_UNSAMPLED, plan_of
from tellwhy.engine.tracer import Tracer as LeanTracer
from tellwhy.manual import lineage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from opentelemetry.trace import Span, Tracer, TracerProvider


_foreign: tuple[TracerProvider, Tracer] | None = None
_skipping: tuple[Any, bool] = (None, False)  # a sampler, and whether it drops below unsampled parents


def find(parent: Span | None, new_trace: bool) -> Tracer | None:
    """Return the tracer in force; None if there is none, or if it surely drops what has this parent."""
    tracer = active.tracer or active.get_tracer() or _of_the_program()
    if tracer is None:
        return None
    if not isinstance(tracer, LeanTracer):  # whose spans tell their lineage themselves
        lineage.follow(tracer)
    if not new_trace and parent is not None and _is_unsampled_here(parent) and _skips_unsampled_children(tracer):
        return None
    return tracer


def _of_the_program() -> Tracer | None:
    global _foreign
    provider = trace_api._TRACER_PROVIDER
    if provider is None:
        return None
    known = _foreign
    if known is None or known[0] is not provider:
        known = _foreign = (provider, provider.get_tracer(active.SCOPE_NAME, __version__))
    return known[1]


def _is_unsampled_here(parent: Span) -> bool:
    """Tell whether this process decided not to sample the parent; of a remote parent the sampler must be asked."""
    if parent.is_recording():
        return False
    context = parent.get_span_context()
    return context.is_valid and not context.is_remote and not context.trace_flags.sampled


def _skips_unsampled_children(tracer: Tracer) -> bool:
    global _skipping
    sampler = getattr(tracer, "sampler", None)
    known = _skipping
    if known[0] is not sampler:
        known = _skipping = (sampler, _drops_under_unsampled(sampler))
    return known[1]


def _drops_under_unsampled(sampler: Any) -> bool:
    """Tell whether a sampler drops whatever has an unsampled local parent, as ``ParentBased`` does by default."""
    plan = plan_of(sampler) if sampler is not None else None
    return plan is not None and plan[LOCAL_UNSAMPLED] is DROP
