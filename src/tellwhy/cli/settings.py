# SPDX-License-Identifier: Apache-2.0
"""``tellwhy settings``: every setting, the value in force, where it came from, and what was rejected."""

from __future__ import annotations

import os
import sys

from tellwhy.cli.flags import UsageError, describe_flags, take_flags
from tellwhy.redaction import redact_text
from tellwhy.settings import ROWS, load, read_pyproject

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tellwhy.settings import Problem, Settings

SWITCHES = {
    "--json": "the same for programs",
    "--markdown": "the reference page: what can be set, without values",
    "--all": "also what has its default",
    "--help": "this text",
}


def main(argv: Sequence[str]) -> int:
    """Print the settings in force; 0 also when something was rejected, for that is what people ask."""
    try:
        flags, switches, rest = take_flags(argv, SWITCHES)
        if rest:
            raise UsageError(f"what is {rest[0]!r}?")
    except UsageError as error:
        print(f"tellwhy: {error}; see tellwhy settings --help", file=sys.stderr)
        return 2
    if "--help" in switches:
        own = "\n".join(f"  {flag:12} {help}" for flag, help in SWITCHES.items())
        print(f"usage: tellwhy settings [FLAGS]\n\n{own}\n\nEvery setting is also a flag:\n\n{describe_flags()}")
    elif "--markdown" in switches:
        print(as_markdown())
    else:
        pyproject, file_problems = read_pyproject()
        settings, problems = load(os.environ, pyproject=pyproject, overrides=flags, override_origin="flag")
        problems = (*file_problems, *problems)
        if "--json" in switches:
            print(as_json(settings, problems))
        else:
            print(as_table(settings, problems, everything="--all" in switches))
    return 0


def as_table(settings: Settings, problems: Sequence[Problem], *, everything: bool) -> str:
    """Return the settings for people: those that somebody set, or all."""
    names = [name for name in ROWS if everything or settings.origin(name) != "default"]
    rows = [(ROWS[name].variable, _shown(settings, name) or "-", settings.origin(name)) for name in names]
    lines = _columns([("setting", "value in force", "from"), *rows]) if rows else []
    if not everything:
        left = len(ROWS) - len(names)
        lines.append(f"{left} settings have their default; --all shows them" if left else "")
    if problems:
        lines += ["", "rejected:", *(f"  {redact_text(str(problem))}" for problem in problems)]
    return "\n".join(lines)


def _shown(settings: Settings, name: str) -> str:
    """Return a value as people may see it: somebody shares a screen, or pastes this into an issue."""
    return redact_text(settings.shown(name) or "")


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def as_json(settings: Settings, problems: Sequence[Problem]) -> str:
    """Return all settings for programs."""
    import json

    document = {
        "settings": [
            {
                "variable": row.variable,
                "flag": f"--{row.key}",
                "keyword": name,
                "value": _shown(settings, name) or None,
                "origin": settings.origin(name),
            }
            for name, row in ROWS.items()
        ],
        "problems": [
            {
                "setting": problem.setting,
                "cause": redact_text(problem.cause),
                "consequence": problem.consequence,
                "severity": problem.severity,
            }
            for problem in problems
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def as_markdown() -> str:
    """Return the reference page, made from the table that everything else is made from."""
    lines = [
        "# Settings",
        "",
        "<!-- Made by `tellwhy settings --markdown`; change src/tellwhy/settings/table.py. -->",
        "",
        "Every setting is an environment variable, a flag of `tellwhy run` and `tellwhy settings`",
        "(`--service-name`), a keyword of `setup_tracing()` (`service_name=`) and a key of `[tool.tellwhy]` in",
        "pyproject.toml (`service-name`). Lowest first: default < pyproject.toml < environment < flag or keyword.",
        "",
        "| variable | flag and key | default | meaning |",
        "|---|---|---|---|",
    ]
    for row in ROWS.values():
        default = f"`{row.show(row.default)}`" if row.show(row.default) else "unset"
        choices = f" One of {', '.join(f'`{word}`' for word in row.kind.choices())}." if row.kind.choices() else ""
        help = row.help.replace("|", "\\|")
        lines.append(f"| `{row.variable}` | `--{row.key}` | {default} | {help}{choices} |")
    return "\n".join(lines)
