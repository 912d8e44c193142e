# SPDX-License-Identifier: Apache-2.0
"""
Which libraries do tellwhy's own patchers take care of? One row each.

A library is patched when the program imports it. Where ours does not apply (an
unsupported version, ``TELLWHY_INSTRUMENT=flask:contrib``) OpenTelemetry's own
instrumentor does, if it is installed.
"""

from __future__ import annotations

import sys

from tellwhy import diagnostics
from tellwhy.imports import when_imported
from tellwhy.patchers import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from tellwhy.settings import Settings


class Row:
    """
    One library.

    Args:

        module: Whose import is the moment.

        patcher: Our module, below ``tellwhy.patchers``.

        instrumentor: The class in it, and in OpenTelemetry's own package.

        since: The first supported version.
    """

    __slots__ = ("instrumentor", "module", "patcher", "since")

    def __init__(self, module: str, patcher: str, instrumentor: str, since: tuple[int, ...]) -> None:
        self.module = module
        self.patcher = patcher
        self.instrumentor = instrumentor
        self.since = since

    def load(self) -> Any:
        """Return our instrumentor."""
        from importlib import import_module

        return getattr(import_module(f"tellwhy.patchers.{self.patcher}"), self.instrumentor)()


OURS = {
    "flask": Row("flask", "flask", "FlaskInstrumentor", (2, 3)),
    "psycopg2": Row("psycopg2", "psycopg2", "Psycopg2Instrumentor", (2, 9)),
    "redis": Row("redis", "redis", "RedisInstrumentor", (5, 0)),
    "requests": Row("requests", "requests", "RequestsInstrumentor", (2, 28)),
}
"""Name of the instrumentation, as in ``OTEL_PYTHON_DISABLED_INSTRUMENTATIONS`` -> what is done for it."""

_applied: dict[str, Any] = {}


def install(settings: Settings) -> tuple[str, ...]:
    """
    Wait for the libraries that the settings let us patch.

    Returns:

        The names that ``contrib.install(settings, ours=...)`` is to leave out.
    """
    taken = []
    for name, row in OURS.items():
        reason = _unwanted(name, settings)
        if reason is None:
            continue
        taken.append(name)
        if reason:
            records.put(name, "skipped", reason)
            continue
        records.put(name, "waiting")
        when_imported(row.module, _Apply(name, row, settings))
        when_imported(f"opentelemetry.instrumentation.{name}", _HandOver(name, row))
    return tuple(taken)


def uninstall() -> None:
    """Take every patcher away that was applied here."""
    handover = sys.modules.get("tellwhy.patchers.handover")
    if handover is not None:
        handover.take_back()
    while _applied:
        name, instrumentor = _applied.popitem()
        try:
            instrumentor.uninstrument()
        except Exception as error:
            diagnostics.fault(f"the removal of the instrumentation of {name}", error)


def _unwanted(name: str, settings: Settings) -> str | None:
    """Return why a library is not traced, nothing if it is, and None if OpenTelemetry's own is to do it."""
    disabled = settings.python_disabled_instrumentations
    if name in disabled or "*" in disabled:
        return "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS names it"
    wanted = settings.instrument
    if f"{name}:contrib" in wanted:
        return None
    if wanted and name not in {word.partition(":")[0] for word in wanted}:
        return "TELLWHY_INSTRUMENT does not name it"
    return ""


class _Apply:
    """Applies one of our patchers when its library is there."""

    __slots__ = ("name", "row", "settings")

    def __init__(self, name: str, row: Row, settings: Settings) -> None:
        self.name = name
        self.row = row
        self.settings = settings

    def __call__(self, module: ModuleType) -> None:
        name = self.name
        if name in _applied:
            return
        theirs = getattr(sys.modules.get(f"opentelemetry.instrumentation.{name}"), self.row.instrumentor, None)
        if theirs is not None and theirs().is_instrumented_by_opentelemetry:
            records.put(name, "instrumented", "by the program itself, with OpenTelemetry's own")
            return
        found = _version(name, module)
        if found < self.row.since:
            self._too_old(".".join(map(str, found)))
            return
        from tellwhy.patchers.options import Options

        instrumentor = self.row.load()
        instrumentor.options = Options.of(self.settings)
        instrumentor.instrument()
        _applied[name] = instrumentor
        records.put(name, "instrumented")
        diagnostics.debug(f"{name} is instrumented by tellwhy")

    def _too_old(self, version: str) -> None:
        from tellwhy.patchers import contrib

        since = ".".join(map(str, self.row.since))
        contrib.apply(self.name, self.settings, f"{self.name} {version} is older than {since}, the first supported")


class _HandOver:
    """Lets calls of OpenTelemetry's own instrumentor, in a program's code, reach ours."""

    __slots__ = ("name", "row")

    def __init__(self, name: str, row: Row) -> None:
        self.name = name
        self.row = row

    def __call__(self, module: ModuleType) -> None:
        from tellwhy.patchers.handover import hand_over

        hand_over(getattr(module, self.row.instrumentor), lambda: _applied.get(self.name))


def _version(name: str, module: ModuleType) -> tuple[int, ...]:
    """Return a library's version; a very high one if it does not tell."""
    if name == "flask":  # flask.__version__ warns that it is deprecated; Flask has loaded this module itself
        from importlib.metadata import version

        text = version("flask")
    else:
        text = getattr(module, "__version__", "")
    numbers = []
    for part in text.partition(" ")[0].split(".")[:3]:
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers) or (sys.maxsize,)
