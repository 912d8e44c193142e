# SPDX-License-Identifier: Apache-2.0
"""
What our instrumentor classes have in common with OpenTelemetry's, whose place they take.

One object per class, ``instrument()`` and ``uninstrument()``. Where tellwhy has
set tracing up, ``instrument(request_hook=...)`` in a program's own code adds
what it says to what is in force; nothing is traced twice.
"""

from __future__ import annotations

from tellwhy.patchers.options import Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any, ClassVar

_OF_THE_LOADER = ("skip_dep_check", "raise_exception_on_conflict")


class Instrumentor:
    """The base of the instrumentors; each is one object, however often it is made."""

    _it: ClassVar[Any] = None
    _supported: ClassVar[tuple[str, ...]] = ()

    options: Options | None = None
    """What tellwhy's setup says; None if the class is used on its own, so that the environment does."""

    def __new__(cls, *_: Any, **__: Any) -> Any:
        """Return the one object of this class."""
        if cls.__dict__.get("_it") is None:
            cls._it = object.__new__(cls)
            cls._it._given = {}
            cls._it._active = False
        return cls._it

    _given: dict[str, Any]
    _active: bool

    @property
    def is_instrumented_by_opentelemetry(self) -> bool:
        """Whether the library is instrumented now."""
        return self._active

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return the library and its versions that this instrumentor is for, as requirements."""
        return self._supported

    def instrument(self, **kwargs: Any) -> None:
        """
        Instrument the library from now on; called again, with other options.

        Args:

            kwargs: ``tracer_provider`` and hooks, as OpenTelemetry's class of this name takes them.
                ``meter_provider`` is accepted and not used: no metrics are made here.
        """
        for name in _OF_THE_LOADER:
            kwargs.pop(name, None)
        self._given.update(kwargs)
        self._install(self.options or Options.from_environment(), self._given)
        self._active = True

    def uninstrument(self, **_: Any) -> None:
        """Put the library back as it was, wherever our replacements are still in place."""
        self._given.clear()
        self.options = None
        if self._active:
            self._active = False
            self._remove()

    def _install(self, options: Options, given: dict[str, Any]) -> None:
        raise NotImplementedError

    def _remove(self) -> None:
        raise NotImplementedError
