# SPDX-License-Identifier: Apache-2.0
"""
What is done about the program's libraries, by the settings? Each is waited for, none is imported.

Loaded when tracing is on: a program with ``OTEL_SDK_DISABLED=true`` pays for none of it.
"""

from __future__ import annotations

import sys

from tellwhy import diagnostics, imports
from tellwhy.patchers import context, contrib, records, table
from tellwhy.patchers.lent import lent_environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tellwhy.settings import Settings


def around_their_imports(settings: Callable[[], Settings]) -> None:
    """Show the settings of that moment to those of OpenTelemetry's modules that read the environment at import."""
    for module in ("opentelemetry.propagate", "opentelemetry.sdk.trace"):
        imports.around_import(module, lambda: lent_environment(settings()))


def instrument(settings: Settings) -> None:
    """Instrument each library when the program imports it, at once where it has."""
    ours = (*table.install(settings), *context.install(settings)) if settings.engine == "lean" else ()
    contrib.install(settings, ours)
    if settings.trace:
        from tellwhy.manual.configured import trace_functions

        trace_functions(settings.trace)
    if settings.redact or "tellwhy.redaction" in sys.modules:  # it may have held others' patterns before
        from tellwhy import redaction

        for problem in redaction.configure(settings.redact):
            diagnostics.warn(problem)


def leave() -> None:
    """Leave every library as it was."""
    table.uninstall()
    context.uninstall()
    contrib.uninstall()
    records.clear()
    trust = sys.modules.get("tellwhy.propagation.trust")
    if trust is not None:
        trust.configure(("always",))
