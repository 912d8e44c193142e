# SPDX-License-Identifier: Apache-2.0
"""Do our samplers decide as the SDK's, to the bit, and does any other sampler have its say?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
from opentelemetry.sdk.trace import sampling as sdk
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from support.engines import facts, ours, sdks
from tellwhy import diagnostics
from tellwhy.engine.samplers import RECORD, Sampler, plan_of
from tellwhy.sampling import head


@pytest.fixture(autouse=True)
def _fresh_diagnostics() -> Iterator[None]:
    diagnostics.reset()
    yield
    diagnostics.reset()


rates = st.floats(0, 1) | st.sampled_from([0.0, 1.0, 0.5, 1e-18, 2**-64, 1 - 2**-53])
trace_ids = st.integers(1, 2**128 - 1)
parents = st.none() | st.builds(
    SpanContext,
    trace_ids,
    st.integers(0, 5),
    st.booleans(),
    st.sampled_from([TraceFlags(0), TraceFlags(1), TraceFlags(2), TraceFlags(3)]),
    st.sampled_from([TraceState(), TraceState([("a", "b")])]),
)


def _pairs(rate: float) -> list[tuple[Any, Any]]:
    """Return our samplers and the SDK's, of the same parameters."""
    return [
        (head.ALWAYS_ON, sdk.ALWAYS_ON),
        (head.ALWAYS_OFF, sdk.ALWAYS_OFF),
        (head.TraceIdRatioBased(rate), sdk.TraceIdRatioBased(rate)),
        (head.DEFAULT_ON, sdk.DEFAULT_ON),
        (head.DEFAULT_OFF, sdk.DEFAULT_OFF),
        (head.ParentBased(head.TraceIdRatioBased(rate)), sdk.ParentBasedTraceIdRatio(rate)),
        (
            head.ParentBased(
                head.ALWAYS_OFF, head.ALWAYS_OFF, head.ALWAYS_ON, head.TraceIdRatioBased(rate), sdk.ALWAYS_ON
            ),
            sdk.ParentBased(sdk.ALWAYS_OFF, sdk.ALWAYS_OFF, sdk.ALWAYS_ON, sdk.TraceIdRatioBased(rate), sdk.ALWAYS_ON),
        ),
        (
            head.ParentBased(sdk.StaticSampler(sdk.Decision.RECORD_ONLY)),
            sdk.ParentBased(sdk.StaticSampler(sdk.Decision.RECORD_ONLY)),
        ),
    ]


@settings(max_examples=80, deadline=None)
@given(rate=rates, trace_id=trace_ids, parent=parents)
def test_decide_as_the_sdks(rate: float, trace_id: int, parent: SpanContext | None) -> None:
    """Asked by should_sample, and read as a plan by the tracer: same decision, attributes, trace state."""
    above = None if parent is None else set_span_in_context(NonRecordingSpan(parent))
    for mine, theirs in _pairs(rate):
        question = (above, trace_id, "name", SpanKind.CLIENT, {"a": 1}, ())
        expected, actual = theirs.should_sample(*question), mine.should_sample(*question)

        assert (expected.decision, dict(expected.attributes), expected.trace_state) == (
            actual.decision,
            dict(actual.attributes),
            actual.trace_state,
        )
        assert theirs.get_description() == mine.get_description() == repr(mine)
        assert [_told(decider) for decider in plan_of(mine)] == [_told(decider) for decider in plan_of(theirs)]


def _told(decider: Any) -> Any:
    """Return a decider's number, or for one that looks at the trace id, its decisions."""
    if isinstance(decider, int):
        return decider
    return [decider(None, trace_id, "n", None, None, ()) for trace_id in (1, 2**63, 2**64 - 1, 2**127)]


@settings(max_examples=60, deadline=None)
@given(rate=rates, parent=parents, ids=st.randoms(use_true_random=False))
def test_a_tracer_samples_as_the_sdks(rate: float, parent: SpanContext | None, ids: Any) -> None:
    """Spans below any parent: recorded, sampled, flagged as in the SDK, with our samplers and with its own."""
    above = set_span_in_context(NonRecordingSpan(parent)) if parent else context.Context()

    class Ids(sdk_ids()):  # type: ignore[misc]
        def generate_trace_id(self) -> int:
            return trace_id

        def generate_span_id(self) -> int:
            return 7

    for mine, theirs in _pairs(rate):
        trace_id = ids.getrandbits(128) or 1
        told = []
        for engine in (sdks(theirs), ours(mine), ours(theirs)):
            engine.provider.id_generator = Ids()
            tracer = engine.provider.get_tracer("fresh")
            span = tracer.start_span("x", context=above, attributes={"a": 1})
            told.append((span.is_recording(), span.get_span_context(), facts(span) if span.is_recording() else None))

        assert told[0] == told[1] == told[2]


def sdk_ids() -> Any:
    from opentelemetry.sdk.trace.id_generator import IdGenerator

    return IdGenerator


def test_ours_decide_in_the_sdks_provider() -> None:
    """Our samplers are samplers to the SDK's tracer."""
    provider = SdkTracerProvider(sampler=head.ParentBased(head.TraceIdRatioBased(0.0)), resource=Resource({}))

    assert not provider.get_tracer("x").start_span("x").is_recording()


