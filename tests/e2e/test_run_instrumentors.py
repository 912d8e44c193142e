# SPDX-License-Identifier: Apache-2.0
"""Is every installed instrumentor used, and what does a bad one do to the others? Nothing."""

from __future__ import annotations

import pytest

from support.otlp import OtlpReceiver
from support.program import Place, lines_of_others, lines_of_ours


@pytest.fixture
def engine() -> str:
    """The default one: nothing here depends on it."""
    return "lean"


INSTRUMENTOR = """\
from opentelemetry import trace
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

class Instrumentor(BaseInstrumentor):
    def instrumentation_dependencies(self):
        return {dependencies!r}
    def _instrument(self, **kwargs):
        {body}
    def _uninstrument(self, **kwargs):
        pass
"""
TRACES = "trace.get_tracer('fake').start_span('instrumented').end()"


def _install(place: Place, name: str, body: str = TRACES, dependencies: tuple[str, ...] = (), module: str = "") -> None:
    """Put a distribution with one instrumentor, and the library of its name, onto PYTHONPATH."""
    distribution = f"packages/opentelemetry_instrumentation_{name}-1.0.dist-info"
    target = module or f"{name}_instrumentor:Instrumentor"
    place.write(
        f"{distribution}/METADATA", f"Metadata-Version: 2.1\nName: opentelemetry-instrumentation-{name}\nVersion: 1.0\n"
    )
    place.write(f"{distribution}/entry_points.txt", f"[opentelemetry_instrumentor]\n{name} = {target}\n")
    place.write(f"packages/{name}_instrumentor.py", INSTRUMENTOR.format(dependencies=list(dependencies), body=body))
    place.write(f"packages/{name}/__init__.py", "")
    place.environ["PYTHONPATH"] = str(place.folder / "packages")


def test_any_installed_instrumentor_is_used(place: Place, receiver: OtlpReceiver) -> None:
    """Whatever registers under the group is applied when its library is imported, and not before."""
    _install(place, "gadget")
    place.write("program.py", "import sys\nassert 'gadget_instrumentor' not in sys.modules\nimport gadget\n")

    done = place.wrapped("python", "program.py")
    without = place.wrapped("python", "-c", "import sys; assert 'gadget_instrumentor' not in sys.modules")

    assert (done.returncode, without.returncode) == (0, 0), done.stderr + without.stderr
    assert [span.name for span in receiver.spans(count=1, timeout=0.5)] == ["instrumented"]


@pytest.mark.parametrize(
    ("body", "dependencies", "module", "line"),
    [
        ("raise ValueError('no gears')", (), "", "broken is not instrumented: ValueError: no gears"),
        ("raise SystemExit(9)", (), "", "broken is not instrumented: SystemExit: 9"),
        (TRACES, ("flask >= 99",), "", "broken is not instrumented: DependencyConflictError: "),
        (TRACES, (), "broken_instrumentor:Nothing", "broken is not instrumented: AttributeError: "),
        (TRACES, (), "no_such_module:Instrumentor", None),
    ],
    ids=["raises", "exits", "other version", "no class", "no module"],
)
def test_broken_instrumentor_is_skipped(
    place: Place, receiver: OtlpReceiver, body: str, dependencies: tuple[str, ...], module: str, line: str | None
) -> None:
    """It is left out with a line that says why; the library works, the next instrumentor is applied."""
    _install(place, "broken", body, dependencies, module)
    _install(place, "gadget")
    place.copy("flask_app.py")
    place.write("program.py", "import broken, gadget, runpy\nrunpy.run_path('flask_app.py', None, '__main__')\n")

    done = place.wrapped("python", "program.py")

    assert (done.returncode, done.stdout) == (0, "hello you\n"), done.stderr
    assert [span.name for span in receiver.spans(count=2, timeout=0.5)] == ["instrumented", "GET /hello/<name>"]
    told = lines_of_ours(done.stderr)[1:]
    assert [text[: len(line)] for text in told] == [line] if line else told == []
    assert lines_of_others(done.stderr) == []


def test_reason_of_a_missing_part_is_told_on_request(place: Place) -> None:
    """``TELLWHY_DIAGNOSTICS=debug`` says also what is no fault: a part of a library that is not there."""
    _install(place, "broken", module="no_such_module:Instrumentor")

    done = place.wrapped("--diagnostics=debug", "python", "-c", "import broken")

    assert "broken is not instrumented: No module named 'no_such_module'" in lines_of_ours(done.stderr)


def test_library_that_fails_to_import_fails_as_ever(place: Place, receiver: OtlpReceiver) -> None:
    """An ImportError inside a waited-for library is the program's to handle, and it may try again."""
    _install(place, "gadget")
    place.write(
        "packages/gadget/__init__.py", "import os\nif 'READY' not in os.environ: raise ImportError('not yet')\n"
    )
    place.write(
        "program.py",
        "import os\ntry:\n    import gadget\nexcept ImportError as error:\n    print(error)\n"
        "os.environ['READY'] = '1'\nimport gadget\n"
        "print(type(gadget.__loader__).__name__, gadget.__spec__.loader is gadget.__loader__)\n",
    )

    done = place.wrapped("python", "program.py")

    assert (done.returncode, done.stdout) == (0, "not yet\nSourceFileLoader True\n"), done.stderr
    assert receiver.spans(count=1, timeout=0.5)


def test_instrumentor_applied_by_the_program_is_respected(place: Place) -> None:
    """A library that the program has instrumented itself is not instrumented again, and nothing is said."""
    _install(place, "gadget", "print('instrumented')")
    place.write(
        "program.py",
        "from gadget_instrumentor import Instrumentor\n"
        "Instrumentor().instrument()\nimport tellwhy; tellwhy.setup_tracing()\nimport gadget\n",
    )

    done = place.run("python", "program.py")

    assert (done.returncode, done.stdout) == (0, "instrumented\n"), done.stderr
    assert lines_of_others(done.stderr) == []
