# SPDX-License-Identifier: Apache-2.0
"""
The door between traced functions and OpenTelemetry, which loads with the first span only.

Wrappers call ``entry.begin(...)``: there is no such name until it is first
asked for, and then it is ``live.begin``.
"""

from __future__ import annotations

import sys

from tellwhy.engine import active

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tellwhy.manual.live import begin as begin


def __getattr__(name: str) -> Any:
    if name != "begin":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tellwhy.manual import live

    found = globals()[name] = getattr(live, name)
    return found


def off() -> bool:
    """Tell whether no tracer is in force: neither tellwhy's nor one that the program installed itself."""
    return (
        active.tracer is None
        and active.pending is None
        and getattr(sys.modules.get("opentelemetry.trace"), "_TRACER_PROVIDER", None) is None
    )
