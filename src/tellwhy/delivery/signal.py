# SPDX-License-Identifier: Apache-2.0
"""
What differs between traces, logs and metrics on their way to the receiver? Names, and nothing else.

Queue, courier, exporter, exit and their words are the same for all three.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from tellwhy.settings.load import Settings


class Signal:
    """
    One of OpenTelemetry's signals.

    Attributes:

        name: As in its settings and paths: ``OTEL_EXPORTER_OTLP_TRACES_ENDPOINT``, ``/v1/traces``.

        noun: What waits in its queue, in the plural, as people call it.

        component: What is exported, as the conventions' names of exporters have it: ``otlp_http_log_exporter``.

        rejected: The field of OTLP/JSON in which a receiver counts what it did not take.

        may_be_absent: Whether a backend is still a sound one if it does not know this signal.
    """

    __slots__ = ("component", "may_be_absent", "name", "noun", "rejected")

    def __init__(self, name: str, noun: str, component: str, rejected: str, *, may_be_absent: bool) -> None:
        self.name = name
        self.noun = noun
        self.component = component
        self.rejected = rejected
        self.may_be_absent = may_be_absent

    @property
    def path(self) -> str:
        """The path that is appended to the general endpoint."""
        return f"/v1/{self.name}"

    @property
    def one(self) -> str:
        """The noun in the singular."""
        return self.noun.removesuffix("s")

    def variable(self, name: str) -> str:
        """Return the environment variable of this signal for one of the exporter's settings: ``endpoint``."""
        return f"OTEL_EXPORTER_OTLP_{self.name}_{name}".upper()


TRACES: Final = Signal("traces", "spans", "span", "rejectedSpans", may_be_absent=False)
LOGS: Final = Signal("logs", "log records", "log", "rejectedLogRecords", may_be_absent=True)
METRICS: Final = Signal("metrics", "metric collections", "metric", "rejectedDataPoints", may_be_absent=True)


def of_signal(settings: Settings, signal: Signal, name: str) -> Any:
    """Return one of the exporter's settings for a signal: its own, else the general one."""
    own = getattr(settings, f"exporter_otlp_{signal.name}_{name}")
    return getattr(settings, f"exporter_otlp_{name}") if own is None or own == {} else own
