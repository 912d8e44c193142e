# SPDX-License-Identifier: Apache-2.0
"""What if the program has a ``TracerProvider`` of its own? It keeps it, and its spans go both ways."""

from __future__ import annotations

import pytest

from support.otlp import OtlpReceiver
from support.program import Place, lines_of_others

# The exporter comes first on purpose: the SDK is half imported when the API is.
OWN = """\
import sys
{first}
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry import trace
{early}
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
{before}
own = TracerProvider(resource=Resource({{"service.name": "own"}}))
own.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(sys.argv[1] + "/v1/traces")))
trace.set_tracer_provider(own)
assert trace.get_tracer_provider() is own
{after}
{work}
"""
SETUP = "import tellwhy; tellwhy.setup_tracing(service_name='ours')"
WORK = "with trace.get_tracer('late').start_as_current_span('late'): pass"


def _run(place: Place, *wrapper: str, **lines: str) -> OtlpReceiver:
    """Run the program, stderr clean, and return what arrived at its own receiver."""
    names = ("first", "early", "before", "after", "work")
    place.write("program.py", OWN.format(**{name: lines.get(name, "") for name in names}))
    with OtlpReceiver() as theirs:
        done = place.run(*wrapper, "python", "program.py", theirs.endpoint)
        assert done.returncode == 0, done.stderr
        assert lines_of_others(done.stderr) == [], done.stderr
        return theirs


@pytest.mark.parametrize("line", ["first", "before", "after"])
def test_setup_beside_an_own_provider(place: Place, receiver: OtlpReceiver, line: str) -> None:
    """Before or after ``set_tracer_provider``: the span is at both receivers, once, with the program's resource."""
    theirs = _run(place, work=WORK, **{line: SETUP})

    assert [(span.name, span.service) for span in theirs.spans()] == [("late", "own")]
    assert [(span.name, span.service) for span in receiver.spans()] == [("late", "own")]


def test_own_provider_under_the_wrapper(place: Place, receiver: OtlpReceiver) -> None:
    """A program with a set-up of its own runs wrapped: no warning about overriding, spans at both."""
    theirs = _run(place, "tellwhy", "run", work=WORK)

    assert [span.name for span in theirs.spans()] == ["late"]
    assert [span.name for span in receiver.spans()] == ["late"]


def test_tracers_from_before_follow_the_own_provider(place: Place, receiver: OtlpReceiver) -> None:
    """A tracer that was handed out, and used, before the program set its provider makes that provider's spans after."""
    theirs = _run(
        place,
        "tellwhy",
        "run",
        early="early = trace.get_tracer('early')",
        before="early.start_span('used').end()",
        work=f"early.start_span('early').end()\n{WORK}",
    )

    assert sorted(span.name for span in theirs.spans()) == ["early", "late"]
    assert sorted(span.name for span in receiver.spans()) == ["early", "late", "used"]


def test_library_spans_reach_the_own_provider(place: Place, receiver: OtlpReceiver) -> None:
    """What the instrumented libraries make goes to the program's provider as well."""
    theirs = _run(
        place,
        "tellwhy",
        "run",
        first="from flask import Flask",
        work="app = Flask('shop')\napp.test_client().get('/nowhere')",
    )

    assert [span.kind for span in theirs.spans()] == ["SERVER"]
    assert [span.kind for span in receiver.spans()] == ["SERVER"]


def test_sdk_that_is_imported_but_not_set_up(place: Place, receiver: OtlpReceiver) -> None:
    """A program that only imports the SDK, in whatever order, is traced through ours."""
    place.write(
        "program.py",
        "from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter\n"
        "from opentelemetry.sdk.trace.export import BatchSpanProcessor\n"
        "from opentelemetry import trace\n"
        "with trace.get_tracer('t').start_as_current_span('work'): pass\n",
    )

    done = place.wrapped("python", "program.py")

    assert (done.returncode, lines_of_others(done.stderr)) == (0, []), done.stderr
    assert [span.name for span in receiver.spans()] == ["work"]


def test_processor_added_to_our_provider(place: Place, receiver: OtlpReceiver) -> None:
    """``get_tracer_provider().add_span_processor(…)`` works as with the SDK: the span is at both."""
    place.write(
        "program.py",
        "import sys\nfrom opentelemetry import trace\n"
        "from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor\n"
        "exporter = ConsoleSpanExporter(formatter=lambda span: span.name + '\\n')\n"
        "trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(exporter))\n"
        "with trace.get_tracer('t').start_as_current_span('work'): pass\n",
    )

    done = place.wrapped("python", "program.py")

    assert (done.returncode, done.stdout) == (0, "work\n"), done.stderr
    assert [span.name for span in receiver.spans()] == ["work"]


def test_provider_that_takes_no_processors_is_left_alone(place: Place) -> None:
    """A provider that is not the SDK's is the program's business: it stays in force, and nothing is said."""
    place.write(
        "program.py",
        "from opentelemetry import trace\n"
        "class Own(trace.TracerProvider):\n"
        "    def get_tracer(self, *a, **k):\n        print('asked'); return trace.NoOpTracer()\n"
        "trace.set_tracer_provider(Own())\n"
        "with trace.get_tracer('t').start_as_current_span('work'): pass\n",
    )

    done = place.wrapped("python", "program.py")

    assert (done.returncode, done.stdout) == (0, "asked\n"), done.stderr
    assert lines_of_others(done.stderr) == []
