# SPDX-License-Identifier: Apache-2.0
"""Is the provider a drop-in for the SDK's: constructor, tracers, processors, configuration while it runs?"""

from __future__ import annotations

import gc
import inspect
import os
import subprocess
import sys
import textwrap
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, NoOpTracer

from support.engines import Engine, Keep, ours
from tellwhy import diagnostics
from tellwhy.engine import SpanLimits, Tracer, TracerProvider
from tellwhy.engine.samplers import ALWAYS_OFF, ALWAYS_ON, DEFAULT_ON


@pytest.fixture(autouse=True)
def _fresh_diagnostics() -> Iterator[None]:
    diagnostics.reset()
    yield
    diagnostics.reset()


def python(code: str, **environ: str) -> str:
    """Run a program in a fresh interpreter and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_takes_the_arguments_of_the_sdks() -> None:
    """Names, order and defaults of the constructor are the SDK's."""
    expected = inspect.signature(sdk_trace.TracerProvider.__init__).parameters
    actual = inspect.signature(TracerProvider.__init__).parameters

    assert [(p.name, p.kind, p.default) for p in expected.values()] == [
        (p.name, p.kind, p.default) for p in actual.values()
    ]


@pytest.mark.parametrize(("theirs", "mine"), [(sdk_trace.TracerProvider, TracerProvider), (sdk_trace.Tracer, Tracer)])
def test_has_the_public_names_of_the_sdks(theirs: type, mine: type) -> None:
    """Every public attribute of the SDK's class, and of its instances, is there."""
    provider = sdk_trace.TracerProvider()
    instances = {TracerProvider: (provider, TracerProvider()), Tracer: (provider.get_tracer("x"), ours().tracer)}
    their_one, my_one = instances[mine]

    missing = [name for name in dir(their_one) if not name.startswith("_") and not hasattr(my_one, name)]

    assert missing == []


def test_defaults_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sampler, limits and resource that are not given are what the variables ask for."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.25")
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "3")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "from-env")

    provider = TracerProvider()

    assert provider.sampler.get_description() == "TraceIdRatioBased{0.25}"
    assert provider._span_limits.max_span_attributes == 3
    assert provider.resource.attributes["service.name"] == "from-env"
    provider.shutdown()


def test_gives_the_same_tracer_for_the_same_scope() -> None:
    """10,000 times the same scope is one tracer: nothing grows."""
    provider = TracerProvider.lean({})
    first = provider.get_tracer("lib", "1", "url", {"a": [1], "b": 2})

    for _ in range(10_000):
        assert provider.get_tracer("lib", "1", "url", {"b": 2, "a": [1]}) is first
    assert provider.get_tracer("lib", "1", "url", {"b": 2.0, "a": [1]}) is not first
    assert provider.get_tracer("lib", None) is provider.get_tracer("lib", "")
    assert len(provider._tracers) < 10


def test_a_tracer_shows_what_the_sdks_shows() -> None:
    """Scope, resource, sampler, limits of a tracer and its spans are the SDK's own objects."""
    engine = ours(ALWAYS_ON)
    tracer: Any = engine.provider.get_tracer("lib", "2", "https://schema", {"k": "v"})
    span = tracer.start_span("x")

    assert span.instrumentation_scope == InstrumentationScope("lib", "2", "https://schema", {"k": "v"})
    assert (span.instrumentation_info.name, span.instrumentation_info.version) == ("lib", "2")
    assert tracer.resource is span.resource is engine.provider.resource
    assert tracer.sampler is ALWAYS_ON
    assert tracer.span_processor is engine.provider._active_span_processor


@pytest.mark.parametrize("name", [None, "", 5])
def test_a_strange_scope_name_is_no_error(name: Any) -> None:
    """A tracer is given whatever the name; spans of it work."""
    engine = ours()

    engine.provider.get_tracer(name, ["odd"], {"odd": 1}, "odd").start_span("x").end()

    assert [span.name for span in engine.spans] == ["x"]


