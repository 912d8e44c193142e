# SPDX-License-Identifier: Apache-2.0
"""How does delivery keep itself out of the traces? Whatever it calls runs with instrumentation suppressed."""

from __future__ import annotations

from contextvars import copy_context

# Imported here, where the program's own thread loads us: an import that the
# worker begins may be cut in two by a fork.
from opentelemetry.context import (
    _SUPPRESS_HTTP_INSTRUMENTATION_KEY,
    _SUPPRESS_INSTRUMENTATION_KEY,
    attach,
    set_value,
)

from tellwhy.engine import active

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def untraced(function: Callable[[], object]) -> None:
    """Call a function in a context of its own in which no instrumentation makes spans."""
    copy_context().run(_suppressed, function)


def _suppressed(function: Callable[[], object]) -> None:
    active.suppress.set(True)
    context = set_value(_SUPPRESS_INSTRUMENTATION_KEY, True)
    # Never detached: the copied context ends with the call.
    attach(set_value(_SUPPRESS_HTTP_INSTRUMENTATION_KEY, True, context))
    function()
