# SPDX-License-Identifier: Apache-2.0
"""
The parts of a pipeline, made from the settings: sampler, limits, ids, exporters, processors.

Each function answers for one setting. What an installed package offers under
an entry point is loaded by name; one exporter that cannot be made leaves the
others in place and a line that says why.
"""

from __future__ import annotations

from tellwhy import diagnostics
from tellwhy.delivery.signal import TRACES
from tellwhy.plugins import entry_points, load
from tellwhy.settings import ROWS, Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.sdk.trace.id_generator import IdGenerator


_LEAN_ONLY = ("spans_per_trace", "open_spans", "excluded_paths", "sql_parameters", "context_link_after")


def limits(settings: Settings) -> dict[str, int | None]:
    """Return the span limits as keywords of ``SpanLimits``; None is without limit."""
    general = settings.attribute_count_limit

    def or_general(value: int | None) -> int:
        return general if value is None else value

    length = settings.attribute_value_length_limit
    span_length = settings.span_attribute_value_length_limit
    return {
        "max_attributes": general,
        "max_events": settings.span_event_count_limit,
        "max_links": settings.span_link_count_limit,
        "max_span_attributes": or_general(settings.span_attribute_count_limit),
        "max_event_attributes": or_general(settings.event_attribute_count_limit),
        "max_link_attributes": or_general(settings.link_attribute_count_limit),
        "max_attribute_length": length,
        "max_span_attribute_length": length if span_length is None else span_length,
    }


def id_generator(settings: Settings) -> IdGenerator | None:
    """Return the id generator that the settings name; None for random ids."""
    name = settings.python_id_generator
    if name == "random":
        return None
    generator: IdGenerator | None = made(
        f"OTEL_PYTHON_ID_GENERATOR={name}", lambda: factory("opentelemetry_id_generator", name)()
    )
    return generator


def custom_sampler(settings: Settings) -> Any:
    """Return the installed sampler that the settings name; None where it is a built-in one."""
    name = settings.traces_sampler
    if name in Settings.traces_sampler.kind.choices():
        return None
    make = factory("opentelemetry_traces_sampler", name)
    return made(f"OTEL_TRACES_SAMPLER={name}", lambda: make(settings.traces_sampler_arg))


def exporters(settings: Settings) -> list[tuple[str, SpanExporter]]:
    """Return name and exporter for each that the settings name and that can be made."""
    found = []
    for name in settings.traces_exporter:
        if name == "none":
            continue
        exporter = made(f"OTEL_TRACES_EXPORTER={name}", lambda name=name: _exporter(name, settings))
        if exporter is not None:
            found.append((name, _private(exporter)))
    return found


def _private(exporter: Any) -> Any:
    """Return an exporter that lets no secrets out."""
    from tellwhy.delivery.otlp.exporter import OTLPSpanExporter

    if isinstance(exporter, OTLPSpanExporter):
        return exporter  # its encoders see to that
    from tellwhy.delivery.otlp.redacting import RedactingExporter

    return RedactingExporter(exporter)


def _exporter(name: str, settings: Settings) -> Any:
    if name == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        return ConsoleSpanExporter()
    if name == "otlp":
        from tellwhy.setup import otlp

        return otlp.exporter(TRACES, settings)
    return factory("opentelemetry_traces_exporter", name)()


def factory(group: str, name: str) -> Any:
    """Return what an installed package offers under a name."""
    return load(entry_points(group)[name])


def made(what: str, make: Any) -> Any:
    """Return what is made, or None and a line that says why not."""
    try:
        return make()
    except Exception as error:
        diagnostics.warn(f"{what}: cannot be used: {type(error).__name__}: {error}; going on without it")
        return None


def processor(name: str, exporter: SpanExporter, settings: Settings) -> SpanProcessor:
    """Return the processor for an exporter: batching, but for the console, which shows spans at once."""
    if name == "console":
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor

        return SimpleSpanProcessor(exporter)
    options: dict[str, Any] = {
        "max_queue_size": settings.bsp_max_queue_size,
        "schedule_delay_millis": settings.bsp_schedule_delay,
        "max_export_batch_size": settings.bsp_max_export_batch_size,
        "export_timeout_millis": settings.bsp_export_timeout,
    }
    if settings.engine == "sdk":
        from tellwhy.engine.official import OfficialBatchSpanProcessor

        return OfficialBatchSpanProcessor(exporter, **options)
    from tellwhy.delivery import BatchSpanProcessor as LeanBatchSpanProcessor

    lean: Any = LeanBatchSpanProcessor(
        exporter, **options, exit_budget_millis=settings.exit_budget, spool_dir=settings.spool_dir or ""
    )
    return lean  # type: ignore[no-any-return]  # a SpanProcessor by behaviour


def intake(processors: list[Any], settings: Settings) -> tuple[list[Any], list[Any]]:
    """Return what the provider gets of those who deliver, and all who take part in the exit."""
    if settings.engine == "sdk":
        for name in _LEAN_ONLY:
            if settings.origin(name) != "default":
                diagnostics.warn(f"{ROWS[name].variable} is ignored: TELLWHY_ENGINE=sdk cannot do that")
    elif processors and (settings.spans_per_trace or settings.open_spans):
        from tellwhy.delivery.intake import Intake

        front = Intake(processors, settings.spans_per_trace, settings.open_spans)
        return [front], front.members
    return processors, processors
