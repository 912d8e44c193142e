# SPDX-License-Identifier: Apache-2.0
"""What does the command line of ``tellwhy run`` take, and what does it answer to a slip?"""

from __future__ import annotations

import sys

import pytest

from support.program import Place, lines_of_ours


@pytest.mark.parametrize(
    ("command", "status", "message"),
    [
        (["no-such-command"], 127, "command not found: no-such-command"),
        (["./no/such/file"], 127, "command not found: ./no/such/file"),
        (["no_such.py"], 127, "command not found: no_such.py; for a Python file: tellwhy run python no_such.py"),
        ([""], 127, "command not found: ''"),
        (["./plain.txt"], 126, "cannot be executed: ./plain.txt: Permission denied"),
        (
            ["./plain.py"],
            126,
            "cannot be executed: ./plain.py: Permission denied; for a Python file: tellwhy run python ./plain.py",
        ),
        (["./folder"], 126, "cannot be executed: ./folder: Permission denied"),
        (
            ["./orphan.sh"],
            127,
            "cannot be executed: ./orphan.sh: the interpreter in its first line is missing",
        ),
        ([], 2, "run what? tellwhy run python app.py"),
        (["--"], 2, "run what? tellwhy run python app.py"),
        (["--service-name", "x"], 2, "run what? tellwhy run python app.py"),
        (
            ["--trace-sampler=always_on", "python"],
            2,
            "no such flag: --trace-sampler (did you mean '--traces-sampler'?); see tellwhy run --help",
        ),
        (["-x", "python"], 2, "no such flag: -x; see tellwhy run --help"),
        (
            ["--traces-sampler=alway_on", "python"],
            2,
            "--traces-sampler='alway_on': expected one of always_on, always_off, traceidratio, "
            "parentbased_always_on, parentbased_always_off, parentbased_traceidratio (did you mean 'always_on'?); "
            "see tellwhy run --help",
        ),
        (
            ["--exporter-otlp-timeout=10s", "python"],
            2,
            "--exporter-otlp-timeout='10s': expected a whole number of milliseconds, 1 or more; see tellwhy run --help",
        ),
        (["--service-name"], 2, "--service-name needs a value; see tellwhy run --help"),
    ],
)
def test_slip_is_answered_in_one_line(bare: Place, command: list[str], status: int, message: str) -> None:
    """A command that cannot run has the shell's status, a wrong flag has 2; one line says what to type."""
    bare.write("plain.txt", "text")
    bare.write("plain.py", "print(1)")
    bare.write("orphan.sh", "#!/no/such/interpreter\n", 0o755)
    (bare.folder / "folder").mkdir()

    done = bare.wrapped(*command)

    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr == f"tellwhy: {message}\n"


def test_flags_stand_before_the_command_only(bare: Place) -> None:
    """What follows the command is the command's, whatever it looks like; ``--`` goes to it too."""
    code = "import sys; print(sys.argv[1:])"
    words = ["--service-name=mine", "--help", "--", "-m"]

    done = bare.wrapped("--service-name=ours", "python", "-c", code, *words)

    assert done.stdout == f"{words}\n", done.stderr
    assert "tracing ours" in done.stderr


def test_flags_in_every_spelling(bare: Place) -> None:
    """``--flag=value``, ``--flag value``, and a switch without a value before the command."""
    done = bare.wrapped("--service-name", "shop", "--diagnostics=debug", "--strict", "--", "python", "-c", "pass")

    assert done.returncode == 0
    assert any(line.startswith("tracing shop ") for line in lines_of_ours(done.stderr)), done.stderr


def test_flag_wins_over_the_environment(bare: Place) -> None:
    """Precedence: default < pyproject.toml < environment < flag; an empty variable is unset."""
    command = ["python", "-c", "pass"]
    assert "tracing unknown_service:python to" in bare.wrapped(*command).stderr
    bare.write("pyproject.toml", "[tool.tellwhy]\nservice-name = 'from-file'\n")
    assert "tracing from-file to" in bare.wrapped(*command).stderr
    assert "tracing from-file to" in bare.wrapped(*command, OTEL_SERVICE_NAME="").stderr
    bare.environ["OTEL_SERVICE_NAME"] = "from-environment"
    assert "tracing from-environment to" in bare.wrapped(*command).stderr
    assert "tracing from-flag to" in bare.wrapped("--service-name=from-flag", *command).stderr


def test_secret_in_a_wrong_flag_is_not_shown(bare: Place) -> None:
    """A header without a name is refused without its value."""
    done = bare.wrapped("--exporter-otlp-headers=s3cr3t", "python")

    assert done.returncode == 2
    assert "s3cr3t" not in done.stdout + done.stderr
    assert "--exporter-otlp-headers=****" in done.stderr


def test_help_lists_every_setting(bare: Place) -> None:
    """``--help`` shows each flag with its variable and its meaning."""
    from tellwhy.settings import ROWS

    done = bare.wrapped("--help")

    assert done.returncode == 0
    for row in ROWS.values():
        assert f"--{row.key}\n" in done.stdout
        assert f"{row.help} [{row.variable}]" in done.stdout


@pytest.mark.parametrize("launcher", [["tellwhy"], [sys.executable, "-m", "tellwhy"]], ids=["script", "module"])
def test_commands_of_tellwhy(bare: Place, launcher: list[str]) -> None:
    """``tellwhy`` and ``python -m tellwhy`` are one command: version, usage, and an answer to a slip."""
    version = bare.run(*launcher, "--version")
    usage = bare.run(*launcher)
    slip = bare.run(*launcher, "rum", "python")
    works = bare.run(*launcher, "run", "python", "-c", "print(1)")

    assert (version.returncode, version.stdout.split()[0]) == (0, "tellwhy")
    assert (usage.returncode, usage.stdout.splitlines()[0]) == (0, "usage: tellwhy COMMAND …")
    assert (slip.returncode, slip.stderr.splitlines()[0]) == (2, "tellwhy: no such command: rum (did you mean 'run'?)")
    assert (works.returncode, works.stdout) == (0, "1\n")


def test_interpreter_without_tellwhy_is_said(bare: Place) -> None:
    """A Python that would not trace is run all the same, and one line says why nothing will arrive."""
    base = f"{sys.base_prefix}/bin/python{sys.version_info.major}.{sys.version_info.minor}"

    done = bare.wrapped(base, "-c", "import sys; print(sys.prefix == sys.base_prefix)")

    assert (done.returncode, done.stdout) == (0, "True\n")
    (line,) = lines_of_ours(done.stderr)
    assert line.startswith(f"{base} has no tellwhy installed, so the program runs untraced")
