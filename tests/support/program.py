# SPDX-License-Identifier: Apache-2.0
"""
Run a program as a user would: a real process, a folder of its own, an environment with nothing in it.

::

    from support.program import Place

    place = Place(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint)
    place.copy("flask_app.py")                      # from tests/apps; place.write("x.py", "...") for short ones
    done = place.run("tellwhy", "run", "python", "flask_app.py", TELLWHY_ENGINE="sdk")
    assert done.returncode == 0, done.stderr
    with place.start("flask", "--app", "flask_app", "run", "--port", "0") as server:
        port = server.wait_for(r"Running on http://127.0.0.1:(\\d+)")
        server.get("/hello", port)                  # -> (status, body)

``python``, ``tellwhy`` and every other console script are those of the interpreter that runs the tests.
HOME is an empty folder; no ``OTEL_``, ``TELLWHY_`` or ``PYTHON`` variable of the developer's leaks in.
``Place.environ`` is a plain dict: change it for all programs, or give variables to one (None takes one away).
"""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

APPS = Path(__file__).parent.parent / "apps"
BIN = str(Path(sys.executable).parent)
# What a test run under coverage hands to the processes that it starts.
_KEPT = ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG", "LD_LIBRARY_PATH", "TMPDIR")
OURS = "tellwhy: "


def lines_of_ours(stderr: str) -> list[str]:
    """Return what tellwhy said, without its prefix."""
    return [line.removeprefix(OURS) for line in stderr.splitlines() if line.startswith(OURS)]


def lines_of_others(stderr: str) -> list[str]:
    """Return what anybody else said."""
    return [line for line in stderr.splitlines() if not line.startswith(OURS)]


class Place:
    """A folder to run programs in, and their environment; see the module for its use."""

    def __init__(self, folder: Path, **variables: str) -> None:
        home = folder / "home"
        self.folder = folder / "work"
        home.mkdir(exist_ok=True)
        self.folder.mkdir(exist_ok=True)
        self.environ: dict[str, str] = {
            "HOME": str(home),
            "PATH": os.pathsep.join([BIN, "/usr/local/bin", "/usr/bin", "/bin"]),
            "LANG": "C.UTF-8",
            **{name: os.environ[name] for name in _KEPT if name in os.environ},
            **variables,
        }

    def write(self, name: str, text: str, mode: int = 0o644) -> Path:
        """Write a file below the folder and return its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def copy(self, *names: str) -> None:
        """Copy files or folders of ``tests/apps`` into the folder."""
        for name in names:
            source = APPS / name
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, self.folder / name)

    def run(
        self, *command: str, input: bytes | str | None = None, timeout: float = 60, **variables: str | None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; output as text. Its whole process group ends with it if it takes too long."""
        with self.start(*command, stdin=subprocess.PIPE, **variables) as running:
            return running.finish(input, timeout)

    def wrapped(
        self, *command: str, input: bytes | str | None = None, timeout: float = 60, **variables: str | None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command under ``tellwhy run``."""
        return self.run("tellwhy", "run", *command, input=input, timeout=timeout, **variables)

    def start(self, *command: str, stdin: int = subprocess.DEVNULL, **variables: str | None) -> Running:
        """Start a command; use it in a ``with`` statement, which ends it."""
        given = {**self.environ, **variables}
        environ = {name: value for name, value in given.items() if value is not None}  # None takes one away
        return Running(list(command), self.folder, environ, stdin)


class Running:
    """A process that runs in the background, its output in files that can be watched."""

    def __init__(self, command: list[str], folder: Path, environ: dict[str, str], stdin: int) -> None:
        outputs = folder.parent / "output"
        outputs.mkdir(exist_ok=True)
        executable = shutil.which(command[0], path=environ["PATH"])
        self._paths = [outputs / f"{time.monotonic_ns()}.{stream}" for stream in ("out", "err")]
        with self._paths[0].open("wb") as out, self._paths[1].open("wb") as err:
            self.process = subprocess.Popen(
                command,
                executable=executable,
                cwd=folder,
                env=environ,
                stdin=stdin,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    @property
    def stdout(self) -> str:
        """What it wrote to stdout so far."""
        return self._paths[0].read_text(errors="replace")

    @property
    def stderr(self) -> str:
        """What it wrote to stderr so far."""
        return self._paths[1].read_text(errors="replace")

    def wait_for(self, pattern: str, timeout: float = 30, count: int = 1) -> str:
        """Wait until the output has ``count`` matches; return the last one's first group, or all of it."""
        deadline = time.monotonic() + timeout
        while True:
            ended = self.process.poll() is not None
            matches = list(re.finditer(pattern, self.stdout + self.stderr))
            if len(matches) >= count:
                match = matches[-1]
                return match.group(1) if match.groups() else match.group()
            assert not ended and time.monotonic() < deadline, (
                f"{pattern!r} did not appear (exit status {self.process.poll()}):\n{self.stdout}\n{self.stderr}"
            )
            time.sleep(0.02)

    def get(
        self, path: str, port: str | int, headers: dict[str, str] | None = None, timeout: float = 20
    ) -> tuple[int, str]:
        """Ask the server that listens on a port; return status and body."""
        deadline = time.monotonic() + timeout
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=timeout)
            try:
                connection.request("GET", path, headers=headers or {})
                answer = connection.getresponse()
                return answer.status, answer.read().decode()
            except OSError:  # it listens in a moment, or reloads
                assert self.process.poll() is None and time.monotonic() < deadline, self.stderr
                time.sleep(0.02)
            finally:
                connection.close()

    def finish(self, input: bytes | str | None = None, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Wait for its end, as ``subprocess.run`` does."""
        data = input.encode() if isinstance(input, str) else input
        try:
            self.process.communicate(data, timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(
                f"{self.process.args} did not end within {timeout} s:\n{self.stdout}\n{self.stderr}"
            ) from None
        return subprocess.CompletedProcess(self.process.args, self.process.returncode, self.stdout, self.stderr)

    def stop(self, number: int = signal.SIGTERM, timeout: float = 20) -> subprocess.CompletedProcess[str]:
        """Send a signal to the process alone, as an operator would, and wait for its end."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.finish(timeout=timeout)

    def kill(self) -> None:
        """End the process and all that it has started."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:  # all of them are gone
            pass
        self.process.wait()

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def wait_until(condition: Callable[[], object], what: str, timeout: float = 20) -> None:
    """Wait until a function without arguments returns something true."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {timeout} s"
        time.sleep(0.02)
