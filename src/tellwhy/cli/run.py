# SPDX-License-Identifier: Apache-2.0
"""
``tellwhy run``: become the program, with tracing in its interpreter before its first line.

The process is replaced, so exit status, signals, terminal and process id are
the program's own. It finds one more variable in its environment, TELLWHY_RUN,
which the line in site-packages (``tellwhy.pth``) acts on; flags are settings in
the environment.
"""

from __future__ import annotations

import errno
import os
import sys

from tellwhy import diagnostics
from tellwhy.bootstrap.wrapper import announce, is_hooked_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

USAGE = """usage: tellwhy run [FLAGS] [--] COMMAND [ARGS…]
       tellwhy run [FLAGS] -m MODULE [ARGS…]

Run any Python program traced:

  tellwhy run python app.py
  tellwhy run flask run
  tellwhy run gunicorn -w 2 shop:app
  tellwhy run --service-name=shop --traces-exporter=console -m shop

Exit status, signals and terminal are those of the program. Every setting is
also a flag:
"""

# What shells answer for a command that is not there, and for one that cannot run.
NOT_FOUND, NOT_EXECUTABLE, USAGE_ERROR = 127, 126, 2


def main(argv: Sequence[str]) -> int:
    """Replace this process by the program; return an exit status only if that fails."""
    settings: dict[str, str] = {}
    words = list(argv)
    if words and words[0].startswith("-") and words[0] != "-m":
        # Only now: most command lines have no flags, and the table takes a millisecond.
        from tellwhy.cli.flags import UsageError, describe_flags, take_flags

        try:
            settings, switches, words = take_flags(words, {"--help": "", "-h": ""})
        except UsageError as error:
            return _fail(f"{error}; see tellwhy run --help", USAGE_ERROR)
        if switches:
            print(f"{USAGE}\n{describe_flags()}")
            return 0
    if words and words[0] == "-m":
        words.insert(0, sys.executable)
    if not words:
        return _fail("run what? tellwhy run python app.py", USAGE_ERROR)
    environ = dict(os.environ)
    announce(environ)
    if settings:
        _put(settings, environ)
    return _become(words, environ)


def _put(settings: dict[str, str], environ: dict[str, str]) -> None:
    """Write flags where every process of the program reads them, whatever it is started by."""
    from tellwhy.settings import ROWS

    for name, text in settings.items():
        environ[ROWS[name].variable] = text


def _become(command: list[str], environ: dict[str, str]) -> int:
    program = command[0]
    _warn_if_foreign(program)
    try:
        _exec(command, environ)
    except FileNotFoundError:
        if os.path.isfile(program):  # the file is there; the interpreter in its first line is not
            return _fail(f"cannot be executed: {program}: the interpreter in its first line is missing", NOT_FOUND)
        return _fail(f"command not found: {program or repr(program)}{_hint(program)}", NOT_FOUND)
    except OSError as error:
        return _fail(f"cannot be executed: {program}: {error.strerror}{_hint(program)}", NOT_EXECUTABLE)
    raise AssertionError("exec does not return")


def _exec(command: list[str], environ: dict[str, str]) -> None:
    if not command[0]:  # the system would take a folder of PATH for it
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    try:
        os.execvpe(command[0], command, environ)  # noqa: S606  # the whole point, and no shell in between
    except OSError as error:
        # A script without a first line `#!…` is the shell's, as everywhere (POSIX execvp).
        if error.errno != errno.ENOEXEC or command[0].endswith(".py"):
            raise
        os.execve("/bin/sh", ["sh", error.filename, *command[1:]], environ)  # noqa: S606  # the same


def _hint(command: str) -> str:
    return f"; for a Python file: tellwhy run python {command}" if command.endswith(".py") else ""


def _fail(message: str, status: int) -> int:
    # Not through diagnostics: `quiet` silences telemetry, not a usage error.
    print(f"tellwhy: {message}", file=sys.stderr)
    return status


def _warn_if_foreign(command: str) -> None:
    """Say so when the program's interpreter is another one, in which tellwhy is not installed."""
    name = os.path.basename(command)
    if not name.startswith("python"):
        return
    for folder in [""] if os.sep in command else os.environ.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(folder, command)
        if os.access(path, os.X_OK) and os.path.isfile(path):
            if not is_hooked_in(path):
                diagnostics.warn(
                    f"{path} has no tellwhy installed, so the program runs untraced; "
                    f"use {sys.executable}, or install tellwhy there"
                )
            return
