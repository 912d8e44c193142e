# SPDX-License-Identifier: Apache-2.0
"""
Settings for those who read only the environment.

OpenTelemetry's packages read ``os.environ`` themselves when they are imported or
applied, and some raise at import for a value that they do not understand. The
settings in force are lent to them for just that moment: the program's
environment is not ours to write.
"""

from __future__ import annotations

import os

from tellwhy.settings import ROWS
from tellwhy.settings.setting import as_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tellwhy.settings import Settings


class lent_environment:  # noqa: N801  # used as a function; contextlib costs start-up time
    """
    A context manager: the environment inside says what the settings say.

    Args:

        settings: The settings in force.

        without: Variables that are to be unset.
    """

    __slots__ = ("_before", "_settings", "_without")

    def __init__(self, settings: Settings, without: Iterable[str] = ()) -> None:
        self._settings = settings
        self._without = without
        self._before: dict[str, str | None] = {}

    def __enter__(self) -> None:
        for variable, text in _texts(self._settings):
            self._before[variable] = os.environ.get(variable)
            if text:
                os.environ[variable] = text
            else:
                os.environ.pop(variable, None)
        for variable in self._without:
            self._before.setdefault(variable, os.environ.get(variable))
            os.environ.pop(variable, None)

    def __exit__(self, *_: object) -> None:
        for variable, text in self._before.items():
            if text is None:
                os.environ.pop(variable, None)
            else:
                os.environ[variable] = text


def _texts(settings: Settings) -> Iterator[tuple[str, str]]:
    for row in ROWS.values():
        if row.variable.startswith("OTEL_"):
            value = getattr(settings, row.name)
            text = "" if value is None else as_text(value)
            if text != os.environ.get(row.variable, ""):
                yield row.variable, text
