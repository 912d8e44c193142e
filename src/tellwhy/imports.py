# SPDX-License-Identifier: Apache-2.0
"""
Something is done when a module has been imported: at once if it already has.

Nothing is imported for the program. A finder in front of ``sys.meta_path``
lets the others find a waited-for module and steps in between its execution and
the return of the ``import`` statement; the module's loader and spec are the
real ones by the time its own code runs.
"""

from __future__ import annotations

import sys

from tellwhy import diagnostics

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

    Action = Callable[[ModuleType], object]
    Around = Callable[[], AbstractContextManager[None]]

_waiting: dict[str, list[Action]] = {}
_lasting: dict[str, list[Action]] = {}  # those that outlive forget_all()
_around: dict[str, Around] = {}
_by_pattern: list[tuple[Callable[[str], bool], Action]] = []


def when_imported(name: str, action: Action, *, lasting: bool = False) -> None:
    """
    Call the action with the module once it has been imported.

    An action that raises is reported and does not reach the program.

    Args:

        name: The module's full name.

        action: What is done, once, with the module.

        lasting: Whether ``forget_all()`` leaves it waiting: what a class needs
            to be what it is, and not what tracing does to a library.
    """
    module = sys.modules.get(name)
    if module is not None and not is_being_imported(module):
        _run(name, action, module)
        return
    actions = (_lasting if lasting else _waiting).setdefault(name, [])
    if action not in actions:
        actions.append(action)
    _install()


def whenever_imported(wanted: Callable[[str], bool], action: Action) -> None:
    """
    Call the action with each module whose name is wanted: those that are imported, and all that will be.

    An action that raises is reported and does not reach the program.
    """
    for name, module in list(sys.modules.items()):
        if wanted(name) and not is_being_imported(module):
            _run(name, action, module)
    _by_pattern.append((wanted, action))
    _install()


def around_import(name: str, around: Around) -> None:
    """Run the body of a module, when it is imported, inside a context manager."""
    if name not in sys.modules:
        _around[name] = around
        _install()


def forget_all() -> None:
    """Forget what was waited for, and take the finder out again if nobody else needs it."""
    _waiting.clear()
    _around.clear()
    _by_pattern.clear()
    if not _lasting and _finder in sys.meta_path:
        sys.meta_path.remove(_finder)


def _install() -> None:
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


def _wanted_by(name: str) -> list[Action]:
    return [action for wanted, action in _by_pattern if wanted(name)]


def is_being_imported(module: ModuleType) -> bool:
    """Tell whether the module's own code, or what is done at once after it, is still running."""
    return getattr(getattr(module, "__spec__", None), "_initializing", False)


def _run(name: str, action: Action, module: ModuleType) -> None:
    try:
        action(module)
    except Exception as error:
        diagnostics.fault(f"the patching of {name}", error)


class _Finder:
    """Finds what the others find, with our step put into the loader."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in _waiting and name not in _lasting and name not in _around and not _wanted_by(name):
            return None
        for finder in tuple(sys.meta_path):
            if finder is self:
                continue
            find_spec = getattr(finder, "find_spec", None)
            spec = find_spec(name, path, target) if find_spec is not None else None
            if spec is not None:
                # A namespace package has no loader; a legacy one executes in its own way.
                if spec.loader is not None and hasattr(spec.loader, "exec_module"):
                    spec.loader = _Loader(spec.loader, spec)
                return spec  # type: ignore[no-any-return]
        return None


class _Loader:
    """Stands in for a module's loader until its code runs; others may put their own ``exec_module`` on it."""

    def __init__(self, real: Any, spec: ModuleSpec) -> None:
        self._real = real
        self._spec = spec

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        created: ModuleType | None = self._real.create_module(spec)
        return created

    def get_code(self, name: str) -> Any:
        """Step back: ``python -m`` asks for the code, to run it as ``__main__`` with this spec."""
        self._spec.loader = self._real
        return self._real.get_code(name)

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        spec = module.__spec__
        if spec is not None:
            name = spec.name
            spec.loader = self._real
        module.__loader__ = self._real
        around = _around.get(name)
        if around is None:
            self._real.exec_module(module)
        else:
            with around():
                self._real.exec_module(module)
            _around.pop(name, None)  # not before: an import that failed may be tried again
        # A module may replace itself in sys.modules; its users get the replacement.
        imported = sys.modules.get(name, module)
        for action in (*_lasting.pop(name, ()), *_waiting.pop(name, ()), *_wanted_by(name)):
            _run(name, action, imported)
        if not (_waiting or _lasting or _around or _by_pattern) and _finder in sys.meta_path:
            sys.meta_path.remove(_finder)


# Whom a warning at import blames, and where the traceback of a failed one begins, is found by leaving importlib's
# own frames out; ours stands among them and is no more the program's business than they are.
_Loader.exec_module.__code__ = _Loader.exec_module.__code__.replace(co_filename="<frozen importlib._bootstrap>")

_finder: Any = _Finder()
