# SPDX-License-Identifier: Apache-2.0
"""How is a context taken along and made current elsewhere? Loaded when there is a provider."""

from __future__ import annotations

from time import perf_counter_ns

from opentelemetry import propagate
from opentelemetry.context.context import Context

from tellwhy.engine.active import suppress
from tellwhy.engine.carried import Carried
from tellwhy.engine.context import SPAN_KEY, get_context, put, reset_context, set_context
from tellwhy.patchers.live import SILENT_HTTP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_EMPTY = Context()


class Handed:
    """What was current when work was handed over; for any number of calls, on any threads."""

    __slots__ = ("_context", "_silent")

    def __init__(self, context: Context, silent: bool) -> None:
        self._context = context
        self._silent = silent

    def enter(self) -> tuple[Any, Any]:
        """Make it current; returns what ``leave`` needs."""
        silence = suppress.set(True) if self._silent else None
        return set_context(self._context), silence

    def run(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Call a function with it being current."""
        tokens = self.enter()
        try:
            return function(*args, **kwargs)
        finally:
            leave(tokens)


def take(grace: int) -> Handed | None:
    """
    Return what is to be current where the work is done; None for nothing.

    Args:

        grace: How long, in ns, spans there are children of the current one even if it has ended.
    """
    context: Context = get_context()
    silent = suppress.get()
    if not context:
        return Handed(_EMPTY, silent) if silent else None
    span: Any = context.get(SPAN_KEY)
    if type(span) is Carried:  # handed on: from here, the time runs anew
        span = span.real()
    inner = Context(context)
    # What belongs to one request that is being sent, not to what else is started meanwhile.
    dict.pop(inner, SILENT_HTTP, None)
    if span is None:
        dict.pop(inner, SPAN_KEY, None)
    else:
        put(inner, SPAN_KEY, Carried(span, perf_counter_ns() + grace))
    return Handed(inner, silent) if inner or silent else None


def leave(tokens: tuple[Any, Any]) -> None:
    """Make current again what was before; never raises."""
    token, silence = tokens
    try:
        reset_context(token)
        if silence is not None:
            suppress.reset(silence)
    except (ValueError, RuntimeError):  # the work has switched contexts on its own
        return


def without(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Call a function with nothing being current."""
    if not get_context() and not suppress.get():
        return function(*args, **kwargs)
    tokens = set_context(_EMPTY), suppress.set(False)
    try:
        return function(*args, **kwargs)
    finally:
        leave(tokens)


def headers() -> dict[str, str] | None:
    """Return the current context as the propagators in force write it; None for nothing."""
    context: Context = get_context()
    if not context:
        return None
    written: dict[str, str] = {}
    propagate.inject(written, context)
    return written or None


def come_from(written: dict[str, str]) -> tuple[Any, Any]:
    """Make current what another process has written; returns what ``leave`` needs."""
    return set_context(propagate.extract(written, Context())), None
