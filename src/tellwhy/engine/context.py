# SPDX-License-Identifier: Apache-2.0
"""
Where does the current span live? In the very variable that ``opentelemetry.context`` uses.

Entering a span is one dict copy and one ``ContextVar.set``. Leaving resets the
variable and never complains: a span that is left in another
``contextvars.Context`` than the one it was entered in (an abandoned async
generator, a cancelled task) is nobody's error, see open-telemetry/opentelemetry-python#2606.
"""

from __future__ import annotations

from contextvars import Token

from opentelemetry import context as _api
from opentelemetry.context.context import Context
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
from opentelemetry.trace.propagation import _SPAN_KEY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def _access() -> tuple[Callable[[], Context], Callable[[Context], Any], Callable[[Any], Any]]:
    """Return get, set and reset of the variable; of the public API if OTEL_PYTHON_CONTEXT chose another runtime."""
    runtime = getattr(_api, "_RUNTIME_CONTEXT", None)
    if type(runtime) is ContextVarsRuntimeContext:
        variable = runtime._current_context
        return variable.get, variable.set, variable.reset
    return _api.get_current, _api.attach, _api.detach


SPAN_KEY = _SPAN_KEY
get_context, set_context, reset_context = _access()
# Context refuses to be changed; one that nobody has seen yet may be.
put = dict.__setitem__
fill = dict.update
put_first = dict.setdefault  # where nothing is there yet: half the price of `put`, by the way that CPython calls it


def enter(span: object) -> Token[Context]:
    """Make the span the current one; returns what ``leave`` needs."""
    context = Context(get_context())
    put(context, SPAN_KEY, span)
    token: Token[Context] = set_context(context)
    return token


def leave(token: Token[Context], span: object) -> None:
    """Make the span that was current before ``enter`` the current one again; never raises."""
    try:
        reset_context(token)
    except (ValueError, RuntimeError):
        leave_elsewhere(token, span)


def leave_elsewhere(token: Token[Context], span: object) -> None:
    """Leave a span in another ``contextvars.Context`` than the one it was entered in."""
    if get_context().get(SPAN_KEY) is not span:
        return  # this context never saw the span: there is nothing to undo here
    before = token.old_value
    set_context(before if isinstance(before, Context) else Context())
