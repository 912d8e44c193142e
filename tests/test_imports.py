# SPDX-License-Identifier: Apache-2.0
"""What does starting cost? Each way in loads a few small modules of the standard library, by an allow-list."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

# What Python itself has loaded by then on one of the supported versions, or loads in no time.
SMALL = {
    "__future__", "_abc", "_bootlocale", "_collections", "_contextvars", "_functools", "_heapq", "_operator",
    "_posixsubprocess", "_struct", "_thread", "_weakref", "_weakrefset", "abc", "atexit", "collections",
    "collections.abc", "contextvars", "copyreg", "errno", "functools", "genericpath", "heapq", "importlib",
    "importlib._bootstrap", "importlib._bootstrap_external", "io", "itertools", "keyword", "operator", "os",
    "posixpath", "reprlib", "stat", "sys", "time", "types", "warnings", "_warnings", "weakref",
}  # fmt: skip

# Each costs ten milliseconds or more at start, and must wait until it is needed.
HEAVY = ("typing", "re", "argparse", "json", "dataclasses", "inspect", "logging", "importlib.metadata", "urllib",
         "email", "http", "socket", "ssl", "threading", "asyncio", "subprocess", "opentelemetry", "google", "grpc",
         "requests", "flask", "enum", "random", "uuid", "traceback", "tomllib", "tomli")  # fmt: skip

WAYS = {
    "nothing": "pass",
    "import": "import tellwhy",
    "names": "from tellwhy import setup_tracing, traced",
    "setup": "import tellwhy; tellwhy.setup_tracing()",
    "auto": "import tellwhy.auto",
    "decorated": "from tellwhy import traced\n@traced\ndef f(): pass\nf()",
    "errors": "from tellwhy import ConfigurationError, DecorationError, TellwhyError",
    "face": "import tellwhy; tellwhy.flush(); tellwhy.stats(); tellwhy.shutdown()",
    "ids": "import tellwhy; tellwhy.current_trace_id()",
}


def _loaded(code: str, folder: Path, *flags: str, command: tuple[str, ...] = (), **variables: str) -> set[str]:
    """Return the modules that code loads in a fresh interpreter, beyond those of an empty program."""
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "TELLWHY_", "PYTHON", "COV"))
    }
    report = f"{code}\nimport sys\nbefore = list(sys.modules)\nimport json\nprint(json.dumps(before))"
    done = subprocess.run(
        [*command, sys.executable, *flags, "-c", report], capture_output=True, text=True, timeout=60, cwd=folder,
        env={**environ, **variables}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder without a project in it."""
    return tmp_path_factory.mktemp("empty")


@pytest.fixture(scope="module")
def empty(folder: Path) -> set[str]:
    """What an interpreter has loaded before the program's first line."""
    return _loaded(WAYS["nothing"], folder)


def _heavy(modules: set[str]) -> list[str]:
    return sorted(name for name in modules if name in HEAVY or name.startswith(tuple(f"{heavy}." for heavy in HEAVY)))


@pytest.mark.parametrize("way", [way for way in WAYS if way != "nothing"])
def test_way_in_is_light(way: str, folder: Path, empty: set[str]) -> None:
    """Only small modules beside our own; nothing of OpenTelemetry's."""
    added = _loaded(WAYS[way], folder) - empty

    others = {name for name in added if not name.startswith("tellwhy")}
    assert _heavy(others) == []
    assert sorted(others - SMALL) == []


def test_import_alone_loads_next_to_nothing(folder: Path, empty: set[str]) -> None:
    """``import tellwhy`` is the face and the version."""
    added = _loaded(WAYS["import"], folder) - empty

    assert sorted(name for name in added if name.startswith("tellwhy")) == ["tellwhy", "tellwhy._version"]


def test_wrapper_is_light(folder: Path, empty: set[str]) -> None:
    """A wrapped program starts with the same small modules as one that calls ``setup_tracing()``."""
    tellwhy = (str(Path(sys.executable).parent / "tellwhy"), "run")

    added = _loaded("pass", folder, command=tellwhy, TELLWHY_DIAGNOSTICS="quiet") - empty

    assert _heavy(added) == []
    assert sorted(name for name in added - SMALL if not name.startswith("tellwhy")) == []


def test_wrapper_command_is_light(folder: Path, empty: set[str]) -> None:
    """The command itself, which only becomes the program, loads no more than it needs for that."""
    code = (
        "import sys, os; os.execvpe = lambda *a: None\nfrom tellwhy.cli import main\n"
        "try:\n    main(['run', 'python'])\nexcept AssertionError: pass"
    )

    added = _loaded(code, folder) - empty

    assert _heavy(added) == []
    assert len([name for name in added if name.startswith("tellwhy")]) < 12


def test_disabled_loads_no_more(folder: Path, empty: set[str]) -> None:
    """``OTEL_SDK_DISABLED=true`` costs a look at the settings."""
    added = _loaded(WAYS["setup"], folder, OTEL_SDK_DISABLED="true") - empty

    assert _heavy(added) == []
    assert sorted(name for name in added if name.startswith("tellwhy.patchers")) == []


def test_allow_list_is_honest() -> None:
    """Nothing on the list of small modules is on the list of heavy ones."""
    assert _heavy(SMALL) == []
