# SPDX-License-Identifier: Apache-2.0
"""Spans and traces for tests of the viewer: short to write, and hostile ones for hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from tellwhy.viewer.model import Event, Span

TRACE_ID = "7d2b" * 8
EPOCH = 1_700_000_000_000_000_000
MS = 1_000_000


def make_span(
    number: int, parent: int, start_ms: float, end_ms: float, name: str | None = None, **fields: object
) -> Span:
    """Make a span of one well-known trace; ids from numbers, parent 0 for a root, times in milliseconds."""
    return Span(
        trace_id=TRACE_ID,
        span_id=f"{number:016x}",
        parent_id=f"{parent:016x}" if parent else "",
        name=f"span {number}" if name is None else name,
        start_ns=EPOCH + round(start_ms * MS),
        end_ns=EPOCH + round(end_ms * MS),
        **{"kind": "internal", "service": "shop", **fields},  # type: ignore[arg-type]
    )


def exception(kind: str, message: str) -> Event:
    """Make the event of a recorded exception."""
    return Event("exception", EPOCH, {"exception.type": kind, "exception.message": message})


_texts = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            "GET /",
            "\x1b[2J\x1b[31mred",
            "line\nfeed\r\tand\x00nul",
            "\u202eright to left",
            "\u2066isolated",
            "zero\u200bwidth",
            "\ud800",
            "漢字かな",
            "é́́",
            "a" * 5000,
            "\x9b31m",
        ]
    ),
)
_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), _texts, st.binary(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_texts, inner, max_size=2)),
    max_leaves=5,
)
_keys = st.one_of(
    _texts,
    st.sampled_from(
        [
            "http.route",
            "http.response.status_code",
            "url.full",
            "url.path",
            "db.query.text",
            "db.system.name",
            "server.address",
            "server.port",
            "error.type",
            "payment.order_id",
        ]
    ),
)
_attributes = st.dictionaries(_keys, _values, max_size=4)
_ids = st.integers(1, 12).map(lambda number: f"{number:016x}")
_times = st.one_of(st.integers(EPOCH, EPOCH + 100), st.integers(0, 2**64 - 1))

hostile_spans = st.lists(
    st.builds(
        Span,
        trace_id=st.just(TRACE_ID),
        span_id=_ids,
        parent_id=st.one_of(st.just(""), _ids),
        name=_texts,
        kind=st.sampled_from(["internal", "server", "client", "producer", "consumer"]),
        start_ns=_times,
        end_ns=_times,
        status=st.sampled_from(["unset", "ok", "error"]),
        status_message=_texts,
        service=_texts,
        attributes=_attributes,
        events=st.lists(
            st.builds(
                Event,
                name=st.sampled_from(["exception", "log"]),
                time_ns=_times,
                attributes=st.dictionaries(
                    st.sampled_from(["exception.type", "exception.message"]), _values, max_size=2
                ),
            ),
            max_size=2,
        ).map(tuple),
    ),
    min_size=1,
    max_size=14,
)
