# SPDX-License-Identifier: Apache-2.0
"""
Rate, errors and duration from the spans that end, sampled or not.

The names are those of the OpenTelemetry Collector's span metrics connector, so
that dashboards made for it work: ``traces.span.metrics.calls`` and
``traces.span.metrics.duration``, by ``service.name``, ``span.name``,
``span.kind`` and ``status.code``. An exemplar is always a sampled span.
"""

from __future__ import annotations

from tellwhy import diagnostics
from tellwhy.metrics.durations import FOLD_AT, MILLISECOND, Durations
from tellwhy.metrics.histograms import Explicit, Exponential
from tellwhy.metrics.semconv import Conventions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Final

CALLS: Final = "traces.span.metrics.calls"
DURATION: Final = "traces.span.metrics.duration"
# The connector's own, in milliseconds.
BOUNDS: Final = (2, 4, 6, 8, 10, 50, 100, 200, 400, 800, 1000, 1400, 2000, 5000, 10_000, 15_000)


class SpanMetrics:
    """
    Counts spans; a span processor like any other, and a part of our engine's own ``end`` where it can be.

    Args:

        service_name: Whose spans they are.

        dimensions: Span attributes to tell apart, beside name, kind and status.

        exponential: Buckets that follow the values, in place of given bounds.

        by_span: Whether spans are counted under their names; the conventions' metrics are in any case.

        with_exemplars: Whether sampled spans are pointed at.
    """

    def __init__(
        self,
        service_name: str,
        dimensions: Sequence[str] = (),
        *,
        exponential: bool = False,
        by_span: bool = True,
        with_exemplars: bool = True,
    ) -> None:
        self.service_name = service_name
        self._dimensions = tuple(dimensions)
        self.by_span = by_span
        self._exemplar_bit = 1 if with_exemplars else 0
        bounds = tuple(bound * MILLISECOND for bound in BOUNDS)
        self.durations = Durations(
            DURATION,
            "ms",
            "How long spans took.",
            (lambda: Exponential(MILLISECOND)) if exponential else (lambda: Explicit(bounds)),
        )
        self.conventions = Conventions(exponential=exponential)

    @property
    def metrics(self) -> list[Durations]:
        """Everything that is counted."""
        return [*((self.durations,) if self.by_span else ()), *self.conventions.metrics]

    def reset(self) -> None:
        """Forget everything: a forked child counts from nothing."""
        for one in self.metrics:
            one.reset()

    # ------------------------------------------------------ the SpanProcessor protocol

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """Do nothing."""

    def _on_ending(self, span: Any) -> None:
        """Do nothing."""

    def on_end(self, span: Any) -> None:
        """Count a span of whatever make."""
        context = span.get_span_context()
        duration = span.end_time - span.start_time
        self._count(
            (span.name, span.kind, span.status.status_code, span.attributes or {}),
            duration,
            (duration, context.trace_id, context.span_id, span.end_time)
            if context.trace_flags & self._exemplar_bit
            else None,
            getattr(span.instrumentation_scope, "name", ""),
        )

    def shutdown(self) -> None:
        """Do nothing: whoever reads decides when it is over."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:  # noqa: ARG002
        """Return True: nothing waits in here."""
        return True

    # --------------------------------------------------------------- our own engine

    def counter(self, before: Callable[[Any], None] | None) -> Callable[[Any], None]:
        """Return what our engine calls with a span that ends: ``before``, if there is any, and then it is counted."""
        durations, conventions, unusual = self.durations, self.conventions, self._unusual
        exemplar_bit, fold = self._exemplar_bit, durations.fold
        simple = self.by_span and not self._dimensions
        of_scope = conventions.of_scope

        def on_ending(span: Any) -> None:
            # One long function on purpose: it is a part of the end of every span.
            if before is not None:
                before(span)
            try:
                status = span._status
                code = status._status_code
                series = durations.known.get((span._name, span._kind._value_, code._value_)) if simple else None
                duration = span._end - span._start
                if series is None:
                    unusual(span, duration)
                else:
                    pending = series.pending
                    pending.append(duration)
                    if span._flags & exemplar_bit:  # Series.note(), without the call
                        series.latest = span
                        if duration >= series.peak:
                            series.peak = duration
                            series.slowest = span
                    if len(pending) >= FOLD_AT:
                        fold(series)
                    if span._scope in of_scope:
                        conventions.count(span, duration, exemplar_bit)
            except Exception as error:
                diagnostics.fault("the metrics of a span", error)

        return on_ending

    def _unusual(self, span: Any, duration: int) -> None:
        """Count the first span of a series, or one that is told apart by attributes."""
        kept = span if span._flags & self._exemplar_bit else None
        about = (span._name, span._kind, span._status.status_code, span._attributes)
        self._count(about, duration, kept, span._scope.name)
        self.conventions.learn(span._scope)

    def _count(self, about: Any, duration: int, kept: Any, scope: str) -> None:
        name, kind, code, attributes = about
        if self.by_span:
            of_dimensions = tuple(attributes.get(key) for key in self._dimensions)

            def described() -> dict[str, Any]:
                return {
                    "service.name": self.service_name,
                    "span.name": name,
                    "span.kind": f"SPAN_KIND_{kind.name}",
                    "status.code": f"STATUS_CODE_{code.name}",
                    **{
                        key: value
                        for key, value in zip(self._dimensions, of_dimensions, strict=True)
                        if value is not None
                    },
                }

            key = (name, kind.value, code.value, *of_dimensions)
            series = self.durations.series(key, described)
            series.note(duration, kept)
            if len(series.pending) >= FOLD_AT:
                self.durations.fold(series)
        self.conventions.count_by(scope, kind.value, attributes, duration, kept)
