# SPDX-License-Identifier: Apache-2.0
"""
What if a program calls OpenTelemetry's own instrumentor while ours is in force? Ours does as it is told.

``FlaskInstrumentor().instrument(request_hook=...)`` keeps working, nothing is
traced twice, and nobody is warned. Once ours is taken away, theirs is itself again.
"""

from __future__ import annotations

from tellwhy.patchers.patching import Patch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_METHODS = ("instrument", "uninstrument")
_STATIC = (
    "instrument_app",
    "uninstrument_app",
    "instrument_client",
    "uninstrument_client",
    "instrument_connection",
    "uninstrument_connection",
    "uninstrument_session",
)

_patch = Patch()


def hand_over(theirs: type, ours: Callable[[], Any]) -> None:
    """
    Hand the calls of OpenTelemetry's instrumentor to ours.

    Args:

        theirs: Its class.

        ours: Gives our instrumentor; None while ours is not in force.
    """
    for name in _METHODS:
        _patch.replace(theirs, name, _method(name, ours))
    for name in _STATIC:
        _patch.replace(theirs, name, _static(name, ours))


def take_back() -> None:
    """Make OpenTelemetry's instrumentors what they were."""
    _patch.undo()


def _method(name: str, ours: Callable[[], Any]) -> Callable[[Any], Any]:
    def make(original: Any) -> Any:
        def method(self: Any, **kwargs: Any) -> Any:
            instrumentor = ours()
            # One that is active itself was so before us: it goes on, and is taken away by itself.
            if instrumentor is None or self._is_instrumented_by_opentelemetry:
                return original(self, **kwargs)
            return getattr(instrumentor, name)(**kwargs)

        return method

    return make


def _static(name: str, ours: Callable[[], Any]) -> Callable[[Any], Any]:
    def make(original: Any) -> Any:
        def static(*args: Any, **kwargs: Any) -> Any:
            instrumentor = ours()
            function = original if instrumentor is None else getattr(instrumentor, name)
            return function(*args, **kwargs)

        return static

    return make
