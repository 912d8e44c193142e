# SPDX-License-Identifier: Apache-2.0
"""
The semantic conventions' metrics of durations, from the spans of our own patchers.

``http.server.request.duration``, ``http.client.request.duration`` and
``db.client.operation.duration``: a request's span has every attribute that they
ask for, so they cost nothing before it ends, and nothing at all while metrics
are off. Spans of OpenTelemetry's own instrumentors are left out: those record
these metrics themselves.
https://opentelemetry.io/docs/specs/semconv/http/http-metrics/,
https://opentelemetry.io/docs/specs/semconv/database/database-metrics/
"""

from __future__ import annotations

from tellwhy.metrics.durations import FOLD_AT, SECOND, Durations
from tellwhy.metrics.histograms import Explicit, Exponential

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Final

OURS: Final = "tellwhy.patchers."
"""How the scopes of our patchers begin."""
_SERVER, _CLIENT = 1, 2  # kinds of spans, as the API numbers them
_HTTP_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_DB_BOUNDS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)
_HTTP_SERVER: Final = (
    "http.request.method",
    "url.scheme",
    "http.response.status_code",
    "http.route",
    "network.protocol.version",
    "error.type",
)
_HTTP_CLIENT: Final = (
    "http.request.method",
    "server.address",
    "server.port",
    "http.response.status_code",
    "network.protocol.version",
    "error.type",
    "url.scheme",
)
_DB: Final = (
    "db.system.name",
    "db.collection.name",
    "db.namespace",
    "db.operation.name",
    "db.response.status_code",
    "error.type",
    "server.address",
    "server.port",
)


class Conventions:
    """
    The three metrics.

    Args:

        exponential: Buckets that follow the values, in place of the conventions' bounds.
    """

    def __init__(self, *, exponential: bool = False) -> None:
        def durations(name: str, description: str, bounds: tuple[float, ...]) -> Durations:
            in_ns = tuple(round(bound * SECOND) for bound in bounds)
            make = (lambda: Exponential(SECOND)) if exponential else (lambda: Explicit(in_ns))
            return Durations(name, "s", description, make)

        self.http_server = durations("http.server.request.duration", "Duration of HTTP server requests.", _HTTP_BOUNDS)
        self.http_client = durations("http.client.request.duration", "Duration of HTTP client requests.", _HTTP_BOUNDS)
        self.db_client = durations(
            "db.client.operation.duration", "Duration of database client operations.", _DB_BOUNDS
        )
        self.of_scope: set[Any] = set()
        """The scopes of our patchers, as far as they have been met."""

    @property
    def metrics(self) -> list[Durations]:
        """All three."""
        return [self.http_server, self.http_client, self.db_client]

    def learn(self, scope: Any) -> None:
        """Remember a scope if it is one of our patchers'."""
        if scope.name.startswith(OURS):
            self.of_scope.add(scope)

    def count(self, span: Any, duration: int, exemplar_bit: int) -> None:
        """Count a span of our engine, from one of our patchers."""
        kept = span if span._flags & exemplar_bit else None
        self._count(span._kind._value_, span._attributes, duration, kept)

    def count_by(self, scope: str, kind: int, attributes: Mapping[str, Any], duration: int, kept: Any) -> None:
        """Count what a span says, if it is from one of our patchers."""
        if scope.startswith(OURS):
            self._count(kind, attributes, duration, kept)

    def _count(self, kind: int, attributes: Mapping[str, Any], duration: int, kept: Any) -> None:
        keys: tuple[str, ...]
        if kind == _SERVER and "http.request.method" in attributes:
            metric, keys = self.http_server, _HTTP_SERVER
        elif kind != _CLIENT:
            return
        elif "http.request.method" in attributes:
            metric, keys = self.http_client, _HTTP_CLIENT
        elif "db.system.name" in attributes:
            metric, keys = self.db_client, _DB
        else:
            return
        values = tuple([attributes.get(key) for key in keys])
        series = metric.known.get(values)
        if series is None:
            series = metric.series(
                values,
                lambda: {key: value for key, value in zip(keys, values, strict=True) if value is not None},
            )
        series.note(duration, kept)
        if len(series.pending) >= FOLD_AT:
            metric.fold(series)
