# SPDX-License-Identifier: Apache-2.0
"""
How is a SpanContext made cheaply? As the tuple that it is, without its checks.

Ours are made only of ids that are known to be valid, and only when somebody
asks for them: children, processors of our own and the encoder read a span's
slots instead.
"""

from __future__ import annotations

from opentelemetry.trace.span import DEFAULT_TRACE_STATE, SpanContext, TraceFlags, TraceState

FLAGS = tuple(TraceFlags(value) for value in range(4))
"""All that we ever set: 1 is sampled, 2 says that the trace id is random (W3C Trace Context level 2)."""

_new = tuple.__new__


def _as_tuple(trace_id: int, span_id: int, flags: int, state: TraceState | None) -> SpanContext:
    return _new(
        SpanContext,
        (trace_id, span_id, False, FLAGS[flags], DEFAULT_TRACE_STATE if state is None else state, True),
    )


def _as_declared(trace_id: int, span_id: int, flags: int, state: TraceState | None) -> SpanContext:
    return SpanContext(trace_id, span_id, False, FLAGS[flags], state)


def _same(one: SpanContext, other: SpanContext) -> bool:
    names = ("trace_id", "span_id", "is_remote", "trace_flags", "trace_state", "is_valid")
    return all(getattr(one, name) == getattr(other, name) for name in names)


def _choose() -> bool:
    try:
        return _same(_as_tuple(1, 2, 3, None), _as_declared(1, 2, 3, None))
    except Exception:  # an API whose SpanContext is laid out in another way
        return False


local_context = _as_tuple if _choose() else _as_declared
"""``local_context(trace_id, span_id, flags, trace_state)``: the context of a span of this process, ids valid."""
