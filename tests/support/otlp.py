# SPDX-License-Identifier: Apache-2.0
"""
What did arrive? An OTLP/HTTP receiver in the test's own process, decoded with opentelemetry-proto.

An oracle of its own: it shares no line with ``tellwhy.viewer``. Real sockets, any free loopback port::

    from support.otlp import OtlpReceiver

    with OtlpReceiver() as receiver:
        environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = receiver.endpoint        # http/protobuf, path /v1/traces
        ...
        first, second = receiver.spans(count=2)                           # waits; AssertionError at the timeout
        server = receiver.wait_for(lambda span: span.kind == "SERVER")    # waits for one span that fits

Faults are asked for by an answer: ``OtlpReceiver(answer=lambda post: Answer(503))`` or, later,
``receiver.answer = …``. A post that was not answered with a 2xx is in ``posts``, and its spans are not in ``spans``.
``stop()`` closes the port and every open connection; ``OtlpReceiver(port=receiver.port)`` comes back on it.
"""

from __future__ import annotations

import gzip
import http.server
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

T = TypeVar("T")
PROTOBUF = "application/x-protobuf"
REQUESTS = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
    "/v1/logs": ExportLogsServiceRequest,
}


@dataclass(frozen=True)
class ReceivedEvent:
    """One event of a received span."""

    name: str
    time_ns: int
    attributes: dict[str, Any]


@dataclass(frozen=True)
class ReceivedLink:
    """One link of a received span; ids in hex."""

    trace_id: str
    span_id: str
    attributes: dict[str, Any]


@dataclass(frozen=True)
class ReceivedSpan:
    """One span as it came over the wire, in plain Python values; ``raw`` is the protobuf message."""

    name: str
    kind: str  # INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER, UNSPECIFIED
    trace_id: str
    span_id: str
    parent_span_id: str  # "" for a root
    start_ns: int
    end_ns: int
    attributes: dict[str, Any]
    events: list[ReceivedEvent]
    links: list[ReceivedLink]
    status: str  # UNSET, OK, ERROR
    status_message: str
    resource: dict[str, Any]
    scope: str
    raw: Span = field(repr=False)

    @property
    def service(self) -> str:
        """The resource's ``service.name``."""
        return str(self.resource.get("service.name", ""))

    @property
    def duration_ms(self) -> float:
        """How long it took, in milliseconds."""
        return (self.end_ns - self.start_ns) / 1e6


@dataclass(frozen=True)
class ReceivedLog:
    """One log record as it came over the wire, in plain Python values; ids in hex, empty outside a span."""

    body: Any
    severity: str
    severity_number: int
    trace_id: str
    span_id: str
    flags: int
    time_ns: int
    attributes: dict[str, Any]
    resource: dict[str, Any]
    scope: str
    raw: Any = field(repr=False)


@dataclass(frozen=True)
class Post:
    """One HTTP request that arrived, decoded; headers with lower-case names."""

    path: str
    headers: dict[str, str]
    wire_size: int
    message: Any  # Export{Trace,Metrics,Logs}ServiceRequest


