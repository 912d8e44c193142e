# SPDX-License-Identifier: Apache-2.0
"""
How a traced generator runs: its span is current only while its body works.

Between two steps the consumer has its own context back, and the body finds on
each step the context it left. What the consumer sends or throws reaches the
body, a ``close`` as the GeneratorExit that it is, so a traced generator answers
as the body would.
"""

from __future__ import annotations

import sys

from tellwhy.manual import entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tellwhy.manual.live import Scope


def generator(fn: Callable[..., Any], site: Any, opened: Scope | None = None) -> Any:
    """
    Wrap a generator function in one whose span lasts from the first step to the end.

    With ``opened``, the span has begun already and is gone on with.
    """

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        scope = opened if opened is not None or entry.off() else entry.begin(site, args, kwargs, enter=False)
        if scope is None:
            return (yield from fn(*args, **kwargs))
        items, closing, given = 0, False, None
        try:
            body = fn(*args, **kwargs)
            step: Any = body.send
            while True:
                scope.enter()
                try:
                    item = step(given)
                finally:
                    scope.leave()
                items += 1
                given = None
                try:
                    given = yield item
                    step = body.send
                except BaseException as thrown:
                    # Thrown into the body outside of this handler, lest what the
                    # body raises next gets it as its context.
                    closing = isinstance(thrown, GeneratorExit)
                    step, given = body.throw, thrown
        except StopIteration as stop:
            scope.finish(stop.value, **_told(items, closing))
            return stop.value
        except BaseException as error:
            scope.fail(error, **_told(items, closing))
            raise
        finally:
            given = None  # else this frame and a thrown exception would hold each other

    return wrapper


def async_generator(fn: Callable[..., Any], site: Any, opened: Scope | None = None) -> Any:
    """Wrap an async generator function as ``generator`` does a generator function."""

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        scope = opened if opened is not None or entry.off() else entry.begin(site, args, kwargs, enter=False)
        items, closing, given = 0, False, None
        try:
            body = fn(*args, **kwargs)
            step: Any = _first_step_of(body)
            while True:
                if scope is not None:
                    scope.enter()
                try:
                    item = await step(given)
                finally:
                    if scope is not None:
                        scope.leave()
                items += 1
                given = None
                try:
                    given = yield item
                    step = body.asend
                except BaseException as thrown:
                    closing = isinstance(thrown, GeneratorExit)
                    step, given = body.athrow, thrown
        except StopAsyncIteration:
            if scope is not None:
                scope.finish(None, **_told(items, closing))
        except BaseException as error:
            if scope is not None:
                scope.fail(error, **_told(items, closing))
            raise
        finally:
            given = None

    return wrapper


def _told(items: int, closing: bool) -> dict[str, Any]:
    """Return what a generator's span says of its steps."""
    told: dict[str, Any] = {"generator.items": items}
    if closing:
        told["generator.closed_early"] = True
    return told


def _first_step_of(body: Any) -> Any:
    """
    Return the first ``asend`` of an async generator that its event loop never hears of.

    The loop closes all async generators it knows when it shuts down. It knows
    the wrapper, which closes the body; if it closed both at once, the body's
    ``finally`` would be entered twice.
    """

    def asend(given: Any) -> Any:
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(None, None)
        try:
            return body.asend(given)
        finally:
            sys.set_asyncgen_hooks(*hooks)

    return asend
