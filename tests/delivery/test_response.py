# SPDX-License-Identifier: Apache-2.0
"""What receivers say: the two OTLP messages, read as opentelemetry-proto writes them, and any bytes at all."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tellwhy.delivery.otlp.response import LONGEST_MESSAGE, clean, error_message, partial_success

PROTOBUF, JSON = "application/x-protobuf", "application/json"


@given(st.integers(0, 2**63 - 1), st.text(st.characters(categories=("L", "N", "P", "Zs")), max_size=100))
def test_partial_success_is_read_as_it_was_written(rejected: int, message: str) -> None:
    """Both encodings, any count, any printable words."""
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = rejected
    response.partial_success.error_message = message
    text = json.dumps({"partialSuccess": {"rejectedSpans": str(rejected), "errorMessage": message}})

    assert partial_success(response.SerializeToString(), PROTOBUF) == (rejected, clean(message))
    assert partial_success(text.encode(), JSON + "; charset=utf-8") == (rejected, clean(message))


@settings(max_examples=500)
@given(st.binary(max_size=200), st.sampled_from([PROTOBUF, JSON, "text/plain", "text/html", ""]))
def test_any_bytes_can_be_read(body: bytes, content_type: str) -> None:
    """Garbage says nothing, raises nothing, and its words fit a terminal."""
    rejected, message = partial_success(body, content_type)

    assert rejected >= 0
    for words in (message, error_message(body, content_type)):
        assert len(words) <= LONGEST_MESSAGE
        assert words.isprintable()


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (b"\x08\x03\x12\x09bad token", PROTOBUF, "bad token"),  # google.rpc.Status
        (b'{"code": 16, "message": "bad token"}', JSON, "bad token"),
        (b'{"error": "no tenant"}', JSON, "no tenant"),
        (b"[1, 2]", JSON, ""),
        (b"<html><body>404</body></html>", "text/html", ""),
        (b"no\tsuch\r\nthing \x1b[31m", "text/plain", "no such thing [31m"),
        (b"x" * 1000, "", "x" * (LONGEST_MESSAGE - 1) + "…"),
    ],
)
def test_what_an_error_says(body: bytes, content_type: str, expected: str) -> None:
    """One short printable line, whatever the body."""
    assert error_message(body, content_type) == expected


def test_a_negative_count_is_no_count() -> None:
    """An int64 below zero, as ten bytes."""
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = -1

    assert partial_success(response.SerializeToString(), PROTOBUF) == (0, "")
    assert partial_success(b'{"partialSuccess": {"rejectedSpans": -4}}', JSON) == (0, "")
    assert partial_success(b'{"partialSuccess": {"rejectedSpans": "many"}}', JSON) == (0, "")
    assert partial_success(b'{"partialSuccess": 7}', JSON) == (0, "")
