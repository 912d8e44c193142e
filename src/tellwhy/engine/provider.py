# SPDX-License-Identifier: Apache-2.0
"""
The lean ``TracerProvider``: drop-in for the SDK's, and reconfigurable while it runs.

``TracerProvider(...)`` takes what the SDK's takes and behaves as it does.
``TracerProvider.lean(...)`` is for tellwhy's setup: plain data in, and
``opentelemetry.sdk`` is not imported.
"""

from __future__ import annotations

import atexit
import os
import weakref

from opentelemetry.trace import NoOpTracer
from opentelemetry.trace import TracerProvider as ApiTracerProvider

from tellwhy import diagnostics
from tellwhy.engine import metered
from tellwhy.engine.active import INSTRUMENTATIONS
from tellwhy.engine.child_resource import generated_instance_id, resource_of_this_process
from tellwhy.engine.core import Core, LeanResource
from tellwhy.engine.ids import RandomIdGenerator
from tellwhy.engine.limits import SpanLimits
from tellwhy.engine.processors import Processors, connect_foreign
from tellwhy.engine.records import Event
from tellwhy.engine.samplers import DEFAULT_ON, DROP, Sampler, from_environment
from tellwhy.engine.scope import Scope
from tellwhy.engine.selective import SelectiveTracer
from tellwhy.engine.span import Span
from tellwhy.engine.tracer import DisabledTracer, Tracer
from tellwhy.imports import when_imported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import ModuleType
    from typing import Any

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.trace import Tracer as ApiTracer
    from opentelemetry.util import types

_METERED = "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"