def test_is_one_of_the_sdks_by_isinstance() -> None:
    """Programs that ask for the SDK's classes find ours to be of them."""
    engine = ours()
    with engine.tracer.start_as_current_span("x") as span:
        span.add_event("e")

    assert isinstance(engine.provider, sdk_trace.TracerProvider)
    assert isinstance(engine.tracer, sdk_trace.Tracer)
    assert isinstance(span, (sdk_trace.ReadableSpan, sdk_trace.Span))
    assert isinstance(span, sdk_trace.ReadableSpan)
    assert issubclass(type(span), sdk_trace.ReadableSpan)
    assert isinstance(span.events[0], sdk_trace.Event)
    assert isinstance(TracerProvider.lean({}).sampler, sdk_trace.sampling.Sampler)
    assert isinstance(TracerProvider.lean({}).id_generator, sdk_trace.id_generator.IdGenerator)
    assert not isinstance(NonRecordingSpan(span.get_span_context()), sdk_trace.ReadableSpan)


def test_joins_the_sdk_when_that_is_imported_later() -> None:
    """The default path does not load the SDK; a program that does so later finds the same classes."""
    out = python("""
        import sys
        from tellwhy.engine import TracerProvider
        provider = TracerProvider.lean({"service.name": "x"})
        finished = []
        class Keep:
            def on_end(self, span): finished.append(span)
        provider.add_span_processor(Keep())
        tracer = provider.get_tracer("lib")
        with tracer.start_as_current_span("parent", attributes={"a": 1}) as span:
            try:
                with tracer.start_as_current_span("child") as child:
                    child.add_event("e", {"k": (1, 2)})
                    child.add_link(span.get_span_context())
                    raise ValueError
            except ValueError:
                pass
        import tellwhy.delivery.otlp.encoder
        list(tellwhy.delivery.otlp.encoder.split(finished))
        heavy = [name for name in sys.modules if name.startswith(
            ("opentelemetry.sdk", "google", "grpc", "requests", "opentelemetry.exporter", "opentelemetry.proto"))]
        assert not heavy, heavy
        before = list(sys.meta_path)

        from opentelemetry.sdk import trace
        assert isinstance(span, trace.ReadableSpan) and isinstance(child, trace.Span)
        assert isinstance(provider, trace.TracerProvider) and isinstance(tracer, trace.Tracer)
        assert [type(f).__name__ for f in sys.meta_path] == [type(f).__name__ for f in before[1:]]
        assert provider.resource.attributes["service.name"] == "x"
        print(trace.__spec__.loader.__class__.__name__, span._readable_span().to_json() == span.to_json())
    """)

    assert out.split() == ["SourceFileLoader", "True"]


def test_processors_are_called_in_order_and_only_if_they_listen() -> None:
    """on_start may change the span; a method with an empty body is not called at all."""
    engine = ours()
    calls: list[str] = []

    class Listens(sdk_trace.SpanProcessor):
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            calls.append("start")
            span.set_attribute("added", True)

        def _on_ending(self, span: Any) -> None:
            calls.append("ending")

        def on_end(self, span: Any) -> None:
            calls.append("end")

    core = engine.provider._core
    assert core.on_start is None and core.on_ending is None
    engine.provider.add_span_processor(BatchSpanProcessor(InMemorySpanExporter()))
    assert core.on_start is None

    engine.provider.add_span_processor(Listens())
    engine.tracer.start_span("x").end()

    assert calls == ["start", "ending", "end"]
    assert dict(engine.spans[0].attributes) == {"added": True}
    engine.provider.shutdown()


def test_on_start_gets_the_given_context() -> None:
    """The parent context is handed on as it was given, by keyword, as in the SDK."""
    seen: list[Any] = []

    class Looks(Keep):
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            seen.append(parent_context)

    engine = Engine(TracerProvider.lean({}))
    engine.provider.add_span_processor(Looks())
    context: Any = sdk_trace.context_api.set_value("k", "v")

    engine.tracer.start_span("x", context=context)
    engine.tracer.start_span("y")

    assert seen == [context, None]


