# SPDX-License-Identifier: Apache-2.0
"""The settings as flags: ``--traces-sampler=always_off`` for ``OTEL_TRACES_SAMPLER``."""

from __future__ import annotations

from tellwhy.settings import ROWS
from tellwhy.settings.grammar import Boolean, Rejected, did_you_mean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class UsageError(Exception):
    """The words of a command line make no sense; the message says which and why."""


def take_flags(
    words: Sequence[str], own: Mapping[str, str] | None = None
) -> tuple[dict[str, str], set[str], list[str]]:
    """
    Split a command line into settings, the command's own switches and what is left.

    Args:

        words: The command line. Reading stops at ``--``, at ``-m`` and at the
            first word that is no flag.

        own: The command's own switches, without value, with a help text each.

    Returns:

        Text by setting name, the switches that were given, and the other words.

    Raises:

        UsageError: A flag is unknown, or its value is missing or wrong.
    """
    rest = list(words)
    settings: dict[str, str] = {}
    switches: set[str] = set()
    while rest and rest[0].startswith("-") and rest[0] != "-m":
        word = rest.pop(0)
        if word == "--":
            break
        flag, equals, value = word.partition("=")
        if not equals and flag in (own or {}):
            switches.add(flag)
            continue
        name = flag.removeprefix("--").replace("-", "_")
        if not flag.startswith("--") or name not in ROWS:
            known = [*(own or {}), *(f"--{row.key}" for row in ROWS.values())]
            raise UsageError(f"no such flag: {flag}{did_you_mean(flag, known)}")
        settings[name] = value if equals else _next_value(name, flag, rest)
        _check(name, flag, settings[name])
    return settings, switches, rest


def _next_value(name: str, flag: str, rest: list[str]) -> str:
    if isinstance(ROWS[name].kind, Boolean) and (not rest or rest[0] not in ("true", "false")):
        return "true"
    if not rest:
        raise UsageError(f"{flag} needs a value")
    return rest.pop(0)


def _check(name: str, flag: str, text: str) -> None:
    try:
        ROWS[name].kind.parse(text)
    except Rejected as wrong:
        shown = "****" if ROWS[name].secret else repr(text)
        raise UsageError(f"{flag}={shown}: expected {wrong.expected}") from None


def describe_flags() -> str:
    """Return a help line for each setting."""
    return "\n".join(f"  --{row.key}\n      {row.help} [{row.variable}]" for row in ROWS.values())
