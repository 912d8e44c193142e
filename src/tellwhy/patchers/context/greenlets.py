# SPDX-License-Identifier: Apache-2.0
"""
How does a greenlet come to know who spawned it? It is given a context of its own when it is spawned.

Neither gevent nor eventlet hands context variables on. Only ours are: whatever
else a program keeps in such variables stays where it is.
"""

from __future__ import annotations

from tellwhy.imports import when_imported
from tellwhy.patchers.context.tasks import ThreadTask
from tellwhy.patchers.patching import Patch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from tellwhy.patchers.context.handing import Handing

_gevent, _eventlet = Patch(), Patch()
_handing: Handing | None = None


def patch_gevent(module: ModuleType, handing: Handing) -> None:
    """Patch gevent: what is spawned, and its pool of threads."""
    global _handing
    _handing = handing
    module.Greenlet.add_spawn_callback(_spawned)  # added once, however often
    when_imported("gevent.threadpool", _patch_threadpool)


def patch_eventlet(module: ModuleType, handing: Handing) -> None:
    """Patch eventlet: what is spawned, and its pool of threads."""
    global _handing
    _handing = handing
    del module
    when_imported("eventlet.greenthread", _patch_greenthread)
    when_imported("eventlet.tpool", _patch_tpool)


def undo() -> None:
    """Put everything back; gevent's callback stays, and does nothing."""
    global _handing
    _handing = None
    _gevent.undo()
    _eventlet.undo()


def _spawned(greenlet: Any) -> None:
    """Give a greenlet that has not begun the context of whoever spawned it."""
    handed = None if _handing is None else _handing.take()
    if handed is not None and greenlet.gr_context is None:
        from contextvars import Context

        context = Context()
        context.run(handed.enter)
        greenlet.gr_context = context


def _patch_threadpool(module: ModuleType) -> None:
    if not _gevent:
        _gevent.replace(module.ThreadPool, "spawn", _make_calling)


def _patch_greenthread(module: ModuleType) -> None:
    def make_init(original: Any) -> Any:
        def begin(self: Any, *args: Any, **kwargs: Any) -> None:
            original(self, *args, **kwargs)
            _spawned(self)

        return begin

    def make_spawn_n(original: Any) -> Any:
        def _spawn_n(*args: Any, **kwargs: Any) -> Any:
            timer, greenlet = original(*args, **kwargs)
            _spawned(greenlet)
            return timer, greenlet

        return _spawn_n

    _eventlet.replace(module.GreenThread, "__init__", make_init)
    _eventlet.replace(module, "_spawn_n", make_spawn_n)


def _patch_tpool(module: ModuleType) -> None:
    def make(original: Any) -> Any:
        def execute(function: Any, *args: Any, **kwargs: Any) -> Any:
            return original(_task(function), *args, **kwargs)

        return execute

    _eventlet.replace(module, "execute", make)


def _make_calling(original: Any) -> Any:
    """Make a method that calls a function on another thread."""

    def method(self: Any, func: Any, *args: Any, **kwargs: Any) -> Any:
        return original(self, _task(func), *args, **kwargs)

    return method


def _task(function: Any) -> Any:
    handed = None if _handing is None else _handing.take()
    return function if handed is None else ThreadTask(function, handed)
