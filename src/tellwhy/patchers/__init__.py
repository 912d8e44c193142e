# SPDX-License-Identifier: Apache-2.0
"""
Instrumentations: tellwhy's own for four libraries, and OpenTelemetry's for all others.

``FlaskInstrumentor``, ``RequestsInstrumentor``, ``Psycopg2Instrumentor`` and
``RedisInstrumentor`` take what OpenTelemetry's classes of those names take.
Each is loaded when it is first named.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tellwhy.patchers.flask import FlaskInstrumentor
    from tellwhy.patchers.psycopg2 import Psycopg2Instrumentor
    from tellwhy.patchers.redis import RedisInstrumentor
    from tellwhy.patchers.requests import RequestsInstrumentor

__all__ = ["FlaskInstrumentor", "Psycopg2Instrumentor", "RedisInstrumentor", "RequestsInstrumentor"]

_HOMES = {
    "FlaskInstrumentor": "flask",
    "Psycopg2Instrumentor": "psycopg2",
    "RedisInstrumentor": "redis",
    "RequestsInstrumentor": "requests",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
