# SPDX-License-Identifier: Apache-2.0
"""When is a library patched, by whom, and what does it cost: in real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tellwhy import imports
from tellwhy.patchers import records, table
from tellwhy.settings import load

PREPARE = """
import sys, json
from tellwhy.engine import active
from tellwhy import imports
from tellwhy.patchers import contrib, records, table
from tellwhy.settings import load
import os

class Recorder:
    spans = []
    def on_end(self, span): Recorder.spans.append(span)
    def on_start(self, span, parent_context=None): pass
    def _on_ending(self, span): pass
    def shutdown(self): pass
    def force_flush(self, timeout_millis=0): return True

made = None

def provider():
    global made
    import opentelemetry.trace  # calls back here
    if made is not None:
        return made
    from tellwhy.engine import TracerProvider
    made = TracerProvider.lean({"service.name": "t"})
    made.add_span_processor(Recorder())
    from opentelemetry import trace
    trace._set_tracer_provider(made, log=False)
    return made

def setup():
    settings, _ = load(os.environ, pyproject={}, overrides={})
    active.prepare(provider)
    if made is None:
        imports.when_imported("opentelemetry.trace", lambda module: provider())
    contrib.install(settings, ours=table.install(settings))

def visit(app, path="/hello/bob"):
    return app.test_client().get(path).status_code

def names():
    return [span.name for span in Recorder.spans]
"""
APP = """
from flask import Flask
app = Flask("shop")

@app.get("/hello/<name>")
def hello(name):
    return name