def test_a_failing_processor_harms_nobody(capfd: pytest.CaptureFixture[str]) -> None:
    """Its neighbours get every span, the program no exception, stderr one line per method."""

    class Broken:
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            raise RuntimeError("start")

        def on_end(self, span: Any) -> None:
            raise RuntimeError("end")

        def shutdown(self) -> None:
            raise RuntimeError("shutdown")

        def force_flush(self, timeout_millis: int = 0) -> bool:
            raise RuntimeError("flush")

    alone = TracerProvider.lean({})
    alone.add_span_processor(Broken())
    alone.get_tracer("x").start_span("x").end()
    several = ours().provider
    kept = Keep()
    several.add_span_processor(Broken())
    several.add_span_processor(kept)
    for _ in range(10):
        several.get_tracer("x").start_span("x").end()

    assert len(kept.spans) == 10
    assert several.force_flush() is False
    several.shutdown()
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == len(set(lines)) == 4, lines


def test_works_with_the_sdks_processors_and_exporters() -> None:
    """The SDK's batch and simple processors export our spans; unsampled ones stay behind."""
    simple, batch = InMemorySpanExporter(), InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "x"}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(simple))
    provider.add_span_processor(BatchSpanProcessor(batch))
    with provider.get_tracer("lib").start_as_current_span("x", attributes={"a": (1, 2)}):
        pass

    assert provider.force_flush()
    for exporter in (simple, batch):
        (span,) = exporter.get_finished_spans()
        assert (span.name, span.attributes) == ("x", {"a": (1, 2)})
        assert span.to_json()
    provider.shutdown()


def test_a_given_active_processor_gets_everything() -> None:
    """The SDK's concurrent multi processor works in ours; processors are added to it."""
    active = sdk_trace.ConcurrentMultiSpanProcessor(2)
    provider = TracerProvider(resource=Resource({}), active_span_processor=active, shutdown_on_exit=False)
    kept = Keep()
    provider.add_span_processor(kept)
    provider.get_tracer("x").start_span("x").end()

    assert provider._active_span_processor is active
    assert [span.name for span in kept.spans] == ["x"]
    provider.shutdown()


def test_private_list_of_processors_can_be_set() -> None:
    """Programs that replace ``_active_span_processor._span_processors``, as many do, are understood."""
    engine = ours()
    kept = Keep()
    engine.provider._active_span_processor._span_processors = (kept,)
    engine.tracer.start_span("x").end()

    assert engine.spans == [] and len(kept.spans) == 1


def test_reconfiguring_holds_for_tracers_and_spans_that_exist() -> None:
    """Resource, sampler, limits and ids change at once; spans not yet exported get the new resource."""
    engine = Engine(TracerProvider.lean({"service.name": "old"}))
    early = engine.tracer.start_span("early")
    early.end()

    engine.provider.reconfigure(resource_attributes={"service.name": "new"}, limits=SpanLimits(max_span_attributes=1))
    late = engine.tracer.start_span("late", attributes={"a": 1, "b": 2})
    engine.provider.reconfigure(sampler=ALWAYS_OFF)

    assert early.resource.attributes["service.name"] == "new"
    assert dict(late.attributes) == {"b": 2}
    assert not engine.tracer.start_span("off").is_recording()
    assert engine.provider.sampler is ALWAYS_OFF


def test_replaced_processors_get_nothing_more() -> None:
    """replace_processors holds for spans that are open, too."""
    engine = Engine(TracerProvider.lean({}))
    span = engine.tracer.start_span("x")
    kept = Keep()
    engine.provider.replace_processors([kept])
    span.end()

    assert engine.spans == [] and [one.name for one in kept.spans] == ["x"]


