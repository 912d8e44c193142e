# SPDX-License-Identifier: Apache-2.0
"""The command ``tellwhy``: which of its commands is meant. One file for each of them beside this one."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "run": "run a Python program traced:  tellwhy run python app.py",
    "demo": "see it work: a small shop under load, its traces on the terminal",
    "settings": "every setting, its value in force and where it comes from",
}


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run the command line and return its exit status.

    Args:

        argv: The words after ``tellwhy``; those of this process by default.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    name = words[0] if words else "--help"
    if name in COMMANDS:
        from importlib import import_module

        command = import_module(f"tellwhy.cli.{name}")
        status: int = command.main(words[1:])
        return status
    if name in ("--version", "-V"):
        from tellwhy._version import __version__

        print(f"tellwhy {__version__}")
        return 0
    if name in ("--help", "-h", "help"):
        print(usage())
        return 0
    from tellwhy.settings.grammar import did_you_mean

    print(f"tellwhy: no such command: {name}{did_you_mean(name, COMMANDS)}\n\n{usage()}", file=sys.stderr)
    return 2


def usage() -> str:
    """Return the text of ``tellwhy --help``."""
    lines = [f"  {name:10} {help}" for name, help in COMMANDS.items()]
    return "usage: tellwhy COMMAND …\n\n" + "\n".join(lines) + "\n\ntellwhy COMMAND --help tells more."