"""


def run(*lines: str, **environ: str) -> Any:
    """Run a program and return what it printed last, as JSON."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "TELLWHY_"))}
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", "\n".join((PREPARE, *lines))],
        env={"TELLWHY_INSTRUMENT": "flask", **clean, **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    return (result, done.stderr) if isinstance(result, list) else result


@pytest.mark.parametrize("place", ["first", "between", "last"])
def test_setup_may_stand_anywhere(place: str) -> None:
    """Before the import, after ``from flask import Flask``, after the application (contrib#1921)."""
    before, after = APP.split("app = ", 1)
    lines = {"first": ["setup()", APP], "between": [before, "setup()", "app = " + after], "last": [APP, "setup()"]}

    found, errors = run(*lines[place], "visit(app)", "print(json.dumps(names()))")

    assert (found, errors) == (["GET /hello/<name>"], "")


def test_nothing_heavy_is_loaded_before_the_first_span() -> None:
    """An application that imports these libraries does not load OpenTelemetry for that; redis-py does so itself."""
    (loaded, states), _ = run(
        "setup()",
        "import flask, requests, psycopg2",
        "loaded = sorted(m for m in sys.modules if m.startswith('opentelemetry'))",
        "import redis",
        "print(json.dumps([loaded, {r.name: r.state for r in records.all_records() if r.name in table.OURS}]))",
        # OpenTelemetry's instrumentors of other libraries, which these four import, would load it.
        TELLWHY_INSTRUMENT="flask,requests,psycopg2,redis",
    )

    assert loaded == []
    assert dict.fromkeys(table.OURS, "instrumented") == states


def test_the_stable_names_are_the_default_of_the_setup() -> None:
    """``OTEL_SEMCONV_STABILITY_OPT_IN`` unset means stable; ``none`` the old names."""
    show = "visit(app); print(json.dumps(sorted(Recorder.spans[0].attributes)))"
    stable, _ = run("setup()", APP, show)
    old, _ = run("setup()", APP, show, OTEL_SEMCONV_STABILITY_OPT_IN="none")

    assert ("http.request.method" in stable, "http.method" in stable) == (True, False)
    assert ("http.request.method" in old, "http.method" in old) == (False, True)


@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        ({"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "flask"}, "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS names it"),
        ({"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "*"}, "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS names it"),
        ({"TELLWHY_INSTRUMENT": "redis"}, "TELLWHY_INSTRUMENT does not name it"),
    ],
)
def test_a_library_can_be_left_out(environ: dict[str, str], reason: str) -> None:
    """It is not traced, by nobody, and the record says why."""
    found, _ = run(
        "setup()",
        APP,
        "visit(app)",
        "flask_record = [r for r in records.all_records() if r.name == 'flask'][0]",
        "print(json.dumps([names(), flask_record.state, flask_record.reason]))",
        **environ,
    )

    assert [[], "skipped", reason] == found


def test_contribs_instrumentation_can_be_picked_for_one_library() -> None:
    """``TELLWHY_INSTRUMENT=flask:contrib``: OpenTelemetry's own makes the spans, once."""
    found, _ = run(
        "setup()",
        APP,
        "visit(app)",
        "print(json.dumps([s.instrumentation_scope.name for s in Recorder.spans]))",
        TELLWHY_INSTRUMENT="flask:contrib",
    )

    assert found == ["opentelemetry.instrumentation.flask"]


@pytest.mark.parametrize("order", ["setup first", "contrib imported first"])
def test_a_programs_own_call_of_contrib_is_ours(order: str) -> None:
    """``FlaskInstrumentor().instrument(request_hook=…)`` and ``instrument_app`` work, once, without a warning."""
    theirs = "from opentelemetry.instrumentation.flask import FlaskInstrumentor"
    found, errors = run(
        *(["setup()", theirs] if order == "setup first" else [theirs, "setup()"]),
        "FlaskInstrumentor().instrument(request_hook=lambda span, environ: span.set_attribute('mine', 1))",
        APP,
        "visit(app)",
        "FlaskInstrumentor.instrument_app(app, request_hook=lambda span, environ: span.set_attribute('mine', 2))",
        "FlaskInstrumentor().instrument_app(app, request_hook=lambda span, environ: span.set_attribute('mine', 3))",
        "visit(app)",
        "print(json.dumps([[s.name, s.attributes.get('mine')] for s in Recorder.spans]))",
    )

    assert (found, errors) == ([["GET /hello/<name>", 1], ["GET /hello/<name>", 3]], "")


def test_what_the_program_instrumented_before_stays_its_own() -> None:
    """With contrib at work already, ours steps aside."""
    found, errors = run(
        "provider()",
        "from opentelemetry.instrumentation.flask import FlaskInstrumentor",
        "FlaskInstrumentor().instrument()",
        "import flask",
        APP.replace("from flask import Flask", "from flask import Flask"),
        "setup()",
        "visit(app)",
        "print(json.dumps([s.instrumentation_scope.name for s in Recorder.spans]))",
    )

    assert (found, errors) == (["opentelemetry.instrumentation.flask"], "")


def test_an_old_version_is_left_to_contrib_or_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Below the first supported version OpenTelemetry's instrumentation is used; without it the record says why."""
    settings, _ = load({}, pyproject={}, overrides={})
    found: list[Any] = []
    monkeypatch.setattr("tellwhy.patchers.contrib.apply", lambda *args: found.append(args))

    class Old:
        __version__ = "4.6.0 (ancient)"

    table._Apply("redis", table.OURS["redis"], settings)(Old)  # type: ignore[arg-type]

    assert [("redis", settings, "redis 4.6.0 is older than 5.0, the first supported")] == found


def test_uninstall_takes_everything_back() -> None:
    """After the end of tracing the libraries, and contrib's classes, are themselves again."""
    found, errors = run(
        "import flask",
        "before = dict(vars(flask.Flask))",
        "from opentelemetry.instrumentation.flask import FlaskInstrumentor",
        "theirs = dict(vars(FlaskInstrumentor))",
        "setup()",
        "table.uninstall()",
        "now = {k: v for k, v in vars(FlaskInstrumentor).items() if k in theirs}",
        "changed = sorted(k for k in theirs if now.get(k) is not theirs[k])",
        "print(json.dumps([before == dict(vars(flask.Flask)), changed]))",
    )

    assert (found, errors) == ([True, []], "")


def test_tracing_that_ends_and_begins_again() -> None:
    """After ``uninstall()`` and a second setup there is one span for a request."""
    found, _ = run(
        "setup()", APP, "visit(app)", "table.uninstall()", "visit(app)", "setup()", "visit(app)",
        "print(json.dumps(names()))",
    )  # fmt: skip

    assert found == ["GET /hello/<name>"] * 2


@pytest.fixture(autouse=True)
def no_waiting() -> Any:
    """Leave no finder behind."""
    yield
    imports.forget_all()
    records.clear()
