# SPDX-License-Identifier: Apache-2.0
"""
tellwhy: traces tell you why one request was slow or failed.

``tellwhy run python app.py`` traces a program that has no line of tracing in
it; ``setup_tracing()`` does the same from code; ``@traced`` makes spans of your
own. Importing this package does nothing else: what is heavy loads when used.

PYTEST_DONT_REWRITE: under ``tellwhy run pytest`` this module is there before pytest, which would warn of that.
"""

from __future__ import annotations

from tellwhy._version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tellwhy import logs, testing
    from tellwhy.errors import ConfigurationError, DecorationError, TellwhyError
    from tellwhy.face import flush, shutdown, stats
    from tellwhy.manual import (
        SpanAttr,
        annotate,
        annotate_root,
        current_span_id,
        current_trace_id,
        event,
        fail,
        span,
        suppressed,
        traced,
        untraced,
    )
    from tellwhy.setup.tracing import Tracing, setup_tracing

__all__ = [
    "ConfigurationError", "DecorationError", "SpanAttr", "TellwhyError", "Tracing", "__version__", "annotate",
    "annotate_root", "current_span_id", "current_trace_id", "event", "fail", "flush", "logs", "setup_tracing",
    "shutdown", "span", "stats", "suppressed", "testing", "traced", "untraced",
]  # fmt: skip

_HOMES = {
    "errors": ("ConfigurationError", "DecorationError", "TellwhyError"),
    "face": ("flush", "shutdown", "stats"),
    "setup.tracing": ("Tracing", "setup_tracing"),
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'tellwhy' has no attribute {name!r}")
    from importlib import import_module

    if name in ("logs", "testing"):
        return import_module(f"tellwhy.{name}")
    home = next((home for home, names in _HOMES.items() if name in names), "manual")
    value = globals()[name] = getattr(import_module(f"tellwhy.{home}"), name)
    return value


def __dir__() -> list[str]:
    return __all__
