# SPDX-License-Identifier: Apache-2.0
"""Is nothing left behind, however the demo ends? Real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tellwhy.demo.guard import GRACE
from tellwhy.demo.processes import DemoError, Processes, clean_environ

# Ends only when killed: what a hanging child is like.
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)
POLITE = "import time; print('up', flush=True); time.sleep(600)"
PARENT = """
import sys, time
from tellwhy.demo.guard import GRACE
from tellwhy.demo.processes import Processes, clean_environ
processes = Processes()
children = [processes.start("child", [sys.executable, "-c", code], clean_environ({})) for code in sys.argv[1:]]
print(processes.directory, *(child.process.pid for child in children), flush=True)
time.sleep(600)
"""


def is_there(pid: int) -> bool:
    """Tell whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def wait_until_gone(pids: list[int], directory: str, seconds: float) -> None:
    """Wait for the end of processes and directory."""
    deadline = time.monotonic() + seconds
    while (left := [pid for pid in pids if is_there(pid)]) or os.path.exists(directory):
        assert time.monotonic() < deadline, f"still there: {left}, {directory}"
        time.sleep(0.02)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks at processes through /proc")
@pytest.mark.parametrize(
    ("number", "codes"), [(signal.SIGKILL, [POLITE, STUBBORN]), (signal.SIGTERM, [POLITE]), (signal.SIGINT, [POLITE])]
)
def test_when_the_parent_is_killed_children_and_directory_go(number: signal.Signals, codes: list[str]) -> None:
    """The guard sees the end of its pipe, whatever the reason."""
    command = [sys.executable, "-c", PARENT, *codes]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as parent:
        assert parent.stdout is not None
        directory, *pids = parent.stdout.readline().split()
        log = Path(directory, "child.log")
        while log.read_text().count("up") < len(codes):
            time.sleep(0.01)
        parent.send_signal(number)

    wait_until_gone([int(pid) for pid in pids], directory, 20)


def test_close_ends_children_and_removes_the_directory() -> None:
    """And may be called again."""
    with Processes() as processes:
        child = processes.start("child", [sys.executable, "-c", "import time; time.sleep(600)"], {})
        assert processes.ended() is None
    processes.close()

    assert child.process.returncode == -signal.SIGTERM
    assert not os.path.exists(processes.directory)


def test_close_ends_what_was_started_around_a_program_that_another_thread_runs() -> None:
    """The demo is interrupted while it starts: the end of that program must hide none of the others."""
    code = "import time; time.sleep(600)"
    with Processes() as processes:
        children = [processes.start("first", [sys.executable, "-c", code], {})]
        runner = threading.Thread(target=_run_to_the_end, args=(processes, code))
        runner.start()
        while not os.path.exists(os.path.join(processes.directory, "program.log")):
            time.sleep(0.01)
        children += [processes.start("last", [sys.executable, "-c", code], {}) for _ in range(3)]
        started = time.monotonic()
    runner.join()

    assert time.monotonic() - started < GRACE
    assert [child.process.returncode for child in children] == [-signal.SIGTERM] * 4


def _run_to_the_end(processes: Processes, code: str) -> None:
    with pytest.raises(DemoError, match="status -15"):
        processes.run("program", [sys.executable, "-c", code], {})


def test_after_the_end_nothing_is_started() -> None:
    """A thread that was still starting things must not leave one behind."""
    with Processes() as processes:
        pass

    with pytest.raises(DemoError, match="ending"):
        processes.start("late", [sys.executable, "-c", ""], {})


def test_a_child_that_ends_is_noticed_with_what_it_said() -> None:
    """Its last lines, harmless for a terminal."""
    code = r"print('\x1b[31mfarewell')"
    with Processes() as processes:
        child = processes.start("child", [sys.executable, "-c", code], {})
        child.process.wait()

        assert processes.ended() is child
        assert child.tail() == "    \\x1b[31mfarewell"


def test_a_program_that_fails_is_reported_with_its_status() -> None:
    """And one that does not exist, with the reason."""
    with Processes() as processes:
        processes.run("good", [sys.executable, "-c", ""], {})
        with pytest.raises(DemoError, match=r"bad failed with status 3:\n    why"):
            processes.run("bad", [sys.executable, "-c", "print('why'); raise SystemExit(3)"], {})
        with pytest.raises(DemoError, match="absent cannot be started"):
            processes.run("absent", ["/no/such/program"], {})

        assert processes.ended() is None


def test_children_inherit_only_the_descriptors_they_are_given() -> None:
    """A listening socket is handed over by its number."""
    reading, writing = os.pipe()
    with Processes() as processes, os.fdopen(reading) as reader:
        code = f"import os; os.write({writing}, b'hello')"
        processes.run(
            "without",
            [
                sys.executable,
                "-c",
                f"import os; os.fstat(0)\ntry: os.fstat({writing})\nexcept OSError: pass\nelse: raise SystemExit(1)",
            ],
            {},
        )
        child = processes.start("with", [sys.executable, "-c", code], {}, keep_fds=[writing])
        os.close(writing)

        assert child.process.wait() == 0
        assert reader.read() == "hello"


def test_the_environment_of_children_is_the_users_without_what_leads_elsewhere(tmp_path: Path) -> None:
    """No OpenTelemetry variable of the user's, no proxy, no other database; relative paths still lead home."""
    environ = {
        "PATH": "/bin",
        "HOME": "/home/me",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "https://production",
        "TELLWHY_SAMPLE": "*=0",
        "PGHOST": "production",
        "HTTP_PROXY": "http://proxy",
        "no_proxy": "*",
        "FLASK_DEBUG": "1",
        "PYTHONPATH": f"src{os.pathsep}{tmp_path}",
    }

    assert clean_environ(environ) == {
        "PATH": "/bin",
        "HOME": "/home/me",
        "PYTHONPATH": f"{os.path.abspath('src')}{os.pathsep}{tmp_path}",
    }
