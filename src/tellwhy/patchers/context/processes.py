# SPDX-License-Identifier: Apache-2.0
"""
How does a process of multiprocessing come to know who started it?

A forked one has the memory of its parent, and the context in it. To one that
is spawned, or comes from the fork server, the process object is sent: the
context goes with it, as headers.
"""

from __future__ import annotations

from tellwhy.patchers.patching import Patch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from tellwhy.patchers.context.handing import Handing

_NAME = "_tellwhy_context"

_patch = Patch()


def patch(module: ModuleType, handing: Handing) -> None:
    """Patch ``multiprocessing.process``."""

    def make_start(original: Any) -> Any:
        def start(self: Any) -> Any:
            headers = handing.headers()
            if headers is None:
                return original(self)
            self.__dict__[_NAME] = headers
            try:
                return original(self)
            finally:
                self.__dict__.pop(_NAME, None)

        return start

    def make_bootstrap(original: Any) -> Any:
        def _bootstrap(self: Any, *args: Any, **kwargs: Any) -> Any:
            headers = self.__dict__.pop(_NAME, None)
            if headers is not None and getattr(self._popen, "method", None) != "fork":
                _enter(headers)
            return original(self, *args, **kwargs)

        return _bootstrap

    if not _patch:
        _patch.replace(module.BaseProcess, "start", make_start)
        _patch.replace(module.BaseProcess, "_bootstrap", make_bootstrap)


def undo() -> None:
    """Put both methods back."""
    _patch.undo()


def _enter(headers: dict[str, str]) -> None:
    from tellwhy.patchers.context import tasks

    tasks._enter(headers)  # not left: it ends with the process
