# SPDX-License-Identifier: Apache-2.0
"""Which parameters a callable has, and how they are written in source."""

from __future__ import annotations

from types import FunctionType

from tellwhy.manual.callables import VARARGS, VARKEYWORDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Parameters:
    """The parameters of a callable: names in order, what kind each is of, and the defaults."""

    __slots__ = ("defaults", "keyword_only", "positional", "positional_only", "varargs", "varkeywords")

    def __init__(self) -> None:
        self.positional: list[str] = []
        self.positional_only = 0  # how many of the positional ones
        self.keyword_only: list[str] = []
        self.varargs: str | None = None
        self.varkeywords: str | None = None
        self.defaults: dict[str, Any] = {}

    def names(self) -> list[str]:
        """Return the names of all parameters."""
        variadic = [name for name in (self.varargs, self.varkeywords) if name is not None]
        return [*self.positional, *self.keyword_only, *variadic]

    def signature(self) -> str:
        """Return the parameters as source; the default of ``x`` is the global ``__tellwhy_default_x``."""
        parts = [self._with_default(name) for name in self.positional]
        if self.positional_only:
            parts.insert(self.positional_only, "/")
        if self.varargs is not None:
            parts.append(f"*{self.varargs}")
        elif self.keyword_only:
            parts.append("*")
        parts += [self._with_default(name) for name in self.keyword_only]
        if self.varkeywords is not None:
            parts.append(f"**{self.varkeywords}")
        return ", ".join(parts)

    def _with_default(self, name: str) -> str:
        return f"{name}=__tellwhy_default_{name}" if name in self.defaults else name


def parameters_of(target: Any) -> Parameters:
    """
    Return the parameters of a callable, below the decorators that keep ``__wrapped__``.

    Raises:
        TypeError, ValueError: It does not show them, as some builtins.
    """
    while isinstance(target, FunctionType) and "__wrapped__" in target.__dict__:
        target = target.__dict__["__wrapped__"]
    return _of_function(target) if isinstance(target, FunctionType) else _by_inspection(target)


def _of_function(function: FunctionType) -> Parameters:
    found = Parameters()
    code = function.__code__
    names = code.co_varnames
    positional, named = code.co_argcount, code.co_argcount + code.co_kwonlyargcount
    found.positional = list(names[:positional])
    found.positional_only = code.co_posonlyargcount
    found.keyword_only = list(names[positional:named])
    rest = iter(names[named:])
    found.varargs = next(rest) if code.co_flags & VARARGS else None
    found.varkeywords = next(rest) if code.co_flags & VARKEYWORDS else None
    defaults = function.__defaults__ or ()
    found.defaults = dict(zip(names[positional - len(defaults) : positional], defaults, strict=True))
    found.defaults.update(function.__kwdefaults__ or {})
    return found


def _by_inspection(target: Any) -> Parameters:
    import inspect  # 10 ms: only for partials, bound methods and callable objects

    found = Parameters()
    for name, parameter in inspect.signature(target).parameters.items():
        if parameter.kind is parameter.VAR_POSITIONAL:
            found.varargs = name
        elif parameter.kind is parameter.VAR_KEYWORD:
            found.varkeywords = name
        elif parameter.kind is parameter.KEYWORD_ONLY:
            found.keyword_only.append(name)
        else:
            found.positional.append(name)
            found.positional_only += parameter.kind is parameter.POSITIONAL_ONLY
        if parameter.default is not parameter.empty:
            found.defaults[name] = parameter.default
    return found
