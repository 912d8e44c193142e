# SPDX-License-Identifier: Apache-2.0
"""Does ``opentelemetry-instrument COMMAND`` do what ``tellwhy run COMMAND`` does?"""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest

from support.otlp import OtlpReceiver
from support.program import Place, lines_of_others, lines_of_ours


@pytest.fixture
def engine() -> str:
    """The default one: nothing here depends on it."""
    return "lean"


@pytest.mark.parametrize("group", ["opentelemetry_distro", "opentelemetry_configurator"])
def test_entry_point_is_registered(group: str) -> None:
    """Both entry points are named ``tellwhy`` and can be loaded."""
    (entry,) = [entry for entry in entry_points(group=group) if entry.name == "tellwhy"]

    assert callable(entry.load())


@pytest.mark.parametrize("command", [["python", "flask_app.py"], ["flask-app"]], ids=["python", "script"])
def test_program_is_traced(place: Place, receiver: OtlpReceiver, command: list[str]) -> None:
    """The same span, the same start line, the same exit status, and no word of warning."""
    place.copy("flask_app.py")
    source = (place.folder / "flask_app.py").read_text()
    place.write("bin/flask-app", f"#!/usr/bin/env python\n{source}", 0o755)
    place.environ["PATH"] = f"{place.folder}/bin:{place.environ['PATH']}"

    done = place.run("opentelemetry-instrument", *command, OTEL_SERVICE_NAME="shop")

    assert (done.returncode, done.stdout) == (0, "hello you\n"), done.stderr
    (span,) = receiver.spans(count=1, timeout=0.5)
    assert (span.name, span.kind, span.service) == ("GET /hello/<name>", "SERVER", "shop")
    assert lines_of_others(done.stderr) == []
    (line,) = lines_of_ours(done.stderr)
    assert line.startswith("tracing shop to ")


def test_flags_of_the_other_command_hold(place: Place, receiver: OtlpReceiver) -> None:
    """Its own flags are environment variables by another spelling, and are read as such."""
    place.copy("one_span.py")

    done = place.run(
        "opentelemetry-instrument", "--service_name=flagged", "--traces_sampler=always_off", "python", "one_span.py"
    )

    assert done.returncode == 0, done.stderr
    assert receiver.spans() == []
    assert "tracing flagged to" in done.stderr
    assert "sampler always_off" in done.stderr


def test_slip_is_said_once(place: Place, receiver: OtlpReceiver) -> None:
    """A wrong value is one line of ours, not a traceback of the other command's."""
    place.copy("one_span.py")

    done = place.run("opentelemetry-instrument", "python", "one_span.py", OTEL_TRACES_EXPORTER="consol,otlp")

    assert (done.returncode, lines_of_others(done.stderr)) == (0, []), done.stderr
    assert [line for line in lines_of_ours(done.stderr) if line.startswith("OTEL_TRACES_EXPORTER='consol,otlp': ")]
    assert receiver.spans(count=1, timeout=0.5)


def test_strict_refuses_to_start(place: Place) -> None:
    """``TELLWHY_STRICT=true`` holds here too: the program does not run."""
    done = place.run(
        "opentelemetry-instrument", "python", "-c", "print('ran')",
        TELLWHY_STRICT="true", OTEL_BSP_SCHEDULE_DELAY="soon",
    )  # fmt: skip

    assert (done.returncode, done.stdout) == (1, "")
    assert "not started, because TELLWHY_STRICT=true" in lines_of_ours(done.stderr)


def test_child_is_traced_and_silent(place: Place, receiver: OtlpReceiver) -> None:
    """Python children of the program are traced as well, and leave the start line to their parent."""
    place.copy("one_span.py")
    place.write("program.py", "import subprocess, sys\nsubprocess.run([sys.executable, 'one_span.py'], check=True)\n")

    done = place.run("opentelemetry-instrument", "python", "program.py")

    assert (done.returncode, lines_of_others(done.stderr)) == (0, []), done.stderr
    assert receiver.spans(count=1, timeout=0.5)[0].service == "one_span"
    assert len(lines_of_ours(done.stderr)) == 1, done.stderr
