# SPDX-License-Identifier: Apache-2.0
"""Is a wrapped program the same program? Exit status, signals, streams, and all that it can see of itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import pytest

from support.program import Place, lines_of_others, lines_of_ours

EXITS = {
    "zero": "pass",
    "three": "raise SystemExit(3)",
    "text": "import sys; sys.exit('no such order')",
    "none": "import sys; sys.exit(None)",
    "exception": "1 / 0",
    "os._exit": "import os; os._exit(7)",
    "exception in atexit": "import atexit; atexit.register(divmod, 1, 0)",
    "killed": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "terminated": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    "interrupted": "import os, signal; os.kill(os.getpid(), signal.SIGINT)",
    "aborted": "import os; os.abort()",
    "pipe": "import os, signal; signal.signal(signal.SIGPIPE, signal.SIG_DFL); os.kill(os.getpid(), signal.SIGPIPE)",
}


@pytest.mark.parametrize("code", EXITS.values(), ids=EXITS.keys())
def test_exit_status_is_the_programs(bare: Place, code: str) -> None:
    """Every way to end has the bare run's status and leaves the bare run's words, ours aside."""
    bare.write("program.py", f"print('started', flush=True)\n{code}\n")

    expected = bare.run("python", "program.py")
    actual = bare.wrapped("python", "program.py")

    assert actual.returncode == expected.returncode
    assert actual.stdout == expected.stdout
    assert lines_of_others(actual.stderr) == lines_of_others(expected.stderr)
    assert len(lines_of_ours(actual.stderr)) == 1


def test_exit_status_is_the_programs_with_spans(place: Place) -> None:
    """The same when there is something to deliver at exit: an exception stays an exception, a text a text."""
    spans = "from opentelemetry import trace\ntrace.get_tracer('t').start_span('work').end()\n"
    for code in (EXITS["text"], EXITS["exception"], EXITS["three"], EXITS["interrupted"], EXITS["terminated"]):
        place.write("program.py", f"{spans}{code}\n")

        expected = place.run("python", "program.py")
        actual = place.wrapped("python", "program.py")

        assert actual.returncode == expected.returncode
        assert lines_of_others(actual.stderr) == lines_of_others(expected.stderr)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_signal_reaches_the_program(bare: Place, number: signal.Signals) -> None:
    """A signal to the process that was started is the program's own: same end, no process in between."""
    bare.write("program.py", "import time\nprint('ready', flush=True)\ntime.sleep(60)\n")
    ends = []

    for command in (["python", "program.py"], ["tellwhy", "run", "python", "program.py"]):
        with bare.start(*command) as running:
            running.wait_for("ready")
            ends.append(running.stop(number))

    expected, actual = ends
    assert actual.returncode == expected.returncode
    assert lines_of_others(actual.stderr) == lines_of_others(expected.stderr)


def test_programs_own_signal_handler_answers(bare: Place) -> None:
    """A handler that the program sets is the one that runs, once, and decides on the status."""
    bare.write(
        "program.py",
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('bye', flush=True), sys.exit(9)))\n"
        "print('ready', flush=True)\ntime.sleep(60)\n",
    )

    with bare.start("tellwhy", "run", "python", "program.py") as running:
        running.wait_for("ready")
        done = running.stop(signal.SIGTERM)

    assert (done.returncode, done.stdout) == (9, "ready\nbye\n"), done.stderr


def test_process_is_replaced(bare: Place) -> None:
    """The program has the process id of the command that was typed, and its parent."""
    bare.write("program.py", "import os\nprint(os.getpid(), os.getppid())\n")

    with bare.start("tellwhy", "run", "python", "program.py") as running:
        done = running.finish()

    assert done.stdout.split() == [str(running.process.pid), str(os.getpid())]


def test_bytes_pass_through(bare: Place) -> None:
    """Stdin and stdout carry every byte, also the ones that are no text."""
    bare.write("program.py", "import shutil, sys\nshutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer)\n")
    data = bytes(range(256)) * 4096
    (bare.folder / "data").write_bytes(data)

    with (bare.folder / "data").open("rb") as stdin:
        done = subprocess.run(
            ["tellwhy", "run", "python", "program.py"], stdin=stdin, capture_output=True, cwd=bare.folder,
            env=bare.environ, timeout=60, check=False,
        )  # fmt: skip

    assert done.returncode == 0
    assert done.stdout == data


