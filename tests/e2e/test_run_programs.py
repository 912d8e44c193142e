# SPDX-License-Identifier: Apache-2.0
"""Is a program with no line of tracing traced by ``tellwhy run``, however it is started?"""

from __future__ import annotations

import sys

import pytest

from support.otlp import OtlpReceiver
from support.program import Place, lines_of_others, lines_of_ours


@pytest.fixture
def engine() -> str:
    """The default one: nothing here depends on it."""
    return "lean"


@pytest.mark.parametrize(
    "command",
    [
        ["python", "flask_app.py", "ann"],
        ["python", "-m", "flask_app", "ann"],
        ["-m", "flask_app", "ann"],
        ["--", "python", "flask_app.py", "ann"],
        [sys.executable, "-X", "utf8", "./flask_app.py", "ann"],
    ],
    ids=["script", "module", "-m", "dashes", "path and options"],
)
def test_python_program_is_traced(place: Place, receiver: OtlpReceiver, command: list[str]) -> None:
    """A Flask program makes a server span with its route and status; its output is what it was."""
    place.copy("flask_app.py")

    done = place.wrapped(*command)

    assert (done.returncode, done.stdout) == (0, "hello ann\n"), done.stderr
    (span,) = receiver.spans(count=1)
    assert (span.name, span.kind, span.parent_span_id) == ("GET /hello/<name>", "SERVER", "")
    assert span.attributes["http.route"] == "/hello/<name>"
    assert span.attributes["http.response.status_code"] == 200
    assert span.service == "flask_app"
    assert len(lines_of_ours(done.stderr)) == 1, done.stderr
    assert lines_of_others(done.stderr) == []


def test_package_is_traced_by_its_name(place: Place, receiver: OtlpReceiver) -> None:
    """``python -m shop`` is the service ``shop``."""
    place.copy("shop")

    done = place.wrapped("python", "-m", "shop")

    assert (done.returncode, done.stdout) == (0, "open\n"), done.stderr
    (span,) = receiver.spans(count=1)
    assert (span.name, span.service) == ("GET /", "shop")


def test_console_script_is_traced(place: Place, receiver: OtlpReceiver) -> None:
    """Any executable file whose first line names this Python is traced, found on PATH too."""
    place.copy("flask_app.py")
    place.write(
        "bin/greet", f"#!{sys.executable}\nimport runpy; runpy.run_path('flask_app.py', None, '__main__')\n", 0o755
    )

    done = place.wrapped("greet", PATH=f"{place.folder}/bin:{place.environ['PATH']}")

    assert (done.returncode, done.stdout) == (0, "hello you\n"), done.stderr
    assert receiver.spans(count=1)[0].service == "greet"


@pytest.mark.parametrize("first_line", ["#!/bin/sh", "# no interpreter: the shell's"], ids=["shebang", "no shebang"])
def test_shell_script_that_starts_python_is_traced(place: Place, receiver: OtlpReceiver, first_line: str) -> None:
    """The first Python below a shell script is the program: it is traced and says so."""
    place.copy("flask_app.py")
    place.write("start.sh", f"{first_line}\npython flask_app.py $1\nexit 5\n", 0o755)

    done = place.wrapped("./start.sh", "bob", TELLWHY_CHILDREN="off")

    assert (done.returncode, done.stdout) == (5, "hello bob\n"), done.stderr
    assert receiver.spans(count=1)[0].service == "flask_app"
    assert len(lines_of_ours(done.stderr)) == 1, done.stderr


def test_folder_with_spaces(place: Place, receiver: OtlpReceiver) -> None:
    """Blanks, quotes and dollars in paths and arguments stay what they are."""
    place.copy("flask_app.py")
    folder = place.folder / "my $HOME 'app'"
    folder.mkdir()
    (place.folder / "flask_app.py").rename(folder / "my app.py")

    done = place.wrapped("python", str(folder / "my app.py"), 'a "b" $c')

    assert (done.returncode, done.stdout) == (0, 'hello a "b" $c\n'), done.stderr
    assert receiver.spans(count=1)[0].service == "my app"


def test_inferred_name_is_said(place: Place) -> None:
    """The start line names the service, where the name is from, the endpoint and the sampler."""
    place.copy("one_span.py")

    (line,) = lines_of_ours(place.wrapped("python", "one_span.py").stderr)

    endpoint = place.environ["OTEL_EXPORTER_OTLP_ENDPOINT"]
    assert line == (
        f"tracing one_span (named after the program) to {endpoint}/v1/traces (http/protobuf), "
        "sampler parentbased_always_on"
    )


def test_quiet_says_nothing(place: Place, receiver: OtlpReceiver) -> None:
    """``TELLWHY_DIAGNOSTICS=quiet`` leaves stderr to the program."""
    place.copy("one_span.py")

    done = place.wrapped("--diagnostics", "quiet", "python", "one_span.py")

    assert (done.returncode, done.stderr) == (0, "")
    assert receiver.spans(count=1)


def test_program_without_a_traced_library_loads_no_opentelemetry(place: Place, receiver: OtlpReceiver) -> None:
    """What needs no span pays for none: neither OpenTelemetry's API nor its SDK is imported."""
    code = "import json, logging, sys; print(sorted(name for name in sys.modules if name.startswith('opentelemetry')))"

    done = place.wrapped("python", "-c", code)

    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
    assert receiver.spans() == []


def test_receiver_that_is_down_costs_no_more_than_the_exit_budget(place: Place) -> None:
    """Without a receiver the program ends with its own status, within the budget of exit."""
    place.copy("one_span.py")
    place.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:9"

    done = place.wrapped("python", "one_span.py", TELLWHY_EXIT_BUDGET="500", timeout=10)

    assert done.returncode == 0, done.stderr


def test_pytest_with_warnings_as_errors(place: Place) -> None:
    """Our own plugin's package is there before pytest, which is told not to mind; warnings are errors in many a project."""
    place.write("pytest.ini", "[pytest]\nfilterwarnings = error\n")
    place.write("test_one.py", "def test_one():\n    assert 1 + 1 == 2\n")

    done = place.wrapped("python", "-m", "pytest", "-q", "-p", "no:cacheprovider")

    assert (done.returncode, "1 passed" in done.stdout) == (0, True), done.stdout + done.stderr
