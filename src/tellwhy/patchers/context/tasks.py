# SPDX-License-Identifier: Apache-2.0
"""
What stands in for a function that is called elsewhere: it is called in the context of whoever asked for it.

Importing this loads nothing else of tellwhy's: another process does so to read
what it is sent, traced or not.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tellwhy.patchers.context.carrying import Handed


class ThreadTask:
    """A function for another thread."""

    __slots__ = ("__wrapped__", "_handed")

    def __init__(self, function: Callable[..., Any], handed: Handed) -> None:
        self.__wrapped__ = function
        self._handed = handed

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it."""
        return self._handed.run(self.__wrapped__, args, kwargs)

    def __repr__(self) -> str:
        return repr(self.__wrapped__)


class ProcessTask:
    """A function for another process, and the headers of the context; None for no context at all."""

    __slots__ = ("__wrapped__", "_headers")

    def __init__(self, function: Callable[..., Any], headers: dict[str, str] | None) -> None:
        self.__wrapped__ = function
        self._headers = headers

    def __reduce__(self) -> tuple[Any, ...]:
        return ProcessTask, (self.__wrapped__, self._headers)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it, in that context if the process is traced."""
        function = self.__wrapped__
        tokens = _enter(self._headers)
        if tokens is None:
            return function(*args, **kwargs)
        try:
            return function(*args, **kwargs)
        finally:
            from tellwhy.patchers.context import carrying

            carrying.leave(tokens)

    def __repr__(self) -> str:
        return repr(self.__wrapped__)


def _enter(headers: dict[str, str] | None) -> tuple[Any, Any] | None:
    from tellwhy.engine import active

    if active.tracer is None and active.pending is None:
        return None
    from tellwhy import diagnostics

    try:
        active.get_tracer()  # before OpenTelemetry's API is imported for any other reason
        from tellwhy.patchers.context import carrying

        return carrying.come_from(headers or {})
    except Exception as error:
        diagnostics.fault("the context of another process", error)
        return None
