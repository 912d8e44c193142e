# SPDX-License-Identifier: Apache-2.0
"""
The door between traced functions and OpenTelemetry, which loads with the first span only.

Those inside call ``entry.begin(...)``: there is no such name until it is first
asked for, and then it is ``live.begin``.
"""

from __future__ import annotations

import sys

from tellwhy.engine import active

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tellwhy.manual.lineage import local_root as local_root
    from tellwhy.manual.live import Silent as Silent
    from tellwhy.manual.live import begin as begin
    from tellwhy.manual.live import current_ids as current_ids
    from tellwhy.manual.live import current_span as current_span
    from tellwhy.manual.outcome import failed as failed
    from tellwhy.manual.outcome import failed_because as failed_because
    from tellwhy.manual.values import cleaned as cleaned


def __getattr__(name: str) -> Any:
    # The API first: its import builds the provider, which must not meet modules of ours that are half imported.
    import opentelemetry.trace  # noqa: F401

    from tellwhy.manual import lineage, live, outcome, values

    for home in (live, lineage, outcome, values):
        found = vars(home).get(name)
        if getattr(found, "__module__", None) == home.__name__:
            globals()[name] = found
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def off() -> bool:
    """Tell whether no tracer is in force: neither tellwhy's nor one that the program installed itself."""
    return (
        active.tracer is None
        and active.pending is None
        and getattr(sys.modules.get("opentelemetry.trace"), "_TRACER_PROVIDER", None) is None
    )
