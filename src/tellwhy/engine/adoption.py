# SPDX-License-Identifier: Apache-2.0
"""
How do our classes become the SDK's without importing it? When somebody else imports it.

``isinstance(span, opentelemetry.sdk.trace.ReadableSpan)`` can only be asked by
a program that has imported ``opentelemetry.sdk.trace``. So whoever wants to be
one of the SDK's says so here, and is called back when that module is complete:
at once if it is loaded, else by a finder that looks out for this one name and
takes itself off ``sys.meta_path`` when it has come.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

SDK_TRACE = "opentelemetry.sdk.trace"

_waiting: list[Callable[[ModuleType], None]] = []


def when_sdk_is_loaded(callback: Callable[[ModuleType], None]) -> None:
    """Call back with the module ``opentelemetry.sdk.trace``: now if it is loaded, else when it is."""
    module = sys.modules.get(SDK_TRACE)
    if module is not None and hasattr(module, "TracerProvider"):  # its last name: the module is complete
        callback(module)
        return
    if not _waiting:
        sys.meta_path.insert(0, _Lookout())
    _waiting.append(callback)


def _loaded(module: ModuleType) -> None:
    while _waiting:
        _waiting.pop(0)(module)


class _Lookout:
    """A finder that finds nothing itself; it only learns that the SDK has been executed."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Answer for one module, by asking the other finders."""
        if name != SDK_TRACE:
            return None
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                _tell_when_executed(spec)
                return spec
        return None


def _tell_when_executed(spec: ModuleSpec) -> None:
    loader = spec.loader
    execute = getattr(loader, "exec_module", None)
    if loader is None or execute is None:
        return

    def exec_module(module: ModuleType) -> None:
        execute(module)
        _loaded(module)

    # The loader object belongs to this one module, so nobody else sees the change.
    loader.exec_module = exec_module  # type: ignore[method-assign]
