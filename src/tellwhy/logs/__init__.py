# SPDX-License-Identifier: Apache-2.0
"""
Logs joined to traces: `JsonFormatter`, `add_trace_context` (structlog) and `patch_loguru`.

Each loads when it is first named; structlog and loguru are never imported by us.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tellwhy.logs.formatter import JsonFormatter
    from tellwhy.logs.loguru import patch_loguru
    from tellwhy.logs.structlog import add_trace_context

__all__ = ["JsonFormatter", "add_trace_context", "patch_loguru"]

_HOMES = {"JsonFormatter": "formatter", "add_trace_context": "structlog", "patch_loguru": "loguru"}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