class TracerProvider(ApiTracerProvider):
    """
    Makes tracers and hands their spans to processors; the SDK's provider, lean.

    Args:

        sampler: Ours, the SDK's or your own; by default what ``OTEL_TRACES_SAMPLER`` asks for.

        resource: The SDK's ``Resource``; by default ``Resource.create()``.

        shutdown_on_exit: Shut down when the interpreter exits.

        active_span_processor: Receives all spans in place of the built-in list of processors.

        id_generator: The SDK's or your own; by default random ids.

        span_limits: The SDK's or ours; by default from the environment.

        meter_provider: Where the SDK's own metrics of spans go (``OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED``).
    """

    after_fork: Callable[[], Mapping[str, Any]] | None = None
    """Returns, in a forked child, the resource attributes that differ there; None for none."""

    _disabled = False
    _generated_instance_id: str | None = None
    _atexit_handler: Any = None
    _tracer_configurator: Any = None
    _metrics: Any = None  # what the SDK counts spans with, if it is asked to
    _span_counter: Any = None

    def __init__(
        self,
        sampler: Any = None,
        resource: Resource | None = None,
        shutdown_on_exit: bool = True,
        active_span_processor: Any = None,
        id_generator: Any = None,
        span_limits: Any = None,
        *,
        meter_provider: Any = None,
        _tracer_configurator: Any = None,
    ) -> None:
        if resource is None:
            from opentelemetry.sdk.resources import Resource

            resource = Resource.create({})
        self._build(sampler or from_environment(), resource, span_limits or SpanLimits(), id_generator)
        if active_span_processor:
            connect_foreign(self._core, active_span_processor)
        self._generated_instance_id = generated_instance_id()
        self._disabled = _is_true("OTEL_SDK_DISABLED")
        if _is_true(_METERED):
            self.count_spans(meter_provider)
        self._tracer_configurator = _tracer_configurator
        if shutdown_on_exit:
            self._atexit_handler = atexit.register(self.shutdown)

    @classmethod
    def lean(
        cls,
        resource_attributes: Mapping[str, Any],
        *,
        schema_url: str = "",
        sampler: Any = None,
        limits: Any = None,
        id_generator: Any = None,
    ) -> TracerProvider:
        """
        Build a provider from plain data, without importing the SDK and without an exit handler.

        Args:

            resource_attributes: The resource, complete; ``.resource`` makes the SDK's object of it.

            schema_url: The resource's schema URL.

            sampler: By default the specification's ``parentbased_always_on``.

            limits: A ``SpanLimits``; by default the specification's.

            id_generator: By default random ids.
        """
        provider = cls.__new__(cls)
        resource = LeanResource(resource_attributes, schema_url)
        provider._build(sampler or DEFAULT_ON, resource, limits or SpanLimits(environ={}), id_generator)
        if _is_true(_METERED):
            provider.count_spans()
        return provider

    def _build(self, sampler: Any, resource: Any, limits: Any, id_generator: Any) -> None:
        # A program that asks whether a span is one of the SDK's has imported it.
        when_imported("opentelemetry.sdk.trace", _become_the_sdks, lasting=True)
        core = Core()
        core.resource = resource
        core.records_unsampled = False
        core.set_sampler(sampler)
        core.set_limits(limits)
        core.set_ids(id_generator)
        Processors(core)
        self._core = core
        self._tracers: dict[tuple[Any, ...], Tracer] = {}
        _call_in_forked_children(self)

    def reconfigure(
        self,
        *,
        resource_attributes: Mapping[str, Any] | None = None,
        schema_url: str | None = None,
        sampler: Any = None,
        limits: Any = None,
        id_generator: Any = None,
        leave_out: Callable[[str, Any], bool] | None = None,
    ) -> None:
        """
        Change what is given, for all tracers that exist and are to come; None leaves a thing as it is.

        ``leave_out(scope, attributes)`` tells of a server's span, started by a tracer of an instrumentation,
        whether it is left out.

        The resource holds for spans that are made but not yet encoded too, the
        rest for spans that start after the call.
        """
        core = self._core
        if resource_attributes is not None or schema_url is not None:
            old = core.resource
            attributes = old.attributes if resource_attributes is None else resource_attributes
            core.resource = LeanResource(attributes, old.schema_url if schema_url is None else schema_url)
        if sampler is not None:
            core.set_sampler(sampler)
        if limits is not None:
            core.set_limits(limits)
        if id_generator is not None:
            core.set_ids(id_generator)
        if leave_out is not None:
            core.leave_out = leave_out

    def replace_processors(self, processors: Iterable[Any]) -> None:
        """Send what ends from now on through these processors alone; the old ones are not shut down."""
        counters = (self._span_counter,) if self._span_counter else ()
        self._core.processors._span_processors = (*counters, *processors)

    def count_spans(self, meter_provider: Any = None) -> None:
        """Count what starts and what is open, as the SDK counts it; for the global meter provider by default."""
        self._metrics = metered.metrics(meter_provider)
        if self._metrics is None or self._span_counter is not None:
            return
        self._span_counter = metered.SpanCounter()
        self.add_span_processor(self._span_counter)
        if self._core.local_unsampled is DROP:
            self._core.local_unsampled = metered.drop_seen

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: types.Attributes = None,
    ) -> ApiTracer:
        """Return the tracer of a scope; the same one each time it is asked for."""
        if self._disabled:
            return NoOpTracer()
        key = (instrumenting_module_name, instrumenting_library_version, schema_url, _key_of(attributes))
        try:
            return self._tracers[key]
        except (KeyError, TypeError):
            return self._make_tracer(instrumenting_module_name, instrumenting_library_version, schema_url, attributes)

    def add_span_processor(self, span_processor: Any) -> None:
        """Add a processor after those that are there."""
        self._core.processors.add_span_processor(span_processor)

    def shutdown(self) -> None:
        """Shut the processors down."""
        try:
            self._core.processors.shutdown()
        except Exception as error:
            diagnostics.fault("shutdown of the span processors", error)
        if self._atexit_handler is not None:
            atexit.unregister(self._atexit_handler)
            self._atexit_handler = None

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Have the processors deliver what they hold; False if the time was not enough."""
        try:
            return bool(self._core.processors.force_flush(timeout_millis))
        except Exception as error:
            diagnostics.fault("flush of the span processors", error)
            return False

    # -- what the SDK's provider lets be read and set --------------------------

    @property
    def resource(self) -> Resource:
        """The resource as the SDK's object; imports the SDK."""
        resource: Resource = self._core.sdk_resource()
        return resource

    @property
    def _resource(self) -> Resource:
        return self.resource

    @property
    def resource_attributes(self) -> Mapping[str, Any]:
        """The resource's attributes; imports nothing."""
        attributes: Mapping[str, Any] = self._core.resource.attributes
        return attributes

    @property
    def sampler(self) -> Any:
        """The sampler; setting it holds for tracers that exist, too."""
        return self._core.sampler

    @sampler.setter
    def sampler(self, sampler: Any) -> None:
        self._core.set_sampler(sampler)

    @property
    def id_generator(self) -> Any:
        """The id generator; setting it holds for tracers that exist, too."""
        return self._core.ids or RandomIdGenerator()

    @id_generator.setter
    def id_generator(self, id_generator: Any) -> None:
        self._core.set_ids(id_generator)

    @property
    def _span_limits(self) -> Any:
        return self._core.limits

    @property
    def _active_span_processor(self) -> Any:
        return self._core.processors

    @_active_span_processor.setter
    def _active_span_processor(self, active: Any) -> None:
        connect_foreign(self._core, active)

    def _set_tracer_configurator(self, *, tracer_configurator: Any) -> None:
        self._tracer_configurator = tracer_configurator
        for tracer in list(self._tracers.values()):
            tracer.__class__ = self._tracer_class(tracer._scope)

    # -- inner work -------------------------------------------------------------

    def _make_tracer(self, name: Any, version: Any, schema_url: Any, attributes: Any) -> Tracer:
        if not isinstance(name, str) or not name:
            diagnostics.warn("get_tracer() without a name; the scope of its spans is empty", key="get_tracer")
        scope = Scope(_text(name), _text(version), _text(schema_url), attributes)
        tracer = self._tracer_class(scope)(self._core, scope)
        key = (scope.name, scope.version, scope.schema_url, _key_of(scope.attributes))
        tracer = self._tracers.setdefault(key, tracer)
        if isinstance(name, str) and (version is None or isinstance(version, str)):
            return self._tracers.setdefault((name, version, schema_url, key[3]), tracer)
        return tracer

    def _tracer_class(self, scope: Scope) -> type[Tracer]:
        if self._metrics is not None:
            return metered.tracer_class(self._metrics)
        if self._tracer_configurator is None:
            return SelectiveTracer if scope.name.startswith(INSTRUMENTATIONS) else Tracer
        try:
            enabled = self._tracer_configurator(scope.sdk()).is_enabled
        except Exception as error:
            diagnostics.fault("the tracer configurator", error)
            enabled = True
        return Tracer if enabled else DisabledTracer

    def _handle_fork(self) -> None:
        child = self._core.fork()
        self._core = child
        for tracer in self._tracers.values():
            tracer._core = child
        if isinstance(child.processors, Processors):
            child.processors.moved_to(child)
        self._take_resource_of_this_process()

    def _take_resource_of_this_process(self) -> None:
        core = self._core
        try:
            if not isinstance(core.resource, LeanResource):
                core.resource = resource_of_this_process(core.resource, self._generated_instance_id)
                self._generated_instance_id = generated_instance_id()
            if self.after_fork is not None:
                self.reconfigure(resource_attributes={**core.resource.attributes, **self.after_fork()})
        except Exception as error:  # the parent's resource is the best there is
            diagnostics.fault("the resource of a forked process", error)


