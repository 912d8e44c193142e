# SPDX-License-Identifier: Apache-2.0
"""
What stands behind a callable: its function, its kind, its name, its place in the source.

Everything is read from code objects; ``inspect`` answers the same questions
for 10 ms of import.
"""

from __future__ import annotations

import functools
import os.path
from types import FunctionType, MethodType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

# Flags of code objects (the same numbers in every supported Python, see inspect.CO_*).
VARARGS: Final = 0x04
VARKEYWORDS: Final = 0x08
GENERATOR: Final = 0x20
COROUTINE: Final = 0x80
ITERABLE_COROUTINE: Final = 0x100
ASYNC_GENERATOR: Final = 0x200


def function_of(target: Any) -> FunctionType | None:
    """Return the Python function that runs when the target is called; None if it is not one."""
    while True:
        if isinstance(target, FunctionType):
            return target
        if isinstance(target, functools.partial):
            target = target.func
        elif isinstance(target, MethodType):
            target = target.__func__
        else:
            call = getattr(type(target), "__call__", None)  # noqa: B004 - looked up as Python itself does
            return call if isinstance(call, FunctionType) and not isinstance(target, type) else None


def innermost(target: Any) -> FunctionType | None:
    """Return the function that the user wrote, below the decorators that keep ``__wrapped__``."""
    function = function_of(target)
    seen = 0
    while (inner := getattr(function or target, "__wrapped__", None)) is not None and seen < 100:
        function = function_of(inner)
        target = inner
        seen += 1
    return function


def flags_of(target: Any) -> int:
    """Return the code flags that say whether a call makes a coroutine or a generator."""
    function = function_of(target)
    return 0 if function is None else function.__code__.co_flags


def qualified_name(target: Any) -> str:
    """Return the qualified name as Python tells it: of a partial its function's, of an object its class's."""
    while isinstance(target, functools.partial):
        target = target.func
    name = getattr(target, "__qualname__", None)
    return name if isinstance(name, str) else type(target).__qualname__


def short_name(target: Any) -> str:
    """Return ``Class.method`` or ``function``: never the module, never the function it was defined in."""
    return qualified_name(target).rpartition("<locals>.")[2]


def code_attributes(target: Any) -> dict[str, Any]:
    """Return the ``code.*`` attributes, which no call changes."""
    module = getattr(target, "__module__", None)
    function = innermost(target)
    name = qualified_name(target)
    found: dict[str, Any] = {"code.function.name": f"{module}.{name}" if isinstance(module, str) else name}
    if function is not None:
        found["code.file.path"] = os.path.abspath(function.__code__.co_filename)
        found["code.line.number"] = function.__code__.co_firstlineno
    return found
