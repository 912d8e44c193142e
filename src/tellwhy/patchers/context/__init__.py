# SPDX-License-Identifier: Apache-2.0
"""
How does the current span follow work to other threads, pools, processes and greenlets?

One file for each way of handing work over. Each is patched when the program
imports it, and can be switched off by a setting. What is carried is
OpenTelemetry's context and tellwhy's own silence, and no other context variable:
those are the program's.
"""

from __future__ import annotations

import sys

from tellwhy.imports import when_imported
from tellwhy.patchers import records
from tellwhy.patchers.context.handing import Handing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Final

    from tellwhy.settings import Settings

THEIRS: Final = "threading"
"""OpenTelemetry's instrumentor that does a part of this; not used beside ours."""

# The setting, the module whose import is the moment, our file, and the function in it.
_WAYS: Final = (
    ("context_threads", "threading", "threads", "patch"),
    ("context_executors", "concurrent.futures.thread", "executors", "patch_threads"),
    ("context_executors", "concurrent.futures.process", "executors", "patch_processes"),
    ("context_executors", "multiprocessing.pool", "pools", "patch"),
    ("context_processes", "multiprocessing.process", "processes", "patch"),
    ("context_greenlets", "gevent", "greenlets", "patch_gevent"),
    ("context_greenlets", "eventlet", "greenlets", "patch_eventlet"),
)

# Patched in any case: workers that a request happens to start are to know nothing of it.
_OF_WORKERS: Final = "context_executors"


def install(settings: Settings) -> tuple[str, ...]:
    """
    Let the context follow work, as the settings say.

    Returns:

        The names that ``contrib.install(settings, ours=...)`` is to leave out.
    """
    if f"{THEIRS}:contrib" in settings.instrument:
        return ()
    disabled = settings.python_disabled_instrumentations
    if THEIRS in disabled or "*" in disabled:
        return ()
    for setting, module_name, file, function in _WAYS:
        is_on = getattr(settings, setting) == "on"
        if is_on or setting == _OF_WORKERS:
            handing = Handing(settings.context_link_after, is_on=is_on)
            when_imported(module_name, _Apply(file, function, handing))
    records.put(THEIRS, "instrumented")
    return (THEIRS,)


def uninstall() -> None:
    """Put everything back as it was."""
    for file in {way[2] for way in _WAYS}:
        loaded = sys.modules.get(f"{__name__}.{file}")
        if loaded is not None:
            loaded.undo()


class _Apply:
    """Patches one module when it is there."""

    __slots__ = ("_file", "_function", "_handing")

    def __init__(self, file: str, function: str, handing: Handing) -> None:
        self._file = file
        self._function = function
        self._handing = handing

    def __call__(self, module: ModuleType) -> None:
        from importlib import import_module

        getattr(import_module(f"{__name__}.{self._file}"), self._function)(module, self._handing)
