# SPDX-License-Identifier: Apache-2.0
"""
What program this is, for those who did not name their service.

A name comes from, in this order: the Kubernetes deployment, the Lambda function,
the project's pyproject.toml, the application that a server was given
(``gunicorn shop:app``), the module or script. A version comes from git, then from pyproject.toml.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

UNKNOWN = "unknown_service:python"  # the specification's word, with the process name behind it

# Servers that are told what application to serve, and options of theirs that take a value.
_SERVERS = {"gunicorn", "uvicorn", "hypercorn", "waitress-serve", "daphne", "granian", "flask", "celery", "uwsgi"}
_APP_OPTIONS = ("--app", "-A", "--factory")
_UWSGI_APP_OPTIONS = ("--module", "-w", "--wsgi", "--wsgi-file", "--file")
_VALUE_OPTIONS = {
    "-w", "--workers", "-b", "--bind", "-k", "--worker-class", "--threads", "-t", "--timeout", "-c", "--config",
    "--host", "-h", "--port", "-p", "--log-level", "--chdir", "-n", "--name", "-l", "--loglevel", "-P", "--pool",
    "--concurrency", "-Q", "--queues", "--access-logfile", "--error-logfile", "-X", "-W", "--listen",
}  # fmt: skip


class Project:
    """
    One program, seen from outside: its command line, environment and folder.

    Args:

        command: The interpreter's full command line; this process's by default.

        environ: The environment; this process's by default.

        folder: The working directory; this process's by default.
    """

    def __init__(
        self,
        command: Sequence[str] | None = None,
        environ: Mapping[str, str] | None = None,
        folder: str | None = None,
    ) -> None:
        self.command = list(_own_command() if command is None else command)
        self.environ = os.environ if environ is None else environ
        self.module, self.script, self.arguments = _main_program(self.command)
        self.folder = self._home(folder)
        if os.path.basename(self.script) == "__main__.py":  # `python shop/__main__.py` is `python -m shop`
            self.module = os.path.basename(os.path.dirname(os.path.join(self.folder, self.script)))
        self.module = self.module.removesuffix(".__main__")

    def service_name(self) -> tuple[str, str]:
        """Return the name, and in words where it is from."""
        for name, source in (
            (self._deployment(), "named after the Kubernetes pod"),
            (self.environ.get("AWS_LAMBDA_FUNCTION_NAME", ""), "named after the Lambda function"),
            (self._pyproject("name"), "named after pyproject.toml"),
            (self._served_application(), "named after the served application"),
            (self._program(), "named after the program"),
        ):
            if name:
                return name, source
        return UNKNOWN, "OTEL_SERVICE_NAME is not set"

    def service_version(self) -> tuple[str, str]:
        """Return the version and where it is from; both empty if there is none."""
        commit = git_commit(self.folder) if self.folder else ""
        if commit:
            return commit, "git"
        version = self._pyproject("version")
        return (version, "pyproject.toml") if version else ("", "")

    def _home(self, folder: str | None) -> str:
        """Return the folder that the program's files are in: a script's own, else the working directory."""
        try:
            folder = folder or os.getcwd()
        except OSError:  # deleted under us
            return ""
        if self.script.endswith(".py") and os.path.basename(self.script) != "__main__.py":
            return os.path.dirname(os.path.join(folder, self.script))
        return folder

    def _deployment(self) -> str:
        """Return ``checkout`` of the pod ``checkout-7d9f8b6c5-x2x4z``."""
        if "KUBERNETES_SERVICE_HOST" not in self.environ:
            return ""
        parts = self.environ.get("HOSTNAME", "").split("-")
        if len(parts) >= 3 and len(parts[-1]) == 5 and 6 <= len(parts[-2]) <= 10:
            return "-".join(parts[:-2])
        return ""

    def _pyproject(self, key: str) -> str:
        folder = self.folder
        while folder:
            path = os.path.join(folder, "pyproject.toml")
            if os.path.isfile(path):
                return _project_key(path, key)
            parent = os.path.dirname(folder)
            folder = parent if parent != folder else ""
        return ""

    def _served_application(self) -> str:
        server = os.path.basename(self.script or self.module)
        if server not in _SERVERS:
            return ""
        target = _application(self.arguments, server) or self.environ.get("FLASK_APP", "")
        module = target.partition(":")[0].removesuffix(".py")
        parts = [part for part in module.replace("/", ".").split(".") if part]
        # `shop.wsgi:app` and `shop/app.py` are the shop, whatever its last module is called.
        while len(parts) > 1 and parts[-1] in ("wsgi", "asgi", "app", "main", "application"):
            parts.pop()
        # `flask run` looks for its application itself; the folder says more than "flask".
        return ".".join(parts) or os.path.basename(self.folder)

    def _program(self) -> str:
        return self.module or os.path.splitext(os.path.basename(self.script))[0]


def _own_command() -> list[str]:
    """
    Return this interpreter's command line; in a process of multiprocessing that of its parent's program.

    Such a process is started as ``python -c "from multiprocessing… import …"``
    and is told what the main program is before anything of it runs.
    """
    command = sys.orig_argv
    code = " ".join(command[command.index("-c") :]) if "-c" in command else ""
    if not code.startswith("-c from multiprocessing."):
        return command
    main = getattr(sys.modules.get("__mp_main__"), "__spec__", None)
    start = [command[0], "-m", main.name] if main is not None else [command[0], sys.argv[0]]
    return [*start, *sys.argv[1:]]


def _main_program(command: Sequence[str]) -> tuple[str, str, list[str]]:
    """Return the module (of ``-m``), the script and the arguments in an interpreter's command line."""
    rest = list(command[1:])
    while rest:
        word = rest.pop(0)
        if word == "-m" and rest:
            return rest[0], "", rest[1:]
        if word.startswith("-m") and len(word) > 2:
            return word[2:], "", rest
        if word.startswith("-c"):
            return "", "", []
        if word in ("-X", "-W", "--check-hash-based-pycs") and rest:
            rest.pop(0)
        elif not word.startswith("-"):
            return "", word, rest
    return "", "", []


