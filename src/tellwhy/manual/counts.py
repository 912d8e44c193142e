# SPDX-License-Identifier: Apache-2.0
"""
What has the manual API counted about itself: read by ``tellwhy.stats()`` and the doctor.

Nothing that goes missing goes missing in silence: an attribute that could not
be computed, a span that was dropped because it was short, a parameter whose
annotation cannot be resolved.
"""

from __future__ import annotations

from tellwhy import diagnostics

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_MAX_UNRESOLVED: Final = 100

functions = 0
"""Functions decorated so far in this process."""

attributes_failed = 0
"""Attributes left out because a callable (``attributes=``, ``result=``, ``get=`` …) raised."""

spans_too_short = 0
"""Spans dropped because they ended before their ``min_duration``."""

unresolved: dict[str, str] = {}
"""Parameters that are not captured: ``module.function.parameter`` -> why."""


def stats() -> dict[str, int]:
    """Return the numbers under the names that ``tellwhy.stats()`` shows."""
    return {
        "traced_functions": functions,
        "attributes_failed": attributes_failed,
        "spans_too_short": spans_too_short,
        "annotations_unresolved": len(unresolved),
    }


def function_decorated() -> None:
    """Count one more traced function."""
    global functions
    functions += 1


def attribute_failed(where: str, error: BaseException) -> None:
    """Count an attribute that its callable did not give; said once per place, under ``debug`` only."""
    global attributes_failed
    attributes_failed += 1
    diagnostics.debug(f"{where}: {type(error).__name__}: attribute left out", key=f"attribute:{where}")


def span_too_short() -> None:
    """Count a span that was dropped because it was shorter than its ``min_duration``."""
    global spans_too_short
    spans_too_short += 1


def parameter_unresolved(function: str, parameter: str, error: BaseException) -> None:
    """Remember a parameter whose annotation cannot be resolved, so it is never captured."""
    where = f"{function}.{parameter}"
    if len(unresolved) < _MAX_UNRESOLVED:
        unresolved[where] = f"{type(error).__name__}: {error}"
    diagnostics.debug(f"annotation of {where} cannot be resolved ({error}): not captured", key=where)
