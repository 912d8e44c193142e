# SPDX-License-Identifier: Apache-2.0
"""``tellwhy.testing``: spans in tests."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider as SdkProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from tellwhy import testing
from tellwhy.engine import active
from tellwhy.engine.provider import TracerProvider
from tellwhy.manual import fail, span, suppressed, traced
from tellwhy.testing import FixedClock, FixedIds, capture_spans

proxy = trace.get_tracer("at.import", "1.2")


@traced
def work():
    return 1


def test_fixture_gives_the_spans_of_the_test(spans):
    """The pytest fixture ``spans`` catches what the test makes."""
    work()
    assert spans.names == ["work"]


@pytest.mark.parametrize("number", range(3))
def test_each_test_sees_only_its_own(spans, number):
    """No span of another test is seen."""
    assert len(spans) == 0
    work()
    assert len(spans) == 1


def test_captured_whatever_tracer(spans):
    """Spans of every tracer are caught: @traced, proxies, the SDK's, ours, decorators made of them."""
    sdk = SdkProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False).get_tracer("sdk", "3")
    lean = TracerProvider.lean({}, sampler=ALWAYS_OFF).get_tracer("lean")
    decorated = [one.start_as_current_span(f"by {n}")(lambda: 1) for n, one in enumerate((proxy, sdk, lean))]
    work()
    for tracer in (proxy, sdk, lean, trace.get_tracer("now"), trace.NoOpTracer()):
        with tracer.start_as_current_span("current"), span("inside"):
            tracer.start_span("started").end()
    for function in decorated:
        assert function() == 1
    assert spans.tree() == "work\n" + "current x5\n  inside\n    started\n" + "by 0\nby 1\nby 2"
    assert {one.scope for one in spans.named("current")} == {"at.import", "sdk", "lean", "now", "NoOpTracer"}


def test_nothing_reaches_the_real_provider_and_all_is_restored():
    """Inside nothing is exported; after, also after an error, everything is as it was."""
    memory = InMemorySpanExporter()
    provider = SdkProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    active.activate(provider)
    tracer = provider.get_tracer("x")
    before = (active.tracer, active.provider, active.pending, trace.ProxyTracer.start_span, type(tracer).start_span)

    with pytest.raises(KeyError), capture_spans() as spans:
        work()
        with tracer.start_as_current_span("a"):
            raise KeyError
    assert spans.names == ["work", "a"]
    assert memory.get_finished_spans() == ()
    after = (active.tracer, active.provider, active.pending, trace.ProxyTracer.start_span, type(tracer).start_span)
    assert after == before
    work()
    with tracer.start_as_current_span("a"):
        pass
    assert [one.name for one in memory.get_finished_spans()] == ["work", "a"]
    assert len(spans) == 2


def test_nested_captures(spans):
    """Captures nest: the innermost gets the spans."""
    work()
    with capture_spans() as inner, proxy.start_as_current_span("inner"):
        work()
        with capture_spans() as innermost:
            work()
    proxy.start_span("after").end()
    assert (spans.names, inner.names, innermost.names) == (["work", "after"], ["inner", "work"], ["work"])


def test_off_again_after_a_capture():
    """A proxy tracer that was used in a capture makes no spans after it."""
    active.deactivate()
    with capture_spans(), proxy.start_as_current_span("x"):
        pass
    with proxy.start_as_current_span("y") as after:
        assert not after.is_recording()
    assert active.tracer is None


def test_reading_a_span(spans):
    """A captured span tells all that a test asks for."""
    with pytest.raises(ValueError, match="no"), span("outer", kind="client", a=1):
        with span("inner"):
            fail("declined")
        raise ValueError("no")

    outer, inner = spans
    assert spans["outer"] is outer
    assert spans[1] is inner
    assert "inner" in spans
    assert outer in spans
    assert "x" not in spans
    assert (outer.name, outer.kind, outer.scope) == ("outer", "client", "tellwhy")
    assert outer.attributes == {"a": 1, "error.type": "ValueError"}
    assert (outer.status, outer.status_message, outer.error) == ("error", "ValueError: no", "ValueError")
    assert (inner.status, inner.status_message, inner.error) == ("error", "declined", None)
    assert outer.events[0][0] == "exception"
    assert (outer.parent, outer.parent_id, inner.parent, outer.children) == (None, None, outer, [inner])
    assert inner.parent_id == outer.span_id
    assert len(outer.trace_id) == 32
    assert 0 < inner.duration < outer.duration < 10
    assert spans.roots == [outer]
    assert (spans.unfinished, inner.links) == ([], [])
    assert repr(outer).startswith("<span 'outer' !ValueError {")
    assert repr(spans) == "<2 spans>\nouter !ValueError\n  inner !declined"


def test_error_of_the_sdks_way_is_read(spans):
    """An error that OpenTelemetry's own context manager recorded is told by its type."""
    with pytest.raises(KeyError), proxy.start_as_current_span("x"):
        raise KeyError("k")
    assert spans["x"].error == "KeyError"


