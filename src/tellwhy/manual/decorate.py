# SPDX-License-Identifier: Apache-2.0
"""
What was ``@traced`` put on? Functions, methods in either order, properties, classes, partials, objects.

Each comes back as what it was. What cannot be traced rightly is refused here,
while the program is being written, with what to write instead.
"""

from __future__ import annotations

from types import FunctionType

from tellwhy import diagnostics
from tellwhy.errors import DecorationError
from tellwhy.manual.callables import qualified_name
from tellwhy.manual.classes import decorate_class
from tellwhy.manual.functions import decorate_function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from tellwhy.manual.options import Options

# What must stay outermost, by the attribute that tells it: the object that a framework
# registered would be hidden by a wrapper, and the framework calls the function inside.
_REGISTERED: Final = {
    "delay": "a Celery task",
    "callback": "a click command",
    "_fixture_function_marker": "a pytest fixture",
}
# … and descriptors and dispatchers that a wrapper would break.
_BELOW: Final = {
    "cached_property": "@cached_property above @traced",
    "partialmethod": "partialmethod(traced(function), ...)",
    "singledispatchmethod": "@singledispatchmethod above @traced, or @traced below each @register",
}


def decorate(target: Any, options: Options) -> Any:
    """Return the traced twin of whatever it is; raise DecorationError with the fix if there is none."""
    if isinstance(target, type):
        return decorate_class(target, options)
    if options.methods is not None:
        raise DecorationError(f"methods= is for classes; {qualified_name(target)} is not one")
    if isinstance(target, (staticmethod, classmethod)):
        return type(target)(decorate(target.__func__, options))
    if isinstance(target, property):
        return _property(target, options)
    _refuse(target)
    if not isinstance(target, FunctionType):
        for mark, what in _REGISTERED.items():
            if hasattr(target, mark):
                diagnostics.warn(f"@traced above {what}, {_name(target)}: not traced; write @traced below it")
                return target
    return decorate_function(target, options)


def _name(target: Any) -> str:
    name = getattr(target, "name", None)
    return name if isinstance(name, str) else qualified_name(target)


def _property(target: property, options: Options) -> property:
    if target.fget is None:
        raise DecorationError("@traced on a property without getter: there is nothing to trace")
    getter = decorate(target.fget, options)
    return type(target)(getter, target.fset, target.fdel, target.__doc__)


def _refuse(target: Any) -> None:
    right = _BELOW.get(type(target).__name__)
    if right is not None:
        raise DecorationError(f"@traced cannot stand above {type(target).__name__}: write {right}")
    if hasattr(target, "dispatch") and hasattr(target, "registry"):
        raise DecorationError(f"@traced cannot stand above @singledispatch of {qualified_name(target)}: write it below")
    if not callable(target):
        raise DecorationError(
            f"@traced({target!r}): write the span's name (a string), or put it on a function, method or class"
        )
