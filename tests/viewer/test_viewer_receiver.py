# SPDX-License-Identifier: Apache-2.0
"""The OTLP/HTTP port, over real sockets: what gets in, what does not, and what the sender is told."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import threading
from collections.abc import Iterator

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter

from tellwhy.viewer.model import Span
from tellwhy.viewer.receiver import MAX_BODY, Receiver

PROTOBUF = {"Content-Type": "application/x-protobuf"}


class Taken:
    """What the receiver has handed on."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.hints: list[str] = []
        self.receiver = Receiver(self.spans.extend, self.hints.append)

    def post(
        self, body: bytes = b"", headers: dict[str, str] = PROTOBUF, path: str = "/v1/traces", method: str = "POST"
    ) -> tuple[int, bytes]:
        """Send one request on a connection of its own and return status and body of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.receiver.port, timeout=10)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def send_raw(self, data: bytes) -> bytes:
        """Send bytes and return all that comes back."""
        with socket.create_connection(("127.0.0.1", self.receiver.port), timeout=10) as connection:
            connection.sendall(data)
            return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.fixture
def taken() -> Iterator[Taken]:
    """Run a receiver for one test."""
    it = Taken()
    yield it
    it.receiver.close()


def make_body() -> bytes:
    """Make a request with one span."""
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8, name="GET /")
    return request.SerializeToString()


def export(exporter: SpanExporter) -> None:
    """Send one span through the official SDK."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    provider.get_tracer("test").start_span("from the SDK").end()
    provider.shutdown()


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_the_official_exporter_is_understood(taken: Taken, compression: Compression) -> None:
    """Plain and compressed."""
    export(HttpExporter(f"{taken.receiver.endpoint}/v1/traces", compression=compression))

    assert [span.name for span in taken.spans] == ["from the SDK"]


def test_json_is_answered_in_json(taken: Taken) -> None:
    """As browsers and curl send it."""
    span = {"traceId": "ab" * 16, "spanId": "cd" * 8, "name": "from curl"}
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()

    status, answer = taken.post(body, {"Content-Type": "application/json; charset=utf-8"})

    assert (status, json.loads(answer)) == (200, {})
    assert [span.name for span in taken.spans] == ["from curl"]


def test_one_connection_takes_many_requests(taken: Taken) -> None:
    """Exporters keep theirs."""
    connection = http.client.HTTPConnection("127.0.0.1", taken.receiver.port, timeout=10)
    for _ in range(3):
        connection.request("POST", "/v1/traces", make_body(), PROTOBUF)
        assert connection.getresponse().read() == b""
    connection.close()

    assert len(taken.spans) == 3


def test_many_senders_at_once_lose_nothing(taken: Taken) -> None:
    """Twenty threads with a connection each."""
    senders = [threading.Thread(target=lambda: taken.post(make_body())) for _ in range(20)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()

    assert len(taken.spans) == 20


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({}, 415),
        ({**PROTOBUF, "Content-Encoding": "br"}, 415),
        ({**PROTOBUF, "Content-Encoding": "gzip"}, 400),
        ({**PROTOBUF, "Host": "evil.example"}, 421),
        ({**PROTOBUF, "Host": "evil.example:4318"}, 421),
        ({**PROTOBUF, "Host": "127.0.0.1.evil.example"}, 421),
        ({**PROTOBUF, "Host": "localhost@evil.example"}, 421),
        ({**PROTOBUF, "Host": "[broken"}, 421),
        ({**PROTOBUF, "Host": ""}, 421),
        ({**PROTOBUF, "Origin": "https://evil.example"}, 403),
        ({**PROTOBUF, "Origin": "null"}, 403),
        ({**PROTOBUF, "Host": "localhost:1"}, 200),
        ({**PROTOBUF, "Host": "[::1]:4318"}, 200),
        ({**PROTOBUF, "Origin": "http://localhost:5173"}, 200),
    ],
)
def test_who_may_send_what(taken: Taken, headers: dict[str, str], expected: int) -> None:
    """Web pages of other hosts, by name or by origin, and bodies that are not OTLP stay out."""
    status, _ = taken.post(make_body(), headers)

    assert status == expected
    assert len(taken.spans) == (1 if expected == 200 else 0)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [("POST", "/v1/metrics", 404), ("POST", "/", 404), ("GET", "/v1/traces", 405), ("PUT", "/v1/traces", 501)],
)
def test_only_spans_come_here(taken: Taken, method: str, path: str, expected: int) -> None:
    """And only by POST."""
    assert taken.post(make_body(), PROTOBUF, path, method)[0] == expected


