# SPDX-License-Identifier: Apache-2.0
"""
What if a plain function returns something that is still to come: a coroutine, a generator, a future?

Then the span lasts until that is over. A coroutine or generator is handed on
inside one of ours, which makes the span current whenever its body runs; a future
stays the same object and tells us when it is done.
"""

from __future__ import annotations

import sys
from types import AsyncGeneratorType, CoroutineType, GeneratorType

from tellwhy.manual.steps import async_generator, generator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tellwhy.manual.live import Scope


def settled(scope: Scope, result: Any) -> Any:
    """End the span if the result is there, else let it go on; return what the caller gets."""
    kind = type(result)
    proxy: Any
    if kind is CoroutineType:
        proxy = _awaited(scope, result)
    elif kind is GeneratorType:
        proxy = generator(lambda: result, scope.site, scope)()
    elif kind is AsyncGeneratorType:
        proxy = async_generator(lambda: result, scope.site, scope)()
    elif _is_future(kind):
        scope.pause()
        result.add_done_callback(lambda future: _future_done(scope, future))
        return result
    else:
        scope.done(result)
        return result
    scope.pause()
    proxy.__name__, proxy.__qualname__ = result.__name__, result.__qualname__
    _watch(scope, proxy, result)
    return proxy


async def _awaited(scope: Scope, coroutine: Any) -> Any:
    scope.enter()
    try:
        result = await coroutine
    except BaseException as error:
        scope.raised(error)
        raise
    scope.done(result)
    return result


def _is_future(kind: type) -> bool:
    if getattr(kind, "_asyncio_future_blocking", None) is not None:  # what asyncio.isfuture() looks at
        return True
    futures: Any = sys.modules.get("concurrent.futures._base")
    return futures is not None and issubclass(kind, futures.Future)


def _future_done(scope: Scope, future: Any) -> None:
    if future.cancelled():
        scope.finish(cancelled=True)
        return
    # Not exception(): asking for it tells asyncio that somebody has seen it, and
    # "Future exception was never retrieved" would not be said any more.
    error = getattr(future, "_exception", None)
    if error is None:
        scope.finish(future.result())
    else:
        scope.fail(error)


def _watch(scope: Scope, proxy: Any, result: Any) -> None:
    """End the span of something that is thrown away before it ever ran."""
    from weakref import ref

    def dropped(_: object) -> None:
        scope.watch = None
        if scope.token is None:
            if hasattr(result, "close"):
                result.close()  # so that Python says once, and of ours, that it was never awaited
            scope.finish(unfinished=True)

    scope.watch = ref(proxy, dropped)
