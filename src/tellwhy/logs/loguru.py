# SPDX-License-Identifier: Apache-2.0
"""How do loguru's records get the ids of their span?"""

from __future__ import annotations

from functools import wraps

from tellwhy.logs import ids

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class _Patcher:
    """Loguru's one patcher of a core: adds the ids, then does what the program's own patcher does."""

    __slots__ = ("program",)

    def __init__(self, program: Callable[[Any], object] | None) -> None:
        self.program = program

    def __call__(self, record: Any) -> None:
        extra = record["extra"]
        values = ids.current()
        extra.setdefault("trace_id", values[0])
        extra.setdefault("span_id", values[1])
        extra.setdefault("trace_flags", values[2])
        if self.program is not None:
            self.program(record)


def patch_loguru(logger: Any = None) -> Callable[[], None]:
    """
    Put ``trace_id``, ``span_id`` and ``trace_flags`` in the ``extra`` of every record of loguru.

    They are "" outside a span, so that ``{extra[trace_id]}`` in a format never
    fails; values that the program binds under these names stay. A patcher that
    ``logger.configure(patcher=...)`` has set, or sets later, runs after ours. A second
    call changes nothing.

    Args:

        logger: Any of the loggers that share the core to patch. Default: ``loguru.logger``.

    Returns:

        A function that undoes it.

    Raises:

        ImportError: loguru is not installed.
    """
    if logger is None:
        from loguru import logger
    core = logger._core
    if not isinstance(core.patcher, _Patcher):
        core.patcher = _Patcher(core.patcher)
    _keep_when_configured(type(logger))

    def undo() -> None:
        if isinstance(core.patcher, _Patcher):
            core.patcher = core.patcher.program
        configure = type(logger).configure
        if configure.__module__ == __name__:
            type(logger).configure = configure.__wrapped__

    return undo


def _keep_when_configured(logger_class: Any) -> None:
    """Let ``configure(patcher=...)`` set what our patcher calls, on the cores that have ours."""
    original = logger_class.configure
    if getattr(original, "__module__", "") == __name__:
        return

    @wraps(original)
    def configure(self: Any, *args: Any, **kwargs: Any) -> Any:
        ours = self._core.patcher
        try:
            return original(self, *args, **kwargs)
        finally:
            program = self._core.patcher
            if isinstance(ours, _Patcher) and program is not ours:
                ours.program = program
                self._core.patcher = ours

    configure.__module__ = __name__
    logger_class.configure = configure
