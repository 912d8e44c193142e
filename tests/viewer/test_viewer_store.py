# SPDX-License-Identifier: Apache-2.0
"""Where spans wait: waiting for a trace, traces at rest, and the bound on memory."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

from support.traces import make_span
from tellwhy.viewer.model import Span, Trace
from tellwhy.viewer.store import TraceStore


def of_trace(letter: str, span: Span) -> Span:
    """Move a span to another trace."""
    return replace(span, trace_id=letter * 32)


def test_a_waiter_wakes_up_when_the_trace_fits() -> None:
    """Its spans arrive in two requests, from another thread."""
    store = TraceStore()
    first_seen = threading.Event()

    def send() -> None:
        store.add([make_span(2, 1, 1, 2)])
        assert first_seen.wait(5)
        store.add([make_span(1, 0, 0, 3)])

    def is_whole(trace: Trace) -> bool:
        first_seen.set()
        return len(trace.spans) == 2

    sender = threading.Thread(target=send)
    sender.start()
    trace = store.wait_for(is_whole, 5)
    sender.join()

    assert trace is not None
    assert [span.name for span in trace.spans] == ["span 1", "span 2"]


def test_a_waiter_gives_up_at_its_timeout_or_when_nothing_comes() -> None:
    """Whichever is first."""
    store = TraceStore()
    store.add([make_span(1, 0, 0, 1)])
    started = time.monotonic()

    assert store.wait_for(lambda _: False, 0.05) is None
    assert store.wait_for(lambda _: False, 60, quiet=0.05) is None
    assert time.monotonic() - started < 30


def test_a_trace_comes_to_rest_some_time_after_its_root() -> None:
    """Each is returned once; without a root it takes longer."""
    store = TraceStore()
    store.add([of_trace("a", make_span(2, 1, 1, 2)), of_trace("b", make_span(1, 0, 0, 1))])

    settled = [store.next_settled(5, quiet=0.01, patience=0.1) for _ in range(2)]

    assert [trace.trace_id[0] for trace in settled if trace] == ["b", "a"]
    assert store.next_settled(0.01, quiet=0.0, patience=0.0) is None


def test_what_was_waited_for_is_not_shown_again() -> None:
    """The caller has shown it."""
    store = TraceStore()
    store.add([make_span(1, 0, 0, 1)])

    assert store.wait_for(lambda _: True, 1) is not None
    assert store.next_settled(0.02, quiet=0.0) is None


def test_the_oldest_traces_are_dropped_and_counted() -> None:
    """received = kept + dropped."""
    store = TraceStore(max_spans=5)
    for letter in "abcd":
        store.add([of_trace(letter, make_span(n, 0, 0, 1)) for n in (1, 2)])

    assert [trace.trace_id[0] for trace in store.traces()] == ["c", "d"]
    assert (store.received, store.dropped) == (8, 4)


def test_one_endless_trace_keeps_its_beginning() -> None:
    """There is no older one to drop."""
    store = TraceStore(max_spans=3)
    for n in range(1, 8):
        store.add([make_span(n, 0, n, n + 1)])

    assert [span.name for span in store.traces()[0].spans] == ["span 1", "span 2", "span 3"]
    assert (store.received, store.dropped) == (7, 4)
