# SPDX-License-Identifier: Apache-2.0
"""
How does a task of ``multiprocessing.Pool`` come to know who asked for it? Each is sent with its context.

The workers are there for many tasks and outlive whoever made the pool: outside
of tasks, and of the pool's ``initializer``, nothing is current there.
"""

from __future__ import annotations

from tellwhy.patchers.context.tasks import ProcessTask, ThreadTask
from tellwhy.patchers.patching import Patch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from tellwhy.patchers.context.handing import Handing

_METHODS = ("apply_async", "map", "map_async", "starmap", "starmap_async", "imap", "imap_unordered")

_patch = Patch()


def patch(module: ModuleType, handing: Handing) -> None:
    """Patch ``multiprocessing.pool``, its pool of threads included."""

    def make(original: Any) -> Any:
        def method(self: Any, func: Any, *args: Any, **kwargs: Any) -> Any:
            return original(self, _task(module, handing, self, func), *args, **kwargs)

        return method

    def make_begin(original: Any) -> Any:
        def begin(self: Any, processes: Any = None, initializer: Any = None, *args: Any, **kwargs: Any) -> None:
            if callable(initializer):
                initializer = _task(module, handing, self, initializer)
            handing.without(original, self, processes, initializer, *args, **kwargs)

        return begin

    if not _patch:
        for name in _METHODS:
            _patch.replace(module.Pool, name, make)
        _patch.replace(module.Pool, "__init__", make_begin)


def undo() -> None:
    """Put all of them back."""
    _patch.undo()


def _task(module: ModuleType, handing: Handing, pool: Any, function: Any) -> Any:
    if isinstance(pool, module.ThreadPool):
        handed = handing.take()
        return function if handed is None else ThreadTask(function, handed)
    headers = handing.headers()
    return function if headers is None else ProcessTask(function, headers)
