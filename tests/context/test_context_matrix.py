# SPDX-License-Identifier: Apache-2.0
"""Mechanisms × worker models: whatever hands work over, its span is a child of the span it was handed over in."""

from __future__ import annotations

import pytest

from support.otlp import OtlpReceiver, ReceivedSpan
from support.program import Place, lines_of_others

THREADS = ("thread", "thread_of_a_subclass", "run_without_start", "thread_in_thread", "timer")
EXECUTORS = ("executor", "executor_map", "run_in_executor", "to_thread", "thread_pool")
LOOP = ("call_soon_threadsafe", "task")
SPAWNED = ("process_spawn", "process_forkserver", "pool_spawn", "process_executor")
FORKED = ("process_fork", "pool_fork")
GEVENT = ("greenlet", "greenlet_pool", "greenlet_later", "native_pool")
EVENTLET = ("green_thread", "green_pool", "green_thread_n")


def assert_family(spans: list[ReceivedSpan], ways: tuple[str, ...], parent: str) -> None:
    """Each way has a parent, whose only descendant in the trace is its child; and one child belongs to nobody."""
    for way in ways:
        (top,) = [span for span in spans if span.name == parent.format(way)]
        below = [span for span in spans if span.trace_id == top.trace_id and span.name == "child"]
        assert [span.parent_span_id for span in below] == [top.span_id], way


@pytest.mark.parametrize("ways", [THREADS, EXECUTORS, LOOP, FORKED, SPAWNED], ids=lambda ways: ways[0])
def test_script(place: Place, receiver: OtlpReceiver, ways: tuple[str, ...]) -> None:
    """In a plain program; and what is handed over outside of any span stays outside, in workers too."""
    done = place.wrapped("python", "handing_over.py", *ways)

    assert done.returncode == 0, done.stderr
    assert lines_of_others(done.stderr) == []
    spans = receiver.spans(count=3 * len(ways))
    assert len(spans) == 3 * len(ways)
    assert_family(spans, ways, "parent {}")
    roots = [span for span in spans if span.name == "child" and not span.parent_span_id]
    assert len(roots) == len(ways)
    assert all(span.links == [] for span in spans)


@pytest.mark.parametrize(
    ("library", "ways"),
    [("gevent", (*GEVENT, *THREADS, *EXECUTORS[:2])), ("eventlet", (*EVENTLET, *THREADS, *EXECUTORS[:2]))],
)
def test_patched_script(place: Place, receiver: OtlpReceiver, library: str, ways: tuple[str, ...]) -> None:
    """In a program whose first line patches everything: no warning, and right parents."""
    if library == "eventlet":
        pytest.importorskip("eventlet")
    done = place.wrapped("python", "handing_over.py", library, *ways)

    assert done.returncode == 0, done.stderr
    bare = place.run("python", "handing_over.py", library, *ways)  # eventlet warns of itself
    assert lines_of_others(done.stderr) == bare.stderr.splitlines()
    spans = receiver.spans(count=3 * len(ways))
    assert_family(spans, ways, "parent {}")
    assert len([span for span in spans if span.name == "child" and not span.parent_span_id]) == len(ways)


SERVERS = {
    "werkzeug": ("flask --app flask_ways run --port 0", (*THREADS, *EXECUTORS, *LOOP)),
    "gthread": (
        "gunicorn -w 1 -k gthread --threads 4 --bind 127.0.0.1:0 flask_ways:app",
        (*THREADS, *EXECUTORS, *LOOP, "process_fork", "process_spawn"),
    ),
    "gevent": (
        "gunicorn -w 1 -k gevent --bind 127.0.0.1:0 flask_ways:app",
        (*THREADS, "executor", "executor_map", *GEVENT),
    ),
    "eventlet": (  # gunicorn's worker of that name is gone; this is what it was
        "python eventlet_server.py",
        (*THREADS, "executor", "executor_map", *EVENTLET),
    ),
    "uvicorn": (
        "uvicorn --port 0 fastapi_ways:app",
        (*THREADS, "executor", "executor_map", "run_in_executor", "to_thread", "thread_pool", *LOOP, "process_spawn"),
    ),
}


@pytest.mark.parametrize("server", SERVERS)
def test_server(place: Place, receiver: OtlpReceiver, server: str) -> None:
    """In a request under each kind of worker, one request after the other through the same workers."""
    command, ways = SERVERS[server]
    if server == "eventlet":
        pytest.importorskip("eventlet")
    with place.start("tellwhy", "run", *command.split()) as running:
        port = running.wait_for(r"(?:Running on|Listening at:|running on) http://127.0.0.1:(\d+)")
        for way in ways:
            assert running.get(f"/{way}", port)[0] == 200, (way, running.stderr)
        running.stop()  # what is queued is delivered, whatever the worker
    if server != "eventlet":  # it warns of itself
        assert "Warning" not in running.stderr
    spans = receiver.spans()
    children = [span for span in spans if span.name == "child"]
    assert len(children) == len(ways)
    entries = {span.span_id: span for span in spans if span.kind == "SERVER"}
    found = [entries[span.parent_span_id].attributes["url.path"] for span in children]
    assert sorted(found) == sorted(f"/{way}" for way in ways)
    assert len({span.trace_id for span in children}) == len(ways)
