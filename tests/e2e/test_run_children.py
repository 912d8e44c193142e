# SPDX-License-Identifier: Apache-2.0
"""Are the processes that a wrapped program starts traced, named and left in peace as they should be?"""

from __future__ import annotations

import sys
from importlib.util import find_spec

import pytest

from support.otlp import OtlpReceiver
from support.program import Place, lines_of_others, lines_of_ours


@pytest.fixture
def engine() -> str:
    """The default one: nothing here depends on it."""
    return "lean"


SPAN = "from opentelemetry import trace; trace.get_tracer('child').start_span('child').end()"


def test_child_python_is_traced_and_silent(place: Place, receiver: OtlpReceiver) -> None:
    """A Python subprocess is traced under its own name and says nothing: its parent has."""
    place.copy("one_span.py")
    place.write("program.py", "import subprocess, sys\nsubprocess.run([sys.executable, 'one_span.py'], check=True)\n")

    done = place.wrapped("python", "program.py")

    (span,) = receiver.spans(count=1)
    assert span.service == "one_span"
    assert len(lines_of_ours(done.stderr)) == 1, done.stderr
    assert lines_of_others(done.stderr) == []


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_multiprocessing_child_is_traced_under_the_parents_name(
    place: Place, receiver: OtlpReceiver, method: str
) -> None:
    """A process of multiprocessing is part of its parent's service, with an instance id of its own."""
    place.write(
        "jobs.py",
        f"import multiprocessing\ndef work():\n    {SPAN}\n"
        f"    import tellwhy; tellwhy.flush()\n"
        f"if __name__ == '__main__':\n"
        f"    work()\n"
        f"    process = multiprocessing.get_context('{method}').Process(target=work)\n"
        f"    process.start(); process.join(); print(process.exitcode)\n",
    )

    done = place.wrapped("python", "-m", "jobs")

    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr
    spans = receiver.spans(count=2)
    assert {span.service for span in spans} == {"jobs"}
    assert len({span.resource["service.instance.id"] for span in spans}) == 2
    assert len(lines_of_ours(done.stderr)) == 1, done.stderr


def test_children_off_leaves_children_alone(place: Place, receiver: OtlpReceiver) -> None:
    """``TELLWHY_CHILDREN=off`` traces the program and none of the Python processes that it starts."""
    place.copy("one_span.py")
    place.write(
        "program.py",
        f"import subprocess, sys\n{SPAN}\n"
        "subprocess.run([sys.executable, 'one_span.py'], check=True)\n"
        "code = 'import sys; print([type(f).__module__ for f in sys.meta_path]); '\n"
        "code += 'import tellwhy.setup.tracing as t; print(t.current())'\n"
        "subprocess.run([sys.executable, '-c', code], check=True)\n",
    )

    done = place.wrapped("--children=off", "python", "program.py")

    assert done.returncode == 0, done.stderr
    assert "tellwhy" not in done.stdout
    assert done.stdout.endswith("\nNone\n")
    assert [span.name for span in receiver.spans()] == ["child"]


def test_children_off_in_the_projects_file(place: Place, receiver: OtlpReceiver) -> None:
    """A key of pyproject.toml does what the variable does."""
    place.copy("one_span.py")
    place.write("pyproject.toml", "[tool.tellwhy]\nchildren = 'off'\n")
    place.write("program.py", "import subprocess, sys\nsubprocess.run([sys.executable, 'one_span.py'], check=True)\n")

    assert place.wrapped("python", "program.py").returncode == 0
    assert receiver.spans() == []


def test_program_that_replaces_itself_stays_the_program(place: Place, receiver: OtlpReceiver) -> None:
    """A program that restarts itself by exec is still the program, not a child of it."""
    place.write(
        "program.py",
        "import os, sys\nif 'again' not in sys.argv: os.execv(sys.executable, ['python', 'program.py', 'again'])\n"
        + SPAN,
    )

    done = place.wrapped("--children=off", "python", "program.py")

    assert done.returncode == 0, done.stderr
    assert receiver.spans(count=1)


@pytest.mark.parametrize("flags", ["-I", "-S", "-E", "-sSE", "-Bb"])
def test_children_with_other_flags_run_as_they_do(bare: Place, flags: str) -> None:
    """Isolated interpreters, and those without ``site``, start from a wrapped program as from a bare one."""
    bare.copy("state.py")
    bare.write(
        "program.py",
        "import subprocess, sys\n"
        f"sys.exit(subprocess.run([sys.executable, '{flags}', '-c', 'import json; print(1)']).returncode)\n",
    )

    done = bare.wrapped("python", "program.py")

    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    assert lines_of_others(done.stderr) == []


def test_pip_is_not_disturbed(bare: Place) -> None:
    """A tool that a program starts, pip above all, imports nothing of OpenTelemetry's."""
    tool = "pip" if find_spec("pip") else "ensurepip"  # uv makes environments without pip
    bare.write(
        "program.py",
        "import subprocess, sys\n"
        f"sys.exit(subprocess.run([sys.executable, '-X', 'importtime', '-m', '{tool}', '--version']).returncode)\n",
    )

    done = bare.wrapped("python", "program.py")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("pip ")
    assert f" {tool}\n" in done.stderr
    assert "opentelemetry" not in done.stderr


def test_foreign_interpreter_is_not_disturbed(bare: Place) -> None:
    """A child in an interpreter without tellwhy starts as ever."""
    base = f"{sys.base_prefix}/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    bare.write(
        "program.py", f"import subprocess, sys\nsys.exit(subprocess.run(['{base}', '-c', 'print(1)']).returncode)\n"
    )

    done = bare.wrapped("python", "program.py")

    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    assert lines_of_others(done.stderr) == []


@pytest.mark.parametrize("inner", [["tellwhy", "run"], ["python", "-m", "tellwhy", "run", "--service-name=inner"]])
def test_wrapper_in_a_wrapper(place: Place, receiver: OtlpReceiver, inner: list[str]) -> None:
    """``tellwhy run tellwhy run`` traces once and says so once."""
    place.copy("one_span.py")

    done = place.wrapped(*inner, "python", "one_span.py")

    assert done.returncode == 0, done.stderr
    assert receiver.spans(count=1)
    assert len(lines_of_ours(done.stderr)) == 1, done.stderr
