# SPDX-License-Identifier: Apache-2.0
"""
How does a thread come to know who started it? ``Thread.start`` takes the context along.

``run`` is shadowed on the one object until it begins, so classes with a ``run``
of their own, ``Timer`` among them, are treated alike.
"""

from __future__ import annotations

from tellwhy.patchers.patching import Patch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from tellwhy.patchers.context.handing import Handing

_OUR_OWN = "tellwhy-"  # our threads serve the whole process, not whoever happened to wake them

_patch = Patch()


def patch(module: ModuleType, handing: Handing) -> None:
    """Patch ``threading``."""

    def make(original: Any) -> Any:
        def start(self: Any) -> Any:
            handed = None if self.name.startswith(_OUR_OWN) else handing.take()
            if handed is None:
                return original(self)
            begin = _shadow(self, handed)
            try:
                return original(self)
            except BaseException:  # no thread was to be had, or it has been started before
                if self.__dict__.get("run") is begin:
                    del self.run
                raise

        return start

    if not _patch:
        _patch.replace(module.Thread, "start", make)


def undo() -> None:
    """Put ``Thread.start`` back."""
    _patch.undo()


def _shadow(thread: Any, handed: Any) -> Any:
    """Let the thread's ``run`` begin in the context that was taken along."""
    own = thread.__dict__.get("run")

    def run(*args: Any, **kwargs: Any) -> Any:
        if own is None:
            thread.__dict__.pop("run", None)
        else:
            thread.run = own
        handed.enter()  # not left: it ends with the thread
        return thread.run(*args, **kwargs)

    thread.run = run
    return run
