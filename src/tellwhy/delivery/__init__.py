# SPDX-License-Identifier: Apache-2.0
"""
From the end of a span to the receiver's answer: queue, worker, exporter, spool, exit.

``BatchSpanProcessor`` and ``OTLPSpanExporter`` are drop-ins for the classes of
those names in opentelemetry-sdk and opentelemetry-exporter-otlp-proto-http.
Both load when they are first asked for.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tellwhy.delivery.otlp.exporter import OTLPSpanExporter
    from tellwhy.delivery.processor import BatchSpanProcessor

__all__ = ["BatchSpanProcessor", "OTLPSpanExporter"]

_HOMES = {"BatchSpanProcessor": "tellwhy.delivery.processor", "OTLPSpanExporter": "tellwhy.delivery.otlp.exporter"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
