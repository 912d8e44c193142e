# SPDX-License-Identifier: Apache-2.0
"""
Shall this span be recorded? The specification's four samplers, as plans the tracer reads without a call.

A **plan** is five deciders, one per situation: no parent, remote parent sampled
or not, local parent sampled or not. A decider is one of the numbers ``DROP``,
``RECORD``, ``SAMPLE``, or a callable with ``should_sample``'s positional
arguments ``(parent_context, trace_id, name, kind, attributes, links)`` that
returns such a number or the SDK's ``SamplingResult``. A sampler of tellwhy's own
subclasses ``Sampler`` and sets ``plan``; any other object goes through its
``should_sample``. All of ours have ``should_sample`` and ``get_description``
too, so they work in the SDK's provider as well.
"""

from __future__ import annotations

import os

from opentelemetry.trace import get_current_span

from tellwhy import diagnostics

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, TypeAlias

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace.sampling import SamplingResult
    from opentelemetry.trace import Link, SpanContext, SpanKind, TraceState
    from opentelemetry.util.types import Attributes

    Decider: TypeAlias = int | Callable[..., int | SamplingResult]
    Plan: TypeAlias = tuple[Decider, ...]  # five, see below

DROP, RECORD, SAMPLE = 0, 1, 2  # the values of the SDK's enum Decision
ROOT, REMOTE_SAMPLED, REMOTE_UNSAMPLED, LOCAL_SAMPLED, LOCAL_UNSAMPLED = range(5)  # a plan's places

_BLIND = "decides_without_attributes"  # on a decider that is a function
_TRACE_ID_LIMIT = (1 << 64) - 1  # the ratio looks at the low 64 bits, as every OpenTelemetry SDK does


class Sampler:
    """The base of tellwhy's samplers: what ``plan`` says, said in the SDK's words."""

    plan: Plan

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,  # noqa: ARG002 (the SDK's signature; no SDK passes it)
    ) -> SamplingResult:
        """Decide as the SDK's samplers do; for callers other than the lean tracer."""
        from opentelemetry.sdk.trace.sampling import Decision, SamplingResult

        parent = get_current_span(parent_context).get_span_context()
        decider = self.plan[situation(parent)]
        if not isinstance(decider, int):
            result = decider(parent_context, trace_id, name, kind, attributes, links)
            if not isinstance(result, int):
                return result
            decider = result
        state = parent.trace_state if parent.is_valid else None
        return SamplingResult(Decision(decider), attributes if decider else None, state)

    def get_description(self) -> str:
        """Return the sampler's name and parameters, as the specification spells them."""
        return type(self).__name__

    def __repr__(self) -> str:
        return self.get_description()


class _Constant(Sampler):
    def __init__(self, decision: int, description: str) -> None:
        self.plan = (decision,) * 5
        self._description = description

    def get_description(self) -> str:
        return self._description


ALWAYS_ON = _Constant(SAMPLE, "AlwaysOnSampler")
"""Records every span, whatever its parent."""

ALWAYS_OFF = _Constant(DROP, "AlwaysOffSampler")
"""Records no span, whatever its parent."""


class TraceIdRatioBased(Sampler):
    """
    Records a share of all traces, chosen by trace id, so that every service chooses the same.

    Args:

        rate: From 0.0 to 1.0; ValueError outside.
    """

    def __init__(self, rate: float) -> None:
        if not 0.0 <= rate <= 1.0:
            raise ValueError(f"sampling rate {rate!r}: expected a number from 0.0 to 1.0")
        self.rate = rate
        self.bound = bound = round(rate * (_TRACE_ID_LIMIT + 1))

        def decide(_context: Any, trace_id: int, *_: Any) -> int:
            return SAMPLE if trace_id & _TRACE_ID_LIMIT < bound else DROP

        decide.__dict__[_BLIND] = True
        self.plan = (decide,) * 5

    def get_description(self) -> str:
        """Return the specification's spelling."""
        return f"TraceIdRatioBased{{{self.rate}}}"


class ParentBased(Sampler):
    """
    Follows the parent's decision; without a parent, the root sampler's.

    Args:

        root: Asked for spans without a parent.

        remote_parent_sampled: Asked if the parent is remote and sampled; by default yes.

        remote_parent_not_sampled: By default no.

        local_parent_sampled: By default yes.

        local_parent_not_sampled: By default no.
    """

    def __init__(
        self,
        root: Any,
        remote_parent_sampled: Any = ALWAYS_ON,
        remote_parent_not_sampled: Any = ALWAYS_OFF,
        local_parent_sampled: Any = ALWAYS_ON,
        local_parent_not_sampled: Any = ALWAYS_OFF,
    ) -> None:
        delegates = (
            root,
            remote_parent_sampled,
            remote_parent_not_sampled,
            local_parent_sampled,
            local_parent_not_sampled,
        )
        self._delegates = delegates
        plans = [plan_of(sampler) for sampler in delegates]
        self.plan = (
            plans[0][ROOT],
            plans[1][REMOTE_SAMPLED],
            plans[2][REMOTE_UNSAMPLED],
            plans[3][LOCAL_SAMPLED],
            plans[4][LOCAL_UNSAMPLED],
        )

    def get_description(self) -> str:
        """Return the specification's spelling."""
        names = ("root", "remoteParentSampled", "remoteParentNotSampled", "localParentSampled", "localParentNotSampled")
        pairs = zip(names, self._delegates, strict=True)
        return f"ParentBased{{{','.join(f'{name}:{sampler.get_description()}' for name, sampler in pairs)}}}"