class Says(sdk.Sampler):
    """A sampler of a program's own that notes what it is asked."""

    def __init__(self, decision: sdk.Decision, state: TraceState | None = None) -> None:
        self.asked: list[Any] = []
        self._decision = decision
        self._state = state

    def should_sample(self, *question: Any, **more: Any) -> sdk.SamplingResult:
        self.asked.append((question, more))
        return sdk.SamplingResult(self._decision, {"by": "sampler", "n": [1]}, self._state)

    def get_description(self) -> str:
        return "Says"


@pytest.mark.parametrize("decision", sdk.Decision)
@pytest.mark.parametrize("state", [None, TraceState([("x", "y")])])
def test_a_foreign_sampler_is_asked_and_heard(decision: sdk.Decision, state: TraceState | None) -> None:
    """It gets the specification's arguments as the SDK gives them; its attributes and trace state hold."""
    link = Link(SpanContext(5, 6, False))
    above = set_span_in_context(NonRecordingSpan(SpanContext(8, 9, True, TraceFlags(3), TraceState([("in", "1")]))))
    told = []
    for make in (sdks, ours):
        sampler = Says(decision, state)
        engine = make(sampler)
        for arguments in (
            {"context": above, "kind": SpanKind.SERVER, "attributes": {"a": 1}, "links": [link]},
            {},
        ):
            span = engine.tracer.start_span("x", **arguments)
            with engine.tracer.start_as_current_span("outer"), engine.tracer.start_as_current_span("inner") as inner:
                pass
            told.append((sampler.asked, span.get_span_context(), inner.get_span_context()))
            if span.is_recording():
                told.append((facts(span), facts(inner)))

    half = len(told) // 2
    assert told[:half] == told[half:]


def test_a_failing_sampler_falls_back_to_the_parent(capfd: pytest.CaptureFixture[str]) -> None:
    """A sampler that raises, or answers nonsense, never reaches the program; children follow their parent."""

    class Broken(Says):
        def should_sample(self, *question: Any, **more: Any) -> Any:
            raise RuntimeError("broken")

    class Nonsense(Says):
        def should_sample(self, *question: Any, **more: Any) -> Any:
            return "yes"

    for kind in (Broken, Nonsense):
        engine = ours(kind(sdk.Decision.DROP))
        sampled = set_span_in_context(NonRecordingSpan(SpanContext(1, 2, True, TraceFlags(1))))

        assert not engine.tracer.start_span("root").is_recording()
        assert engine.tracer.start_span("child", context=sampled).is_recording()
    assert len(capfd.readouterr().err.splitlines()) == 1


def test_a_subclass_of_ours_that_decides_itself_is_asked() -> None:
    """Overriding should_sample of one of our samplers is honoured."""

    class Never(head.ParentBased):
        def should_sample(self, *question: Any, **more: Any) -> Any:
            return sdk.SamplingResult(sdk.Decision.DROP)

    assert not ours(Never(head.ALWAYS_ON)).tracer.start_span("x").is_recording()


def test_a_plan_of_ones_own() -> None:
    """A sampler with a plan decides by numbers and by functions that return numbers."""

    class ByName(Sampler):
        def __init__(self) -> None:
            self.plan = (self._decide, RECORD, RECORD, RECORD, RECORD)

        @staticmethod
        def _decide(_context: Any, _trace_id: int, name: str, _kind: Any, attributes: Any, _links: Any) -> int:
            return head.SAMPLE if name == "keep" and attributes else head.DROP

    engine = ours(ByName())
    with engine.tracer.start_as_current_span("keep", attributes={"a": 1}) as kept:
        child = engine.tracer.start_span("child")

    assert kept.get_span_context().trace_flags.sampled and dict(kept.attributes) == {"a": 1}
    assert child.is_recording() and not child.get_span_context().trace_flags.sampled
    assert child.parent == kept.get_span_context()
    assert not engine.tracer.start_span("keep").is_recording()
    decided = ByName().should_sample(None, 1, "keep", None, {"a": 1})
    assert (decided.decision, dict(decided.attributes)) == (sdk.Decision.RECORD_AND_SAMPLE, {"a": 1})


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
def test_a_rate_outside_is_refused(rate: float) -> None:
    """A rate given in code that is no probability raises ValueError."""
    with pytest.raises(ValueError, match="0.0 to 1.0"):
        head.TraceIdRatioBased(rate)


@pytest.mark.parametrize(
    ("name", "argument", "expected"),
    [
        ("always_on", "", "AlwaysOnSampler"),
        ("ALWAYS_OFF", "x", "AlwaysOffSampler"),
        (" traceidratio ", "0.5", "TraceIdRatioBased{0.5}"),
        ("traceidratio", "0,5", "TraceIdRatioBased{0.01}"),
        ("traceidratio", "7", "TraceIdRatioBased{0.01}"),
        ("traceidratio", "25%", "TraceIdRatioBased{0.25}"),
        ("traceidratio", "", "TraceIdRatioBased{1.0}"),
        ("", "", head.DEFAULT_ON.get_description()),
        ("nonsense", "", head.DEFAULT_ON.get_description()),
        ("parentbased_always_off", "", head.DEFAULT_OFF.get_description()),
    ],
)
def test_named_by_the_environment(name: str, argument: str, expected: str) -> None:
    """OTEL_TRACES_SAMPLER and its argument; a ratio that is none falls back to little, not to everything."""
    sampler = head.from_environment({"OTEL_TRACES_SAMPLER": name, "OTEL_TRACES_SAMPLER_ARG": argument})

    assert sampler.get_description() == expected
    assert head.named("parentbased_traceidratio", "0.1") is not None
    assert head.named("jaeger_remote") is None
