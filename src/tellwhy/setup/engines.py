# SPDX-License-Identifier: Apache-2.0
"""The provider of the engine in force, from the same settings for both."""

from __future__ import annotations

from tellwhy import resource
from tellwhy.setup import components

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from tellwhy.settings import Settings


def build(settings: Settings, resource_attributes: dict[str, Any], processors: Iterable[Any]) -> Any:
    """Return a provider with the settings' sampler, limits and ids, and these processors."""
    build_one = _lean if settings.engine == "lean" else _official
    return build_one(settings, resource_attributes, processors)


def _lean(settings: Settings, resource_attributes: dict[str, Any], processors: Iterable[Any]) -> Any:
    from tellwhy.delivery.leaving import fork
    from tellwhy.engine.limits import SpanLimits
    from tellwhy.engine.provider import TracerProvider

    provider = TracerProvider.lean(
        resource_attributes,
        sampler=sampler(settings),
        limits=SpanLimits(**components.limits(settings), environ={}),
        id_generator=components.id_generator(settings),
    )
    provider.reconfigure(**exclusion(settings))
    for processor in processors:
        provider.add_span_processor(processor)

    def in_forked_child() -> None:
        provider.reconfigure(resource_attributes={**provider.resource_attributes, **resource.after_fork(settings)})

    fork.on_child(in_forked_child)
    return provider


def _official(settings: Settings, resource_attributes: dict[str, Any], processors: Iterable[Any]) -> Any:
    from tellwhy.delivery.leaving import fork
    from tellwhy.engine import official
    from tellwhy.manual.lineage import Lineage

    provider = official.build(
        resource_attributes,
        sampler(settings),
        components.limits(settings),
        components.id_generator(settings),
        processors,
    )
    provider.after_fork = lambda: resource.after_fork(settings)
    fork.on_child(provider.become_child)
    lineage: Any = Lineage()
    provider.add_span_processor(lineage)  # what our own spans know of themselves, the SDK's are told
    return provider


def exclusion(settings: Settings) -> dict[str, Any]:
    """Return what tells the lean provider which requests are left out; nothing for the official one."""
    if settings.engine != "lean":
        return {}
    from tellwhy.patchers.exclusion import LeaveOut

    return {"leave_out": LeaveOut(settings)}


def sampler(settings: Settings) -> Any:
    """Return the sampler that the settings name, in the classes of the engine in force."""
    chosen = components.custom_sampler(settings) or _built_in(settings)
    if settings.engine == "sdk" and settings.metrics_exporter != ("none",):
        from opentelemetry.sdk.trace.sampling import AlwaysRecordSampler

        return AlwaysRecordSampler(chosen)  # what is counted must be recorded; our own engine sees to that itself
    return chosen


def _built_in(settings: Settings) -> Any:
    sampling: Any
    if settings.engine == "lean":
        from tellwhy.sampling import head as sampling
    else:
        from opentelemetry.sdk.trace import sampling
    name = settings.traces_sampler
    root: Any
    if name.endswith("always_off"):
        root = sampling.ALWAYS_OFF
    elif name.endswith("traceidratio"):
        root = sampling.TraceIdRatioBased(float(settings.traces_sampler_arg or 1.0))
    else:
        root = sampling.ALWAYS_ON
    return sampling.ParentBased(root) if name.startswith("parentbased_") else root