def _key_of(attributes: Any) -> str | None:
    """Return what tells two scopes' attributes apart; None for none."""
    if attributes is None:
        return None
    try:
        return repr(sorted(attributes.items())) if attributes else None
    except Exception:
        return repr(type(attributes))


def _is_true(variable: str) -> bool:
    return os.environ.get(variable, "").strip().lower() == "true"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _call_in_forked_children(provider: TracerProvider) -> None:
    if not hasattr(os, "register_at_fork"):
        return
    weak = weakref.ref(provider)

    def after_in_child() -> None:
        alive = weak()
        if alive is not None:
            alive._handle_fork()

    os.register_at_fork(after_in_child=after_in_child)


def _become_the_sdks(sdk: ModuleType) -> None:
    """Let ``isinstance`` see our classes as the SDK's, now that the SDK is there."""
    try:
        # All but ReadableSpan are abstract base classes, to which others may be added.
        # A real base for that one: type() of it is plain, so there is no other way.
        Span.__bases__ = (*Span.__bases__[:1], sdk.ReadableSpan)
        sdk.Span.register(Span)
        sdk.Event.register(Event)
        sdk.Tracer.register(Tracer)
        sdk.TracerProvider.register(TracerProvider)
        sdk.sampling.Sampler.register(Sampler)
        sdk.IdGenerator.register(RandomIdGenerator)
    except Exception as error:
        diagnostics.fault("joining the SDK's classes", error)
