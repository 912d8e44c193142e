# SPDX-License-Identifier: Apache-2.0
"""
How does delivery keep itself out of what it delivers? Whatever it calls runs marked.

No instrumentation makes spans there, and no log line from there is exported.
"""

from __future__ import annotations

from contextvars import ContextVar, copy_context

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

delivering: ContextVar[bool] = ContextVar("tellwhy-delivering", default=False)
"""True while delivery is at work on this thread."""


def untraced(function: Callable[[], object]) -> None:
    """Call a function in a context of its own in which no instrumentation makes spans."""
    copy_context().run(_suppressed, function)


def _suppressed(function: Callable[[], object]) -> None:
    delivering.set(True)
    active.suppress.set(True)
    context = set_value(_SUPPRESS_INSTRUMENTATION_KEY, True)
    # Never detached: the copied context ends with the call.
    attach(set_value(_SUPPRESS_HTTP_INSTRUMENTATION_KEY, True, context))
    function()
