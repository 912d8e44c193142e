# SPDX-License-Identifier: Apache-2.0
"""What outlives the span that it was started in: children while they belong together, links from then on."""

from __future__ import annotations

import pytest

from support.otlp import OtlpReceiver, ReceivedSpan
from support.program import Place


def by_name(receiver: OtlpReceiver, count: int) -> dict[str, ReceivedSpan]:
    spans = receiver.spans(count=count)
    named = {span.name: span for span in spans}
    assert len(named) == len(spans) == count
    return named


def test_thread_that_lives_on(place: Place, receiver: OtlpReceiver) -> None:
    """Its spans are the request's children at first and then roots with a link; so are the ids on its log lines."""
    done = place.wrapped("python", "lives_on.py", "1.0", TELLWHY_CONTEXT_LINK_AFTER="900")

    assert done.returncode == 0, done.stderr
    spans = by_name(receiver, 8)
    request = spans["request"]
    for child in ("while open", "soon after", "asked for"):
        assert (spans[child].trace_id, spans[child].parent_span_id) == (request.trace_id, request.span_id), child
    late = spans["long after"]
    assert late.parent_span_id == ""
    assert late.trace_id != request.trace_id
    assert [(link.trace_id, link.span_id) for link in late.links] == [(request.trace_id, request.span_id)]
    assert spans["below"].parent_span_id == late.span_id
    for alone in ("asked for by nobody", "from there"):
        assert (spans[alone].parent_span_id, spans[alone].links) == ("", []), alone
        assert spans[alone].trace_id != request.trace_id
    assert f"soon after trace={request.trace_id}" in done.stderr
    assert "long after trace=\n" in done.stderr


def test_thread_of_an_unsampled_request(place: Place, receiver: OtlpReceiver) -> None:
    """A worker that a request without a trace has started is not without traces for ever."""
    place.write(
        "unsampled.py",
        "import threading, time, tellwhy\n"
        "from opentelemetry import context, trace\n"
        "tellwhy.setup_tracing()\n"
        "above = trace.SpanContext(7, 7, True, trace.TraceFlags(0))\n"
        "def poll():\n"
        "    with tellwhy.span('soon'): pass\n"
        "    time.sleep(0.4)\n"
        "    with tellwhy.span('later'): pass\n"
        "context.attach(trace.set_span_in_context(trace.NonRecordingSpan(above)))\n"
        "with tellwhy.span('request'):\n"
        "    thread = threading.Thread(target=poll)\n"
        "    thread.start()\n"
        "thread.join()\n",
    )
    done = place.wrapped("python", "unsampled.py", TELLWHY_CONTEXT_LINK_AFTER="300")

    assert done.returncode == 0, done.stderr
    (later,) = receiver.spans(count=1)
    assert (later.name, later.parent_span_id, later.links) == ("later", "", [])


@pytest.mark.parametrize(
    ("variable", "value", "ways"),
    [
        ("TELLWHY_CONTEXT_THREADS", "off", ("thread", "timer")),
        ("TELLWHY_CONTEXT_EXECUTORS", "off", ("executor", "thread_pool", "pool_spawn")),
        ("TELLWHY_CONTEXT_PROCESSES", "off", ("process_spawn",)),
        ("TELLWHY_CONTEXT_GREENLETS", "off", ("greenlet",)),
        ("TELLWHY_CONTEXT_GREENLETS", "off", ("green_thread",)),
        ("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "threading", ("thread", "executor", "process_spawn")),
    ],
)
def test_switched_off(place: Place, receiver: OtlpReceiver, variable: str, value: str, ways: tuple[str, ...]) -> None:
    """Each way has a setting; without it the span is a root, as Python has it."""
    if "green_thread" in ways:
        pytest.importorskip("eventlet")
    done = place.wrapped("python", "handing_over.py", *ways, **{variable: value})

    assert done.returncode == 0, done.stderr
    children = [span for span in receiver.spans(count=3 * len(ways)) if span.name == "child"]
    assert [span.parent_span_id for span in children] == [""] * 2 * len(ways)


def test_opentelemetrys_own_instrumentor_can_be_picked(place: Place, receiver: OtlpReceiver) -> None:
    """``threading:contrib`` leaves threads to OpenTelemetry's instrumentor; nothing is carried twice."""
    done = place.wrapped("python", "handing_over.py", "thread", TELLWHY_INSTRUMENT="threading:contrib")

    assert done.returncode == 0, done.stderr
    spans = {span.name: span for span in receiver.spans(count=3) if span.name != "child" or span.parent_span_id}
    assert spans["child"].parent_span_id == spans["parent thread"].span_id


def test_native_threads_of_eventlet(place: Place, receiver: OtlpReceiver) -> None:
    """What runs in ``tpool`` is a child too. Nothing is patched here: a green lock wakes nobody in another thread."""
    pytest.importorskip("eventlet")
    done = place.wrapped("python", "handing_over.py", "green_tpool")

    assert done.returncode == 0, done.stderr
    spans = {span.name: span for span in receiver.spans(count=3) if span.name != "child" or span.parent_span_id}
    assert spans["child"].parent_span_id == spans["parent green_tpool"].span_id