def _application(arguments: Sequence[str], server: str) -> str:
    """Return what a server's command line names as the application."""
    words = iter(arguments)
    is_uwsgi = server == "uwsgi"  # which is given a configuration as it stands, and options by the hundred
    options = _UWSGI_APP_OPTIONS if is_uwsgi else _APP_OPTIONS
    positional = ""
    for word in words:
        option, equals, value = word.partition("=")
        if option in options and option != "--factory":
            return value if equals else next(words, "")
        if word in _VALUE_OPTIONS:
            next(words, None)
        elif not word.startswith("-") and not positional and not is_uwsgi:
            positional = word
    return positional if ":" in positional or "." in positional else ""


def _project_key(path: str, key: str) -> str:
    """Return a text of the ``[project]`` table without the 10 ms that a TOML parser costs."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError:
        return ""
    inside = False
    for line in lines:
        line = line.strip()
        if line.startswith("["):
            inside = line.replace(" ", "").startswith("[project]")
        elif inside:
            name, equals, value = line.partition("=")
            if equals and name.strip() == key:
                value = value.strip()
                quote = value[:1]
                return value[1:].partition(quote)[0] if quote in ('"', "'") else ""
    return ""


def git_commit(folder: str) -> str:
    """
    Return the first twelve digits of the commit that is checked out in a folder, or nothing.

    Read from the files of the repository: no git program needs to be there, and
    none of its own processes is started.
    """
    git = _git_folder(folder)
    if not git:
        return ""
    head = _read(os.path.join(git, "HEAD"))
    if not head.startswith("ref: "):
        return _commit(head)
    reference = head[5:]
    common = os.path.join(git, _read(os.path.join(git, "commondir")) or ".")
    for base in (git, common):
        commit = _commit(_read(os.path.join(base, reference)))
        if commit:
            return commit
    for line in _read(os.path.join(common, "packed-refs")).splitlines():
        commit, _, name = line.partition(" ")
        if name == reference:
            return _commit(commit)
    return ""


def _git_folder(folder: str) -> str:
    while True:
        path = os.path.join(folder, ".git")
        if os.path.isdir(path):
            return path
        if os.path.isfile(path):  # a worktree or submodule: "gitdir: <path>"
            target = _read(path).removeprefix("gitdir: ")
            return os.path.join(folder, target)
        parent = os.path.dirname(folder)
        if parent == folder:
            return ""
        folder = parent


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(1_000_000).strip()
    except OSError:
        return ""


def _commit(text: str) -> str:
    return text[:12] if len(text) >= 40 and not text.strip("0123456789abcdef") else ""
