# SPDX-License-Identifier: Apache-2.0
"""Is the public face what was promised: these names, documented, and nothing that happens by importing them?"""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from importlib.metadata import entry_points, requires, version
from pathlib import Path

import pytest

import tellwhy

PROMISED = [
    "ConfigurationError", "DecorationError", "SpanAttr", "TellwhyError", "Tracing", "__version__", "annotate",
    "annotate_root", "current_span_id", "current_trace_id", "event", "fail", "flush", "logs", "setup_tracing",
    "shutdown", "span", "stats", "suppressed", "testing", "traced", "untraced",
]  # fmt: skip

DROP_INS = {
    "tellwhy.engine": ["TracerProvider"],
    "tellwhy.delivery": ["BatchSpanProcessor", "OTLPSpanExporter"],
    "tellwhy.patchers": ["FlaskInstrumentor", "RequestsInstrumentor", "Psycopg2Instrumentor", "RedisInstrumentor"],
    "tellwhy.logs": ["JsonFormatter", "add_trace_context", "patch_loguru"],
    "tellwhy.testing": ["capture_spans"],
}


def test_names_are_the_promised_ones() -> None:
    """``__all__``, ``dir()`` and the promise are one list, sorted."""
    assert tellwhy.__all__ == sorted(tellwhy.__all__)
    assert sorted(tellwhy.__all__) == sorted(PROMISED)
    assert sorted(dir(tellwhy)) == sorted(PROMISED)


@pytest.mark.parametrize("name", PROMISED)
def test_name_is_there_and_documented(name: str) -> None:
    """Each name resolves, always to the same object, and says what it is."""
    found = getattr(tellwhy, name)

    assert getattr(tellwhy, name) is found
    if name != "__version__":
        assert (inspect.getdoc(found) or "").strip()


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in DROP_INS.items() for name in names])
def test_name_for_those_who_compose_is_there(module: str, name: str) -> None:
    """The classes that stand in for OpenTelemetry's have its names, and a docstring."""
    found = getattr(importlib.import_module(module), name)

    assert (inspect.getdoc(found) or "").strip()


def test_unknown_name() -> None:
    """What is not there fails as an attribute fails."""
    with pytest.raises(AttributeError, match="module 'tellwhy' has no attribute 'no_such_name'"):
        tellwhy.no_such_name  # type: ignore[attr-defined]


def test_version_is_the_distributions() -> None:
    """One version, in one place."""
    assert tellwhy.__version__ == version("tellwhy")


def test_exceptions_are_what_callers_already_catch() -> None:
    """One root; each has a built-in second base."""
    assert issubclass(tellwhy.ConfigurationError, tellwhy.TellwhyError)
    assert issubclass(tellwhy.ConfigurationError, ValueError)
    assert issubclass(tellwhy.DecorationError, tellwhy.TellwhyError)
    assert issubclass(tellwhy.DecorationError, TypeError)


def test_face_works_without_a_set_up(tmp_path: Path) -> None:
    """Every function can be called in a program that never set tracing up, and does nothing."""
    program = (
        "import tellwhy\n"
        "assert tellwhy.flush() is True and tellwhy.stats() == {} and tellwhy.shutdown() is None\n"
        "assert tellwhy.current_trace_id() is None and tellwhy.current_span_id() is None\n"
        "with tellwhy.span('work', n=1): tellwhy.annotate({'a': 1}); tellwhy.event('e'); tellwhy.fail('no')\n"
        "tellwhy.annotate_root({'a': 1})\n"
        "assert tellwhy.traced(lambda x: x + 1)(1) == 2\n"
        "with tellwhy.suppressed(): pass\n"
        "print('fine')\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path
    )

    assert (done.stdout, done.stderr) == ("fine\n", "")


@pytest.mark.parametrize(
    ("group", "name", "target"),
    [
        ("opentelemetry_distro", "tellwhy", "tellwhy.bootstrap.instrument:Distro"),
        ("opentelemetry_configurator", "tellwhy", "tellwhy.bootstrap.instrument:Configurator"),
        ("pytest11", "tellwhy", "tellwhy.testing"),
    ],
)
def test_entry_point_leads_somewhere(group: str, name: str, target: str) -> None:
    """Each registered entry point can be loaded."""
    (entry,) = [entry for entry in entry_points(group=group) if entry.value.startswith(target)]

    assert entry.name == name
    assert entry.load()


def test_command_is_installed() -> None:
    """``tellwhy`` is a script beside the interpreter, and answers."""
    command = Path(sys.executable).parent / "tellwhy"

    done = subprocess.run([command, "--version"], capture_output=True, text=True, timeout=60, check=False)

    assert (done.stdout, done.stderr) == (f"tellwhy {tellwhy.__version__}\n", "")


def test_extra_all_is_all_of_them() -> None:
    """Whatever an extra of one library brings, ``tellwhy[all]`` brings too."""
    extras: dict[str, set[str]] = {}
    for line in requires("tellwhy") or ():
        package, marker, extra = line.partition("; extra == ")
        if marker:
            extras.setdefault(extra.strip("'\""), set()).add(package)

    single = set().union(*(packages for name, packages in extras.items() if name not in ("all", "demo")))

    assert {"django", "fastapi", "sqlalchemy", "celery", "httpx"} <= extras.keys()
    assert single == extras["all"]


def test_typed() -> None:
    """The package says that it carries types."""
    assert (Path(tellwhy.__file__).parent / "py.typed").exists()
