# SPDX-License-Identifier: Apache-2.0
"""
How a call is traced: one small wrapper for each kind of function.

A wrapper decides first, with three looks at globals, whether anything is to be
done at all. It refers to modules and functions only, never to a context variable
or a lock, so that cloudpickle can carry traced functions of ``__main__``.
"""

from __future__ import annotations

import sys

from tellwhy.engine import active
from tellwhy.manual import entry, late
from tellwhy.manual.callables import ASYNC_GENERATOR, COROUTINE, GENERATOR, ITERABLE_COROUTINE, flags_of
from tellwhy.manual.steps import async_generator, generator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

# What a function may return that is surely the end of its work: no need to look closer.
_FINAL: Final = frozenset({type(None), bool, int, float, str, bytes, list, tuple, dict, set})


def wrapper_of(target: Callable[..., Any], site: Any) -> Any:
    """Return the traced twin of a callable, of the same kind: ``inspect`` tells no difference."""
    flags = flags_of(target)
    if flags & COROUTINE:
        return _coroutine(target, site)
    if flags & ASYNC_GENERATOR:
        return async_generator(target, site)
    if flags & ITERABLE_COROUTINE:
        from types import coroutine

        return coroutine(generator(target, site))
    if flags & GENERATOR:
        return generator(target, site)
    return _function(target, site)


def is_wrapper(target: Any) -> bool:
    """Tell whether a function is one of the wrappers made here; functools.wraps does not pass this on."""
    return getattr(target, "__code__", None) in _CODES


def _function(fn: Callable[..., Any], site: Any) -> Any:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if (
            active.tracer is None
            and active.pending is None
            and getattr(sys.modules.get("opentelemetry.trace"), "_TRACER_PROVIDER", None) is None
        ):
            return fn(*args, **kwargs)
        scope = entry.begin(site, args, kwargs)
        if scope is None:
            return fn(*args, **kwargs)
        try:
            result = fn(*args, **kwargs)
        except BaseException as error:
            scope.raised(error)
            raise
        if type(result) in _FINAL:
            scope.done(result)
            return result
        return late.settled(scope, result)

    return wrapper


def _coroutine(fn: Callable[..., Any], site: Any) -> Any:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        if (
            active.tracer is None
            and active.pending is None
            and getattr(sys.modules.get("opentelemetry.trace"), "_TRACER_PROVIDER", None) is None
        ):
            return await fn(*args, **kwargs)
        scope = entry.begin(site, args, kwargs)
        if scope is None:
            return await fn(*args, **kwargs)
        try:
            result = await fn(*args, **kwargs)
        except BaseException as error:
            scope.raised(error)
            raise
        scope.done(result)
        return result

    return wrapper


def _codes() -> frozenset[Any]:
    made = [make(len, None).__code__ for make in (_function, _coroutine, generator, async_generator)]
    return frozenset([*made, *(code.replace(co_flags=code.co_flags | ITERABLE_COROUTINE) for code in made)])


_CODES: Final = _codes()
