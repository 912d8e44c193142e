# SPDX-License-Identifier: Apache-2.0
"""What one setting is: its names, grammar, default and meaning; and what a wrong value looks like."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Generic, Literal, TypeVar, overload

    from tellwhy.settings.grammar import Kind

    T = TypeVar("T")

    Severity = Literal["warning", "error"]
else:
    from tellwhy.settings.grammar import Generic, T


class Setting(Generic[T]):
    """
    One row of the declared table; as a descriptor, the value in force.

    Args:

        variable: The environment variable; all other names derive from it.

        kind: The grammar of its text.

        default: The value when nobody sets it.

        help: One sentence for people, in the reference page and ``--help``.

        secret: Whether the value is masked wherever it is shown.

        mask: How a secret is shown; by default as ``****``.
    """

    __slots__ = ("default", "help", "kind", "mask", "name", "secret", "variable")

    def __init__(
        self,
        variable: str,
        kind: Kind[Any],
        default: T,
        help: str,
        *,
        secret: bool = False,
        mask: Callable[[Any], str] | None = None,
    ) -> None:
        self.variable = variable
        self.kind = kind
        self.default = default
        self.help = help
        self.secret = secret
        self.mask = mask
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    if TYPE_CHECKING:

        @overload
        def __get__(self, holder: None, owner: type) -> Setting[T]: ...
        @overload
        def __get__(self, holder: object, owner: type) -> T: ...

    def __get__(self, holder: Any, owner: type) -> Any:
        """Return the value in force; the row itself when asked on the class."""
        return self if holder is None else holder._values[self.name]

    @property
    def key(self) -> str:
        """The name in ``[tool.tellwhy]`` and, after two dashes, on the command line."""
        return self.name.replace("_", "-")

    def show(self, value: object) -> str:
        """Return the value as people may see it: as its text in the environment, secrets masked."""
        if value is None or value == () or value == {}:
            return ""
        if self.secret:
            return self.mask(value) if self.mask else "****"
        return as_text(value)


def as_text(value: object) -> str:
    """Return a value in the grammar that it is read with."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, dict):
        return ",".join(f"{_encoded(key, '%,=')}={_encoded(item, '%,')}" for key, item in value.items())
    return str(value)


def _encoded(text: str, marks: str) -> str:
    """Percent-encode what would end a key or a value; `%` comes first among the marks."""
    for mark in marks:
        text = text.replace(mark, f"%{ord(mark):02X}")
    return text


class Problem:
    """
    One thing that is wrong with the configuration, and what happens now.

    ``str(problem)`` is the line that people see:
    ``OTEL_TRACES_SAMPLER_ARG='0,5': expected a number from 0 to 1; using 0.01 to be safe``.
    """

    __slots__ = ("cause", "consequence", "origin", "setting", "severity", "value")

    def __init__(
        self,
        setting: str,
        value: str | None,
        cause: str,
        consequence: str,
        *,
        origin: str = "environment",
        severity: Severity = "warning",
    ) -> None:
        self.setting = setting
        self.value = value
        self.cause = cause
        self.consequence = consequence
        self.origin = origin
        self.severity = severity

    def __str__(self) -> str:
        given = self.setting if self.value is None else f"{self.setting}={self.value!r}"
        where = "" if self.origin in ("environment", "argument") else f" in {self.origin}"
        return f"{given}{where}: {self.cause}; {self.consequence}"

    def __repr__(self) -> str:
        return f"Problem({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Problem) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))