def reads_attributes(decider: Decider) -> bool:
    """Tell whether a decider may look at the attributes of the span to be; else they can wait for its answer."""
    return type(decider) is not int and not getattr(decider, _BLIND, False)


def situation(parent: SpanContext | None) -> int:
    """Return a plan's place for a parent."""
    if parent is None or not parent.is_valid:
        return ROOT
    sampled = parent.trace_flags & 1
    if parent.is_remote:
        return REMOTE_SAMPLED if sampled else REMOTE_UNSAMPLED
    return LOCAL_SAMPLED if sampled else LOCAL_UNSAMPLED


def plan_of(sampler: Any) -> Plan:
    """Return the plan of one of our samplers, of the SDK's own ones, or one that asks ``should_sample``."""
    if isinstance(sampler, Sampler) and type(sampler).should_sample is Sampler.should_sample:
        return sampler.plan
    try:
        same = _ours_for(sampler)
    except Exception:  # an SDK that keeps its parameters elsewhere: ask it each time
        same = None
    if same is not None:
        return same.plan
    ask: Decider = sampler.should_sample
    return (ask, ask, ask, ask, ask)


def recording(plan: Plan) -> Plan:
    """Return a plan that records what this one drops, without sampling it."""
    return tuple((decider or RECORD) if isinstance(decider, int) else _recording(decider) for decider in plan)


def _recording(decider: Callable[..., int | SamplingResult]) -> Decider:
    def decide(*question: Any) -> int | SamplingResult:
        result = decider(*question)
        if isinstance(result, int):
            return result or RECORD
        if result.decision.value != DROP:
            return result
        from opentelemetry.sdk.trace.sampling import Decision
        from opentelemetry.sdk.trace.sampling import SamplingResult as SdkResult

        attributes = question[4]  # a result that drops has none
        return SdkResult(Decision.RECORD_ONLY, attributes, result.trace_state)

    decide.__dict__[_BLIND] = not reads_attributes(decider)
    return decide


def _ours_for(sampler: Any) -> Sampler | None:
    """Return our twin of a built-in sampler of the SDK; None for every other class, subclasses included."""
    kind = type(sampler)
    if kind.__module__ != "opentelemetry.sdk.trace.sampling":
        return None
    if kind.__name__ in ("StaticSampler", "_AlwaysOn", "_AlwaysOff"):
        return _Constant(sampler._decision.value, sampler.get_description())
    if kind.__name__ == "TraceIdRatioBased":
        return TraceIdRatioBased(sampler.rate)
    if kind.__name__ in ("ParentBased", "ParentBasedTraceIdRatio", "_ParentBasedAlwaysOn", "_ParentBasedAlwaysOff"):
        return ParentBased(
            sampler._root,
            sampler._remote_parent_sampled,
            sampler._remote_parent_not_sampled,
            sampler._local_parent_sampled,
            sampler._local_parent_not_sampled,
        )
    return None


DEFAULT_ON = ParentBased(ALWAYS_ON)
"""The specification's default: follows the parent, records every root."""

DEFAULT_OFF = ParentBased(ALWAYS_OFF)
"""Follows the parent, records no root."""

_CONSTANTS = {
    "always_on": ALWAYS_ON,
    "always_off": ALWAYS_OFF,
    "parentbased_always_on": DEFAULT_ON,
    "parentbased_always_off": DEFAULT_OFF,
}


def named(name: str, argument: str = "") -> Sampler | None:
    """
    Return the built-in sampler that ``OTEL_TRACES_SAMPLER`` names; None if it names none.

    Args:

        name: As in the specification; case does not matter.

        argument: ``OTEL_TRACES_SAMPLER_ARG``; empty means 1.0, a percentage what it says, and any
            other text that is no rate from 0 to 1 a hundredth: a slip must not record everything.
    """
    name = name.strip().lower()
    if name not in ("traceidratio", "parentbased_traceidratio"):
        return _CONSTANTS.get(name)
    ratio = TraceIdRatioBased(_rate(argument))
    return ratio if name == "traceidratio" else ParentBased(ratio)


def _rate(argument: str) -> float:
    from tellwhy.settings.grammar import Rejected
    from tellwhy.settings.grammar import ratio as grammar

    if not argument.strip():
        return 1.0
    try:
        return grammar.parse(argument)
    except Rejected as wrong:
        assert wrong.use is not None  # a ratio always names a safe value
        rate, words = wrong.use
        diagnostics.warn(f"OTEL_TRACES_SAMPLER_ARG={argument!r}: expected {wrong.expected}; using {words}")
        return float(rate)


def from_environment(environ: Mapping[str, str] | None = None) -> Sampler:
    """Return the sampler that the environment asks for; the specification's default if it asks for none."""
    env = os.environ if environ is None else environ
    name = env.get("OTEL_TRACES_SAMPLER", "")
    sampler = named(name or "parentbased_always_on", env.get("OTEL_TRACES_SAMPLER_ARG", ""))
    if sampler is None:
        diagnostics.warn(f"OTEL_TRACES_SAMPLER={name!r}: not a built-in sampler; ignored, using parentbased_always_on")
        return DEFAULT_ON
    return sampler