@dataclass(frozen=True)
class Answer:
    """What the receiver replies: status, headers, body; ``delay`` seconds before it; ``hang_up`` without a reply."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = ExportTraceServiceResponse().SerializeToString()
    delay: float = 0.0
    hang_up: bool = False


def _accept(_post: Post) -> Answer:
    return Answer()


class OtlpReceiver:
    """An OTLP/HTTP receiver on loopback; see the module for its use."""

    def __init__(
        self,
        *,
        port: int = 0,
        answer: Callable[[Post], Answer] = _accept,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self.answer = answer
        self.posts: list[Post] = []
        self.problems: list[str] = []
        self._spans: list[ReceivedSpan] = []
        self._accepted: dict[str, list[Any]] = {}
        self._changed = threading.Condition()
        self._scheme = "https" if ssl_context else "http"
        self._server = _Server(port, self, ssl_context)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="otlp-receiver", daemon=True
        )
        self._thread.start()

    @property
    def endpoint(self) -> str:
        """The value of ``OTEL_EXPORTER_OTLP_ENDPOINT``: no path, no trailing slash."""
        return f"{self._scheme}://127.0.0.1:{self.port}"

    def spans(self, timeout: float = 10.0, *, count: int | None = None) -> list[ReceivedSpan]:
        """
        Return the spans received so far, in order of arrival.

        With ``count``, wait until that many are there (AssertionError after ``timeout`` seconds) and
        return all; more than ``count`` is an error too. Without it, return at once.
        """
        if count is not None:
            self._wait(lambda: len(self._spans) >= count or None, timeout, f"{count} spans")
        with self._changed:
            found = list(self._spans)
        assert count is None or len(found) == count, f"expected {count} spans, got {_names(found)}"
        return found

    def wait_for(self, predicate: Callable[[ReceivedSpan], bool], timeout: float = 10.0) -> ReceivedSpan:
        """Wait for a span that fits and return it; AssertionError after ``timeout`` seconds."""
        return self._wait(
            lambda: next((span for span in self._spans if predicate(span)), None), timeout, "a span that fits"
        )

    def wait_for_posts(self, count: int, timeout: float = 10.0) -> list[Post]:
        """Wait until ``count`` requests, answered with whatever, have arrived."""
        return self._wait(lambda: self.posts[:] if len(self.posts) >= count else None, timeout, f"{count} posts")

    def log_records(self, timeout: float = 10.0, *, count: int | None = None) -> list[ReceivedLog]:
        """Return the log records received so far (answered with a 2xx); with ``count``, wait for that many."""

        def found() -> list[ReceivedLog]:
            return [record for message in self._accepted.get("/v1/logs", ()) for record in decode_logs(message)]

        if count is not None:
            self._wait(lambda: len(found()) >= count or None, timeout, f"{count} log records")
        with self._changed:
            records = found()
        assert count is None or len(records) == count, f"expected {count} log records, got {records}"
        return records

    def metrics(self) -> list[Any]:
        """Return the metrics requests that were answered with a 2xx, in order."""
        with self._changed:
            return list(self._accepted.get("/v1/metrics", ()))

    def messages(self, path: str) -> list[Any]:
        """Return the decoded requests of one path, for instance ``/v1/logs``."""
        with self._changed:
            return [post.message for post in self.posts if post.path == path]

    def clear(self) -> None:
        """Forget what arrived so far."""
        with self._changed:
            self.posts.clear()
            self._spans.clear()
            self._accepted.clear()

    def stop(self) -> None:
        """Close the port and every open connection. Idempotent."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        self._server.drop_connections()

    def __enter__(self) -> OtlpReceiver:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def receive(self, post: Post) -> Answer:
        """Note one request and decide on its reply; called by the server's threads."""
        reply = self.answer(post)
        with self._changed:
            self.posts.append(post)
            if 200 <= reply.status < 300 and not reply.hang_up:
                self._accepted.setdefault(post.path, []).append(post.message)
                if post.path == "/v1/traces":
                    self._spans.extend(decode_spans(post.message))
            self._changed.notify_all()
        return reply

    def refuse(self, problem: str) -> None:
        """Note a request that no exporter should send."""
        with self._changed:
            self.problems.append(problem)
            self._changed.notify_all()

    def _wait(self, look: Callable[[], T | None], timeout: float, what: str) -> T:
        deadline = time.monotonic() + timeout
        with self._changed:
            while (found := look()) is None:
                left = deadline - time.monotonic()
                assert left > 0, (
                    f"{what} did not arrive within {timeout} s; arrived: {len(self.posts)} posts, "
                    f"spans {_names(self._spans)}, problems {self.problems}"
                )
                self._changed.wait(left)
            return found


