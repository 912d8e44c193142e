# SPDX-License-Identifier: Apache-2.0
"""
How does a call that an executor makes come to know who asked for it? ``submit`` takes the context along.

``map``, ``loop.run_in_executor`` and ``asyncio.to_thread`` come through there.
The workers are started by whoever happens to submit first, and know nothing of
that one.
"""

from __future__ import annotations

from tellwhy.patchers.context.tasks import ProcessTask, ThreadTask
from tellwhy.patchers.patching import Patch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from tellwhy.patchers.context.handing import Handing

_threads, _processes = Patch(), Patch()


def patch_threads(module: ModuleType, handing: Handing) -> None:
    """Patch ``concurrent.futures.thread``."""

    def make(original: Any) -> Any:
        def submit(*args: Any, **kwargs: Any) -> Any:
            handed = handing.take() if len(args) > 1 else None
            if handed is None:
                return handing.without(original, *args, **kwargs)
            executor, function, *rest = list(args)
            return handing.without(original, executor, ThreadTask(function, handed), *rest, **kwargs)

        return submit

    if not _threads:
        _threads.replace(module.ThreadPoolExecutor, "submit", make)


def patch_processes(module: ModuleType, handing: Handing) -> None:
    """Patch ``concurrent.futures.process``."""

    def make(original: Any) -> Any:
        def submit(*args: Any, **kwargs: Any) -> Any:
            headers = handing.headers() if len(args) > 1 else None
            if headers is None:
                return handing.without(original, *args, **kwargs)
            executor, function, *rest = list(args)
            return handing.without(original, executor, ProcessTask(function, headers), *rest, **kwargs)

        return submit

    if not _processes:
        _processes.replace(module.ProcessPoolExecutor, "submit", make)


def undo() -> None:
    """Put both back."""
    _threads.undo()
    _processes.undo()
