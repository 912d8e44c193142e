# SPDX-License-Identifier: Apache-2.0
"""What does ``@traced`` on a class trace? The methods that its author wrote, and the class stays itself."""

from __future__ import annotations

from types import FunctionType

from tellwhy import diagnostics
from tellwhy.errors import DecorationError
from tellwhy.manual.callables import short_name
from tellwhy.manual.calls import is_wrapper
from tellwhy.manual.functions import UNTRACED, decorate_function
from tellwhy.manual.options import UnknownNameError
from tellwhy.manual.parameters import parameters_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tellwhy.manual.options import Options


def decorate_class(cls: type, options: Options, *, say_what_is_traced_already: bool = True) -> type:
    """Trace the methods of a class in place and return it; inherited ones and properties stay as they are."""
    prefix = options.name or short_name(cls)
    found, already, parameters = [], [], set[str]()
    for name, member in list(vars(cls).items()):
        plain = member.__func__ if isinstance(member, (staticmethod, classmethod)) else member
        if not isinstance(plain, FunctionType) or not _is_own(cls, name, plain):
            continue
        found.append(name)
        if hasattr(plain, UNTRACED) or not _is_wanted(name, options):
            continue
        if is_wrapper(plain):
            already.append(name)
            continue
        names = parameters_of(plain).names()
        parameters.update(names)
        traced = decorate_function(plain, options.for_method(f"{prefix}.{name}", names))
        setattr(cls, name, traced if plain is member else type(member)(traced))
    _check_methods(cls, options, found)
    _check_parameters(cls, options, parameters)
    if already and say_what_is_traced_already:
        diagnostics.warn(f"{prefix}: {', '.join(already)} have a @traced of their own, and that counts")
    return cls


def _is_wanted(name: str, options: Options) -> bool:
    if options.methods in (None, "public"):
        return not name.startswith("_")
    if options.methods == "all":
        return not (name.startswith("__") and name.endswith("__"))
    return name in options.methods


def _is_own(cls: type, name: str, method: FunctionType) -> bool:
    """Tell whether the author of the class wrote it: not a generated method, not a validator of Pydantic's."""
    if method.__module__ != cls.__module__ or (name.startswith("_") and name.endswith("_") and name[1] != "_"):
        return False
    decorators = getattr(cls, "__pydantic_decorators__", None)
    kinds = [] if decorators is None else [getattr(decorators, kind) for kind in decorators.__slots__]
    return not any(isinstance(kind, dict) and name in kind for kind in kinds)


def _check_methods(cls: type, options: Options, found: list[str]) -> None:
    wanted: Any = options.methods
    for name in () if wanted in (None, "public", "all") else wanted:
        if name not in found:
            has = ", ".join(found) or "none"
            raise DecorationError(f"methods={name!r}: {cls.__qualname__} has no such method of its own, only: {has}")


def _check_parameters(cls: type, options: Options, parameters: set[str]) -> None:
    for name in (*options.named(), *options.exclude):
        if name not in parameters:
            raise UnknownNameError(f"@traced on {cls.__qualname__}: {name!r}: no traced method has such a parameter")