def test_names_that_are_missing_or_many(spans):
    """A name that is not there once says what is there."""
    work()
    work()
    with pytest.raises(KeyError, match="2 spans are named 'work'"):
        spans["work"]
    with pytest.raises(KeyError, match="0 spans are named 'x'"):
        spans["x"]
    spans.clear()
    with pytest.raises(KeyError, match="no spans at all"):
        spans["work"]


def test_tree(spans):
    """The tree folds siblings that look alike, and shows the attributes that are asked for."""
    with span("checkout"):
        with span("total"):
            work()
        for number in (1, 1, 2):
            with span("SELECT shop", number=number):
                pass
    spans.assert_tree("""
        checkout
          total
            work
          SELECT shop x3
    """)
    spans.assert_tree(
        """
        checkout
          total
            work
          SELECT shop number=1 x2
          SELECT shop number=2
        """,
        "number",
    )
    with pytest.raises(
        AssertionError, match="these spans were expected:\ncheckout\n\nand these were made:\ncheckout\n"
    ):
        spans.assert_tree("checkout")


def test_at_most(spans):
    """``assert_at_most`` counts spans of a pattern or of a list, such as the database's."""
    for statement in ("SELECT a", "SELECT b", "INSERT c"):
        with span(statement, **{"db.system.name": "postgresql"}):
            pass
    with span("GET", **{"db.system": "redis"}), span("other"):
        pass
    spans.assert_at_most(4, spans.sql)
    spans.assert_at_most(2, "SELECT *")
    spans.assert_at_most(0, "DELETE *")
    with pytest.raises(AssertionError, match="at most 3 spans were expected, there are 4:\nSELECT a"):
        spans.assert_at_most(3, spans.sql)
    with pytest.raises(AssertionError, match="there are 2"):
        spans.assert_at_most(1, "SELECT *")


def test_fixed_ids_and_clock():
    """With fixed ids and clock two runs are the same."""

    def once():
        clock = FixedClock(start=100.0, step=0.5)
        with capture_spans(ids=FixedIds(), clock=clock) as spans:
            with span("outer"), span("inner"):
                clock.advance(10)
            work()
        return [(one.name, one.trace_id, one.span_id, one.parent_id, one.duration) for one in spans]

    assert once() == once()
    assert once() == [
        ("outer", f"{1:032x}", f"{1:016x}", None, 11.5),
        ("inner", f"{1:032x}", f"{2:016x}", f"{1:016x}", 10.5),
        ("work", f"{2:032x}", f"{3:016x}", None, 0.5),
    ]


def test_unfinished_and_suppressed(spans):
    """Spans that do not end are known; suppressed ones are not made."""
    proxy.start_span("open")
    with suppressed():
        work()
    assert len(spans) == 0
    assert [one.name for one in spans.unfinished] == ["open"]


def test_child_of_an_unfinished_span_is_a_root_of_the_tree(spans):
    """What ended is shown, also below a span that did not end."""
    with trace.use_span(proxy.start_span("open"), end_on_exit=False):
        work()
    assert spans.tree() == "work"


def test_threads_are_captured(spans):
    """Spans of threads started inside are caught too."""
    threads = [threading.Thread(target=work) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert spans.names == ["work"] * 10


def test_many_spans_are_read_quickly(spans):
    """A tree of thousands of spans is no matter of minutes."""
    with span("root"):
        for number in range(3000):
            with span("child", number=number):
                pass
    assert len(spans.tree("number").splitlines()) == 3001


def test_importing_is_light():
    """Importing ``tellwhy.testing`` loads neither OpenTelemetry nor pytest."""
    program = "import sys, tellwhy.testing; print(*[n for n in ('opentelemetry', 'pytest') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "\n"
    assert set(testing.__all__) <= set(dir(testing))


PLUGIN_TESTS = """
import pytest
from opentelemetry import trace
from tellwhy import traced

tracer = trace.get_tracer("module")

@traced
def work(number):
    with tracer.start_as_current_span(f"inside {number}"):
        pass

@pytest.mark.parametrize("number", range(12))
def test_alone(spans, number):
    work(number)
    assert spans.tree() == f"work\\n  inside {number}"

def test_without_fixture():
    work(99)
"""


def test_plugin_in_a_project_of_its_own(tmp_path: Path):
    """The fixture is there in any project, each test sees its own spans, in one process or in several."""
    (tmp_path / "test_it.py").write_text(PLUGIN_TESTS)
    # Plugins are named, lest all that happen to be installed are loaded in each process.
    plugins = ["-p", "no:cacheprovider", "-p", "tellwhy.testing", "-p", "xdist.plugin"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugins, "-n", "2", "test_it.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "13 passed" in done.stdout, done.stdout + done.stderr


def test_plugin_is_registered():
    """The package tells pytest where its plugin is."""
    from importlib.metadata import entry_points

    (plugin,) = entry_points(group="pytest11", name="tellwhy")
    assert plugin.value == "tellwhy.testing"