def test_terminal_is_the_programs(bare: Place) -> None:
    """On a terminal the program sees a terminal, and Ctrl-C on it interrupts the program."""
    code = "import os, sys, time\nprint([os.isatty(n) for n in range(3)], flush=True)\ntime.sleep(60)\n"
    bare.write("program.py", code)
    terminal, side = os.openpty()
    name = os.ttyname(side)
    # The first terminal that a session's leader opens is the one whose Ctrl-C it gets.
    command = f"exec tellwhy run python program.py <{name} >{name} 2>&1"
    with bare.start("sh", "-c", command) as running:
        seen = _read_until(terminal, b"]")
        os.write(terminal, b"\x03")
        seen += _read_until(terminal, b"KeyboardInterrupt")
        done = running.finish()
    os.close(side)
    os.close(terminal)

    assert b"[True, True, True]" in seen
    assert done.returncode == -signal.SIGINT


def _read_until(terminal: int, mark: bytes) -> bytes:
    seen = b""
    deadline = time.monotonic() + 20
    while mark not in seen and time.monotonic() < deadline:
        seen += os.read(terminal, 4096)
    return seen


@pytest.mark.parametrize(
    "command",
    [
        ["python", "state.py", "-v", "--", "a b"],
        ["python", "-m", "state"],
        ["python", "-X", "dev", "-W", "error", "-O", "-u", "state.py"],
        ["python", "-B", "-I", "state.py"],
        ["python", "-E", "-s", "state.py"],
        ["python", "-S", "state.py"],
    ],
    ids=["script", "module", "developer", "isolated", "no environment", "no site"],
)
def test_program_sees_itself_unchanged(bare: Place, command: list[str]) -> None:
    """One variable and one finder are all that is there more than in the bare run."""
    bare.copy("state.py")
    expected = json.loads(bare.run(*command).stdout)

    actual = json.loads(bare.wrapped(*command).stdout)

    assert actual["environ"].pop("TELLWHY_RUN")
    if "-S" not in command:
        assert actual["meta path"].pop(0) == "_Finder"
    assert actual == expected


def test_program_sees_itself_unchanged_with_spans(place: Place) -> None:
    """
    After a span was made and delivered, root logger, hooks, path, environment and signals are as before.

    But for SIGTERM, where nobody had a handler: it delivers what is open, and then the process dies of it as ever.
    """
    place.copy("state.py")
    place.write(
        "program.py",
        "from opentelemetry import trace\n"
        "with trace.get_tracer('t').start_as_current_span('work'): pass\n"
        "import tellwhy; tellwhy.flush()\n"
        "import runpy; runpy.run_path('state.py')\n",
    )
    expected = json.loads(place.run("python", "program.py").stdout)

    actual = json.loads(place.wrapped("python", "program.py").stdout)

    assert actual["environ"].pop("TELLWHY_RUN")
    del actual["signal handlers"]["SIGTERM"], expected["signal handlers"]["SIGTERM"]
    same = ("environ", "path", "argv", "flags", "root logger", "signal handlers", "hooks", "threading hook",
            "trace functions", "path hooks", "customized", "umask", "cwd", "blocked signals")  # fmt: skip
    assert {name: actual[name] for name in same} == {name: expected[name] for name in same}


def test_users_sitecustomize_and_usercustomize_run(bare: Place) -> None:
    """What the user runs at the start of every interpreter still runs, once, and nothing is shadowed."""
    bare.write("site/sitecustomize.py", "print('sitecustomize')\n")
    bare.write("site/usercustomize.py", "print('usercustomize')\n")
    bare.environ["PYTHONPATH"] = str(bare.folder / "site")
    command = ["python", "-c", "import sys; print(sys.modules['sitecustomize'].__file__)"]
    expected = bare.run(*command)

    actual = bare.wrapped(*command)

    assert actual.stdout == expected.stdout
    assert "sitecustomize" in actual.stdout


def test_closed_streams_are_no_problem(bare: Place) -> None:
    """A program started without stderr or stdin (a daemon) runs as it does bare."""
    bare.write("start.sh", "exec tellwhy run python -c 'print(1)' 2>&- <&-\n")

    done = bare.run("sh", "start.sh")

    assert (done.returncode, done.stdout) == (0, "1\n")


def test_deleted_working_directory_is_no_problem(bare: Place) -> None:
    """A program started in a folder that is gone runs as it does bare."""
    bare.write("start.sh", "mkdir gone; cd gone; rmdir ../gone; exec tellwhy run python -c 'print(1)'\n")

    done = bare.run("sh", "start.sh")

    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    assert len(lines_of_ours(done.stderr)) == 1, done.stderr


def test_debugger_works(bare: Place) -> None:
    """``pdb`` under the wrapper steps through the program and reads its commands from stdin."""
    bare.write("program.py", "x = 41\nx += 1\nprint('x is', x)\n")

    done = bare.wrapped("python", "-m", "pdb", "program.py", input="next\nnext\np x\ncontinue\nquit\n")

    assert "(Pdb) 42" in done.stdout
    assert "x is 42" in done.stdout