def test_a_body_that_is_not_otlp_is_refused_with_the_reason(taken: Taken) -> None:
    """400: exporters do not retry it."""
    status, answer = taken.post(b"\xff\xff\xff")

    assert status == 400
    assert answer.startswith(b"not an OTLP trace request")


def test_a_gzip_bomb_is_not_inflated(taken: Taken) -> None:
    """A hundred kilobytes that stand for a hundred megabytes."""
    status, _ = taken.post(gzip.compress(bytes(100 << 20), 9), {**PROTOBUF, "Content-Encoding": "gzip"})

    assert status == 413


@pytest.mark.parametrize("tail", [b"", b"more"])
def test_gzip_that_is_cut_off_or_has_something_behind_it_is_refused(taken: Taken, tail: bytes) -> None:
    """Half a request is none."""
    packed = gzip.compress(make_body())
    body = packed + tail if tail else packed[:-4]

    assert taken.post(body, {**PROTOBUF, "Content-Encoding": "gzip"})[0] == 400


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f"Content-Length: {MAX_BODY + 1}", b"413"),
        ("Content-Length: " + "9" * 5000, b"411"),
        ("Content-Length: -1", b"411"),
        ("Content-Length: \xb2", b"411"),
        ("Transfer-Encoding: chunked", b"411"),
    ],
)
def test_a_length_that_is_unknown_or_too_large_is_refused_unread(taken: Taken, header: str, expected: bytes) -> None:
    """Nothing is read that was not bounded first."""
    head = f"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n{header}\r\n\r\n"

    assert taken.send_raw(head.encode("latin-1")).split(b" ")[1] == expected


def test_a_client_that_hangs_up_in_the_middle_hurts_nobody(taken: Taken) -> None:
    """The next one is served."""
    head = b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n"
    with socket.create_connection(("127.0.0.1", taken.receiver.port)) as connection:
        connection.sendall(head + b"Content-Length: 100\r\n\r\nhalf")

    assert taken.post(make_body())[0] == 200
    assert len(taken.spans) == 1


def test_a_grpc_exporter_is_told_what_this_port_speaks(taken: Taken) -> None:
    """On both sides: here once, there in the GOAWAY frame's debug data."""
    export(GrpcExporter(endpoint=taken.receiver.endpoint, insecure=True, timeout=1))
    farewell = taken.send_raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9))

    assert len(taken.hints) == 1
    assert "not gRPC: set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf" in taken.hints[0]
    assert farewell.endswith(taken.hints[0].encode())
    assert taken.spans == []


def test_a_tls_client_is_told_what_this_port_speaks(taken: Taken) -> None:
    """The first bytes of a ClientHello."""
    taken.send_raw(bytes.fromhex("1603010200010001fc0303") + bytes(40) + b"\n")

    assert "not TLS" in taken.hints[0]
    assert "http://" in taken.hints[0]


def test_a_taken_port_is_an_error_of_the_caller(taken: Taken) -> None:
    """Who asked for it must know."""
    with pytest.raises(OSError, match="in use"):
        Receiver(taken.spans.extend, port=taken.receiver.port)


def test_after_close_nobody_listens(taken: Taken) -> None:
    """And closing again does nothing."""
    taken.receiver.close()
    taken.receiver.close()

    with pytest.raises(ConnectionRefusedError):
        taken.post(make_body())
