# SPDX-License-Identifier: Apache-2.0
"""
Who gets a span that starts or ends? The provider's processors, in the order they were added.

What no processor listens to is not called: an ``on_start`` or ``_on_ending``
with an empty body, the SDK's own included, costs nothing. A processor that fails is
told of once and does not keep the next one, or the program, from going on.
"""

from __future__ import annotations

import threading
from time import monotonic_ns

from tellwhy import diagnostics
from tellwhy.engine.core import ignore
from tellwhy.engine.span import processor_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from tellwhy.engine.core import Core


class Processors:
    """The default active span processor; reads like the SDK's ``SynchronousMultiSpanProcessor``."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._lock = threading.Lock()
        self._added: tuple[Any, ...] = ()
        self._connect()

    @property
    def _span_processors(self) -> tuple[Any, ...]:
        """The processors; private in the SDK, and still what many programs read and set."""
        return self._added

    @_span_processors.setter
    def _span_processors(self, processors: Sequence[Any]) -> None:
        with self._lock:
            self._added = tuple(processors)
            self._connect()

    def add_span_processor(self, span_processor: Any) -> None:
        """Add a processor after the others."""
        with self._lock:
            self._added = (*self._added, span_processor)
            self._connect()

    def moved_to(self, core: Core) -> None:
        """Serve another core, in a forked child."""
        self._lock = threading.Lock()  # another thread of the parent process may have held it
        self._core = core
        self._connect()

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """Tell every processor that a span has started."""
        for processor in self._added:
            _guarded(processor.on_start, span, parent_context=parent_context)

    def _on_ending(self, span: Any) -> None:
        for processor in self._added:
            if _listens(processor, "_on_ending"):
                _guarded(processor._on_ending, span)

    def on_end(self, span: Any) -> None:
        """Hand every processor a finished span; those that count have had it."""
        for processor in self._added:
            if not hasattr(processor, "counter"):
                _guarded(processor.on_end, span)

    def shutdown(self) -> None:
        """Shut every processor down."""
        for processor in self._added:
            _guarded(processor.shutdown)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Flush the processors one after the other within the time; False if one did not make it."""
        deadline = monotonic_ns() + timeout_millis * 1_000_000
        flushed = True
        for processor in self._added:
            left = (deadline - monotonic_ns()) // 1_000_000
            if left <= 0:
                return False
            if _guarded(processor.force_flush, left) is False:
                flushed = False
        return flushed

    def _connect(self) -> None:
        """Let the core call as little as possible: a lone processor's own methods, and nothing that is empty."""
        added = self._added
        core = self._core
        core.processors = self
        # Whoever counts spans looks at them last before they are handed on, and is not handed any.
        counting = [one for one in added if hasattr(one, "counter")]
        others = [one for one in added if one not in counting]
        alone = others[0] if len(others) == 1 else None
        listening = [one for one in others if _listens(one, "on_start")]
        core.on_start = (listening[0].on_start if alone else self.on_start) if listening else None
        core.reads_start = any(getattr(one, "reads_start", True) for one in listening)
        core.on_ending = self._on_ending if any(_listens(one, "_on_ending") for one in others) else None
        for one in counting:
            core.on_ending = one.counter(core.on_ending)
        core.on_end = alone.on_end if alone else self.on_end if others else ignore
        core.queue = getattr(alone, "direct_queue", None)
        core.attend = alone.attend if alone and core.queue is not None else _nothing
        core.over = getattr(alone, "over", None) if core.queue is not None else None
        core.cap = alone.cap if alone and core.over is not None else 0
        core.record_unsampled(bool(counting))


def connect_foreign(core: Core, active: Any) -> None:
    """Let the core call a program's own active span processor, which may change its list at any time."""
    core.processors = active

    def on_start(span: Any, parent_context: Any) -> None:
        active.on_start(span, parent_context=parent_context)

    core.on_start = on_start
    core.reads_start = True
    core.on_ending = getattr(active, "_on_ending", None)
    core.on_end = active.on_end
    core.queue = core.over = None
    core.attend = _nothing
    core.cap = 0
    core.record_unsampled(False)


def _listens(processor: Any, method: str) -> bool:
    """Return whether a processor has the method, and the method does anything."""
    found = getattr(processor, method, None)
    code = getattr(getattr(found, "__func__", found), "__code__", None)
    return found is not None and (code is None or code.co_code not in _DOES_NOTHING)


def _nothing() -> None:
    pass


def _empty(_self: object) -> None:
    pass


def _described(_self: object) -> None:
    """Nothing but this line, as most empty methods are."""


_DOES_NOTHING = frozenset((_empty.__code__.co_code, _described.__code__.co_code))


def _guarded(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    try:
        return call(*args, **kwargs)
    except Exception as error:
        diagnostics.fault(processor_name(call), error)
        return False