def decode_spans(message: ExportTraceServiceRequest) -> Iterator[ReceivedSpan]:
    """Yield the spans of one export request as plain values."""
    for of_resource in message.resource_spans:
        resource = decode_attributes(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield ReceivedSpan(
                    name=span.name,
                    kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_span_id=span.parent_span_id.hex(),
                    start_ns=span.start_time_unix_nano,
                    end_ns=span.end_time_unix_nano,
                    attributes=decode_attributes(span.attributes),
                    events=[
                        ReceivedEvent(event.name, event.time_unix_nano, decode_attributes(event.attributes))
                        for event in span.events
                    ],
                    links=[
                        ReceivedLink(link.trace_id.hex(), link.span_id.hex(), decode_attributes(link.attributes))
                        for link in span.links
                    ],
                    status=Status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_"),
                    status_message=span.status.message,
                    resource=resource,
                    scope=of_scope.scope.name,
                    raw=span,
                )


def decode_logs(message: ExportLogsServiceRequest) -> Iterator[ReceivedLog]:
    """Yield the log records of one export request as plain values."""
    for of_resource in message.resource_logs:
        resource = decode_attributes(of_resource.resource.attributes)
        for of_scope in of_resource.scope_logs:
            for record in of_scope.log_records:
                yield ReceivedLog(
                    body=decode_value(record.body),
                    severity=record.severity_text,
                    severity_number=record.severity_number,
                    trace_id=record.trace_id.hex(),
                    span_id=record.span_id.hex(),
                    flags=record.flags,
                    time_ns=record.time_unix_nano,
                    attributes=decode_attributes(record.attributes),
                    resource=resource,
                    scope=of_scope.scope.name,
                    raw=record,
                )


def decode_attributes(pairs: Sequence[KeyValue]) -> dict[str, Any]:
    """Turn OTLP key-value pairs into a dict; a key that comes twice is an error, the specification forbids it."""
    keys = [pair.key for pair in pairs]
    assert len(keys) == len(set(keys)), f"an attribute key comes twice: {keys}"
    return {pair.key: decode_value(pair.value) for pair in pairs}


def decode_value(value: AnyValue) -> Any:
    """Turn an OTLP AnyValue into the Python value it stands for; an empty one is None."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [decode_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return decode_attributes(value.kvlist_value.values)
    return getattr(value, kind)


def _names(spans: Sequence[ReceivedSpan]) -> list[str]:
    return [span.name for span in spans]


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, receiver: OtlpReceiver, ssl_context: ssl.SSLContext | None) -> None:
        self.receiver = receiver
        self.ssl_context = ssl_context
        self.connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.ssl_context is not None:  # the handshake belongs into the connection's own thread
            request = self.ssl_context.wrap_socket(request, server_side=True)
            self.connections.add(request)
        super().finish_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def drop_connections(self) -> None:
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:  # the client was quicker
                continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away (or a refused handshake) is the client's affair; tests see it in what arrives."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        wire = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        receiver = self.server.receiver
        try:
            post = Post(
                path=self.path,
                headers={name.lower(): value for name, value in self.headers.items()},
                wire_size=len(wire),
                message=self._decode(wire),
            )
        except Exception as error:
            receiver.refuse(f"{self.path}: {type(error).__name__}: {error}")
            self._reply(Answer(400, body=str(error).encode()))
            return
        self._reply(receiver.receive(post))

    def _decode(self, wire: bytes) -> Any:
        assert self.headers.get("Content-Type") == PROTOBUF, f"content type {self.headers.get('Content-Type')!r}"
        encoding = self.headers.get("Content-Encoding", "identity")
        body = {"identity": bytes, "gzip": gzip.decompress, "deflate": zlib.decompress}[encoding](wire)
        return REQUESTS[self.path].FromString(body)

    def _reply(self, reply: Answer) -> None:
        if reply.delay:
            time.sleep(reply.delay)
        if reply.hang_up:
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in {"Content-Type": PROTOBUF, **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, format: str, *args: Any) -> None:
        """Silence: pytest's output is for failures."""
