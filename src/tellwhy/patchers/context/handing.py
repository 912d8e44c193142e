# SPDX-License-Identifier: Apache-2.0
"""
What is taken along when work is handed over? Asked by every patch here, and free while there is nothing.

Nothing of OpenTelemetry is loaded for it: while no provider has been built,
there is no span that could be carried.
"""

from __future__ import annotations

from tellwhy import diagnostics
from tellwhy.engine import active

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tellwhy.patchers.context.carrying import Handed


class Handing:
    """
    Takes along what is current.

    Args:

        link_after: After so many milliseconds, and after the end of the span that is
            taken along, spans are linked to it and no longer its children.

        is_on: Whether anything is taken along at all.
    """

    __slots__ = ("_grace", "_is_on")

    def __init__(self, link_after: int, *, is_on: bool = True) -> None:
        self._grace = link_after * 1_000_000
        self._is_on = is_on

    def take(self) -> Handed | None:
        """Return what is to be current where the work is done; None for nothing."""
        if not self._is_on or active.provider is None:
            return None
        try:
            from tellwhy.patchers.context import carrying

            return carrying.take(self._grace)
        except Exception as error:
            diagnostics.fault("the handing over of the context", error)
            return None

    def headers(self) -> dict[str, str] | None:
        """Return what is to be current in another process, as headers; None for nothing."""
        if not self._is_on or active.provider is None:
            return None
        try:
            from tellwhy.patchers.context import carrying

            return carrying.headers()
        except Exception as error:
            diagnostics.fault("the handing over of the context", error)
            return None

    def without(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function that starts what outlives the current work, and is to know nothing of it."""
        if active.provider is None:
            return function(*args, **kwargs)
        from tellwhy.patchers.context import carrying

        return carrying.without(function, args, kwargs)
