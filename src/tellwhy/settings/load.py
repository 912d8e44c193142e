# SPDX-License-Identifier: Apache-2.0
"""
How the settings in force come about: one layer over the other, problems beside them.

Precedence, lowest first: default < pyproject.toml < environment < flag or
keyword. Nothing here reads files, writes anything or raises for a wrong value:
``load`` is a function of what it is given.
"""

from __future__ import annotations

from tellwhy.settings.checks import check
from tellwhy.settings.grammar import Rejected, did_you_mean
from tellwhy.settings.setting import Problem, Setting, as_text
from tellwhy.settings.table import Table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

ROWS: dict[str, Setting[Any]] = {
    name: row for part in Table.__mro__ for name, row in vars(part).items() if isinstance(row, Setting)
}

DEFAULT, PYPROJECT, ENVIRONMENT, ARGUMENT = "default", "pyproject.toml", "environment", "argument"


class Settings(Table):
    """
    The value of every setting, and where it came from.

    ``settings.traces_sampler`` is the value in force, ``settings.origin(...)``
    says who set it. ``repr`` shows what differs from the defaults, secrets masked.
    """

    __slots__ = ("_origins", "_values")

    def __init__(self) -> None:
        self._values: dict[str, Any] = {name: row.default for name, row in ROWS.items()}
        self._origins: dict[str, str] = {}

    def origin(self, name: str) -> str:
        """Return where the value came from: default, pyproject.toml, environment, argument."""
        return self._origins.get(name, DEFAULT)

    def shown(self, name: str) -> str:
        """Return the value as people may see it: in its own grammar, secrets masked."""
        return ROWS[name].show(self._values[name])

    def _put(self, name: str, value: Any, origin: str) -> None:
        self._values[name] = value
        self._origins[name] = origin

    def __repr__(self) -> str:
        changed = ", ".join(f"{name}={self.shown(name)!r}" for name in self._origins)
        return f"Settings({changed})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Settings) and self._values == other._values

    __hash__ = None  # type: ignore[assignment]  # mutable while it is loaded


def load(
    environ: Mapping[str, str],
    *,
    pyproject: Mapping[str, object] | None = None,
    overrides: Mapping[str, object] | None = None,
    override_origin: str = ARGUMENT,
) -> tuple[Settings, tuple[Problem, ...]]:
    """
    Return the settings in force and everything that is wrong with what was given.

    Args:

        environ: The environment, usually ``os.environ``.

        pyproject: The ``[tool.tellwhy]`` table, if there is one.

        overrides: Keywords of ``setup_tracing()``, by setting name; None is unset.

        override_origin: What the overrides are called when people ask: ``flag``.
    """
    settings = Settings()
    problems: list[Problem] = []
    for key, value in (pyproject or {}).items():
        name = key.replace("-", "_")
        if name in ROWS:
            _take(settings, ROWS[name], value, PYPROJECT, problems)
        else:
            problems.append(_unknown(key, PYPROJECT, (row.key for row in ROWS.values())))
    for row in ROWS.values():
        text = environ.get(row.variable)
        if text is not None and text.strip():  # empty is unset (specification)
            _take(settings, row, text, ENVIRONMENT, problems)
    for name, value in (overrides or {}).items():
        if name not in ROWS:
            problems.append(_unknown(name, override_origin, ROWS))
        elif value is not None:
            _take(settings, ROWS[name], value, override_origin, problems)
    problems += check(settings, environ, {row.variable for row in ROWS.values()})
    return settings, tuple(problems)


def _take(settings: Settings, row: Setting[Any], given: object, origin: str, problems: list[Problem]) -> None:
    """Put one given value in force, or what holds in its place."""
    try:
        settings._put(row.name, row.kind.accept(given), origin)
        return
    except Rejected as rejected:
        wrong = rejected
    if wrong.use is not None:
        value, label = wrong.use
        settings._put(row.name, value, origin)
        consequence = f"using {label}"
    else:
        current = settings.shown(row.name)
        consequence = f"ignored, using {current}" if current else "ignored"
    shown = "****" if row.secret else as_text(given)
    name = row.variable if origin == ENVIRONMENT else row.key if origin == PYPROJECT else row.name
    problems.append(Problem(name, shown, f"expected {wrong.expected}", consequence, origin=origin))


def _unknown(name: str, origin: str, known: object) -> Problem:
    hint = did_you_mean(name, known)  # type: ignore[arg-type]  # any iterable of names
    return Problem(name, None, f"no such setting{hint}", "ignored", origin=origin)