def test_disabled_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """OTEL_SDK_DISABLED=true gives tracers that do nothing."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", " TRUE ")

    assert isinstance(TracerProvider(resource=Resource({}), shutdown_on_exit=False).get_tracer("x"), NoOpTracer)


def test_a_tracer_configurator_switches_tracers_off_and_on() -> None:
    """The SDK's experimental configurator works, also for tracers that are handed out."""
    config = sdk_trace._TracerConfig
    provider = TracerProvider(
        resource=Resource({}),
        shutdown_on_exit=False,
        _tracer_configurator=lambda scope: config(is_enabled=scope.name != "off"),
    )
    on, off = provider.get_tracer("on"), provider.get_tracer("off")
    with on.start_as_current_span("parent") as parent:
        child: Any = off.start_span("x")
        with off.start_as_current_span("y") as current:
            assert not current.is_recording()

    assert parent.is_recording is not None and not child.is_recording()
    assert child.get_span_context() == parent.get_span_context()
    assert off.begin("z") is None  # type: ignore[attr-defined]

    provider._set_tracer_configurator(tracer_configurator=lambda scope: config(is_enabled=True))
    assert off.start_span("x").is_recording()


@pytest.mark.parametrize("sampler", [sdk_trace.sampling.DEFAULT_ON, sdk_trace.sampling.DEFAULT_OFF])
def test_counts_spans_for_the_sdks_own_metrics(monkeypatch: pytest.MonkeyPatch, sampler: Any) -> None:
    """With the SDK's switch on, its two instruments count our spans as they count its own, unsampled ones too."""
    monkeypatch.setenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "true")

    def counted(kind: Any) -> list[tuple[str, Any, dict[str, Any]]]:
        reader = InMemoryMetricReader()
        meters = MeterProvider(metric_readers=[reader], resource=Resource({}))
        provider = kind(
            sampler=sampler,
            resource=Resource({}),
            shutdown_on_exit=False,
            meter_provider=meters,
        )
        tracer = provider.get_tracer("x")
        with tracer.start_as_current_span("a"), tracer.start_as_current_span("b"):
            tracer.start_span("left open")
        data: Any = reader.get_metrics_data()
        meters.shutdown()
        return sorted(
            (metric.name, point.value, sorted(dict(point.attributes).items()))
            for of_resource in data.resource_metrics
            for of_scope in of_resource.scope_metrics
            for metric in of_scope.metrics
            for point in metric.data.data_points
        )

    assert counted(sdk_trace.TracerProvider) == counted(TracerProvider)


def test_shuts_down_when_the_interpreter_exits() -> None:
    """Processors are shut down at exit unless asked otherwise, and once only."""
    out = python("""
        from opentelemetry.sdk.resources import Resource
        from tellwhy.engine import TracerProvider
        class Says:
            def __init__(self, name): self.name = name
            def on_end(self, span): pass
            def shutdown(self): print(self.name)
        for name, arguments in {"default": {}, "not": {"shutdown_on_exit": False}, "by hand": {}}.items():
            provider = TracerProvider(resource=Resource({}), **arguments)
            provider.add_span_processor(Says(name))
        provider.shutdown()
    """)

    assert out.splitlines() == ["by hand", "default"]


def test_a_provider_that_is_let_go_is_freed() -> None:
    """Neither the fork hook nor the SDK's look-out keeps a provider alive."""
    provider = TracerProvider.lean({})
    tracer = provider.get_tracer("x")
    tracer.start_span("x").end()
    gone = weakref.ref(provider)

    del provider, tracer
    gc.collect()

    assert gone() is None


def test_default_limits_of_a_lean_provider_ignore_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The setup has read the settings already; a lean provider takes what it is given."""
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "1")
    provider = TracerProvider.lean({})

    assert provider._span_limits.max_span_attributes == 128
    assert provider.sampler is DEFAULT_ON
