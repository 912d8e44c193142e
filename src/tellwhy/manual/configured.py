# SPDX-License-Identifier: Apache-2.0
"""
Which functions are traced without a line in them? Those that the setting ``trace`` names.

What its patterns may be stands in ``patterns.py``. Modules are waited for, never
imported. Each wrong pattern is one line: at the start, when its module is
imported, or at the end of a program that had nothing by that name.
"""

from __future__ import annotations

import atexit
import os
import sys
from types import FunctionType

from tellwhy import diagnostics, imports
from tellwhy.manual.callables import function_of
from tellwhy.manual.calls import is_wrapper
from tellwhy.manual.classes import decorate_class
from tellwhy.manual.decorate import decorate
from tellwhy.manual.functions import UNTRACED
from tellwhy.manual.options import Options
from tellwhy.manual.patterns import Pattern, matches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType
    from typing import Any, Final


def trace_functions(texts: Iterable[str]) -> None:
    """Trace what patterns name in the modules that are imported, and in those that will be."""
    good = []
    for text in texts:
        try:
            good.append(Pattern(text))
        except ValueError as error:
            diagnostics.warn(f"TELLWHY_TRACE={text!r}: {error}; nothing is traced by it")
    if good:
        found: set[Pattern] = set()
        imports.whenever_imported(
            lambda name: any(pattern.is_in(name) for pattern in good), lambda module: trace_module(module, good, found)
        )
        _at_exit(good, found)


def trace_module(module: ModuleType, patterns: Iterable[Pattern], found: set[Pattern] | None = None) -> list[str]:
    """
    Trace what the patterns name in an imported module.

    Args:

        module: The module, imported.

        patterns: Those of this module and others.

        found: Where the patterns are put that name anything here.

    Returns:

        The names that are traced now. What is not there, or cannot be traced,
        is warned about and left as it is.
    """
    traced: list[str] = []
    for pattern in patterns:
        if not pattern.is_in(module.__name__):
            continue
        for owner, name, path in _found(module, pattern):
            if found is not None:
                found.add(pattern)
            try:
                if _trace(owner, name):
                    traced.append(path)
            except Exception as error:
                diagnostics.warn(f"TELLWHY_TRACE={pattern.text!r}: {_told(error, path)}; not traced")
    return traced


def _found(module: ModuleType, pattern: Pattern) -> Iterator[tuple[Any, str, str]]:
    """Yield owner, name and path of all that a pattern names in a module."""
    *classes, last = pattern.path.split(".")
    owners: list[tuple[Any, str]] = [(module, "")]
    for part in classes:
        owners = [
            (getattr(owner, name, None), f"{before}{name}.")
            for owner, before in owners
            for name in _names(module, owner, part)
            if "*" not in part or isinstance(vars(owner)[name], type)
        ]
    for owner, before in owners:
        for name in _names(module, owner, last):
            yield owner, name, before + name


def _names(module: ModuleType, owner: Any, wanted: str) -> list[str]:
    """Return the names that a part of a pattern stands for; one without a star is itself, there or not."""
    if "*" not in wanted:
        return [wanted]
    return [
        name
        for name, value in list(vars(owner).items())
        if (wanted.startswith("_") or not name.startswith("_")) and matches(wanted, name) and _is_own(module, value)
    ]


def _is_own(module: ModuleType, value: Any) -> bool:
    """Tell whether it is a function or class that the module itself defines."""
    plain = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
    if is_wrapper(plain):
        return True
    return isinstance(plain, (FunctionType, type)) and plain.__module__ == module.__name__


def _trace(owner: Any, name: str) -> bool:
    target = vars(owner)[name] if isinstance(owner, type) else getattr(owner, name)
    if is_wrapper(function_of(getattr(target, "__func__", target))) or hasattr(target, UNTRACED):
        return False
    if isinstance(target, type):
        return bool(decorate_class(target, Options(), say_what_is_traced_already=False))
    replaced = decorate(target, Options())
    if replaced is not target:
        setattr(owner, name, replaced)
    return True


def _told(error: Exception, path: str) -> str:
    return f"there is no {path}" if isinstance(error, (AttributeError, KeyError)) else f"{path}: {error}"


# -- what was never found ---------------------------------------------------------


def _at_exit(patterns: list[Pattern], found: set[Pattern]) -> None:
    """Say at the end of this process which patterns have named nothing at all; see that they are not said twice."""
    global _said_at_exit
    if _said_at_exit is not None:
        atexit.unregister(_said_at_exit)
    process = os.getpid()

    def say() -> None:
        for pattern in patterns if os.getpid() == process else ():
            why = None if pattern in found else _why_never(pattern)
            if why:
                diagnostics.warn(f"TELLWHY_TRACE={pattern.text!r}: {why}; nothing was traced by it")

    _said_at_exit = atexit.register(say)


_said_at_exit: Any = None
_MAIN: Final = "{} is the program that runs, not a module that it imports: write @traced there"


def _why_never(pattern: Pattern) -> str | None:
    """Return why a pattern has named nothing; None if the program just did not import its module."""
    main = getattr(getattr(sys.modules.get("__main__"), "__spec__", None), "name", "")  # of ``python -m``
    if main and pattern.is_in(main):
        return _MAIN.format(main)
    imported = sorted(name for name in sys.modules if pattern.is_in(name))
    if imported:
        return f"there is no such function in {', '.join(imported[:3])}"
    name = pattern.module
    if name is None:
        return None
    from importlib.machinery import PathFinder

    package, _, _ = name.rpartition(".")
    path = getattr(sys.modules.get(package), "__path__", None)
    if package and path is None:  # the package itself was not imported: who knows
        return None
    spec = PathFinder.find_spec(name, path)
    if spec is None:
        return f"there is no module {name}"
    if spec.origin == os.path.abspath(sys.argv[0]):  # at exit, __main__ has no __file__ any more
        return _MAIN.format(name)
    return None
