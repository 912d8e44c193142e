# SPDX-License-Identifier: Apache-2.0
"""
An OTLP receiver that misbehaves on demand, on raw sockets.

Unlike ``support.otlp.OtlpReceiver``, which is a proper server, this one can do
what no server library lets it: say nothing, break off, drip, talk nonsense,
speak HTTP/1.0, vanish and come back on the same port::

    with FaultyReceiver(behave=drip(0.01)) as receiver:
        ...
        receiver.behave = accept
        receiver.wait_for(100)

A behaviour is a function of one ``Exchange``: it decides whether the request's
spans are taken and what is written back. ``receiver.seen`` counts every span
id, so duplicates show; ``receiver.unacknowledged`` counts those that it took without saying so to the end, which
OTLP's "at least once" allows to come again.
"""

from __future__ import annotations

import gzip
import socket
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

PHRASES = {200: "OK", 202: "Accepted", 301: "Moved Permanently", 307: "Temporary Redirect", 400: "Bad Request",
           401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 413: "Content Too Large", 429: "Too Many Requests",
           500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable",
           504: "Gateway Timeout"}  # fmt: skip


class Exchange:
    """One request on one connection, and the means to answer it in any way."""

    def __init__(self, receiver: FaultyReceiver, connection: socket.socket, head: str, body: bytes) -> None:
        self.receiver = receiver
        self.connection = connection
        self.body = body
        self._taken = 0
        lines = head.split("\r\n")
        self.method, self.target, self.version = lines[0].split(" ")
        self.headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
        }

    def spans(self) -> list[bytes]:
        """Return the ids of the spans in the request."""
        raw = {"gzip": gzip.decompress, "deflate": zlib.decompress}.get(
            self.headers.get("content-encoding", ""), bytes
        )(self.body)
        message = ExportTraceServiceRequest.FromString(raw)
        return [
            span.span_id
            for of_resource in message.resource_spans
            for of_scope in of_resource.scope_spans
            for span in of_scope.spans
        ]

    def take(self) -> None:
        """Count the spans as received; until they are acknowledged they may come again."""
        spans = self.spans()
        self._taken += len(spans)
        self.receiver.note(spans, unacknowledged=len(spans))

    def acknowledge(self) -> None:
        """Note that the sender knows now that they were received."""
        taken, self._taken = self._taken, 0
        self.receiver.note([], unacknowledged=-taken)

    def write(self, raw: bytes) -> None:
        """Send bytes as they are."""
        self.connection.sendall(raw)

    def reply(self, status: int = 200, body: bytes = b"", headers: Mapping[str, str] | None = None,
              version: str = "HTTP/1.1") -> None:  # fmt: skip
        """Send a proper answer."""
        self.write(self.answer(status, body, headers, version))

    @staticmethod
    def answer(status: int = 200, body: bytes = b"", headers: Mapping[str, str] | None = None,
               version: str = "HTTP/1.1") -> bytes:  # fmt: skip
        """Return the bytes of a proper answer."""
        lines = {"content-type": "application/x-protobuf", "content-length": str(len(body)), **(headers or {})}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"{version} {status} {PHRASES.get(status, 'Whatever')}\r\n{head}\r\n".encode() + body

    def wait(self, seconds: float) -> None:
        """Do nothing for a while, or until the receiver stops."""
        self.receiver.stopping.wait(seconds)

    def close(self) -> None:
        """Break the connection off."""
        self.connection.close()


Behaviour = Callable[[Exchange], None]

# ------------------------------------------------------------------- behaviours


def accept(exchange: Exchange) -> None:
    """Take the spans, say so."""
    exchange.take()
    exchange.reply()
    exchange.acknowledge()


def hang(exchange: Exchange) -> None:
    """Read the request and never answer."""
    exchange.wait(3600)


def take_and_hang(exchange: Exchange) -> None:
    """Take the spans and never answer: whoever sends again sends duplicates."""
    exchange.take()
    exchange.wait(3600)


def hang_up(exchange: Exchange) -> None:
    """Read the request and close the connection without a word."""
    exchange.close()


def cut_body(exchange: Exchange) -> None:
    """Promise a body of a hundred bytes, send ten, close."""
    exchange.write(exchange.answer(200, b"x" * 100)[:-90])
    exchange.close()


def take_and_cut(exchange: Exchange) -> None:
    """Take the spans, and break off in the middle of saying so."""
    exchange.take()
    cut_body(exchange)


def garbage(exchange: Exchange) -> None:
    """Answer with something that is not HTTP."""
    exchange.write(b"\x16\x03\x01 lorem ipsum dolor sit amet\n\n" * 4)
    exchange.close()


def grpc(exchange: Exchange) -> None:
    """Answer as a gRPC server answers HTTP/1.1: with an HTTP/2 SETTINGS frame."""
    exchange.write(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
    exchange.close()


def http10(exchange: Exchange) -> None:
    """Take the spans, answer in HTTP/1.0 and close, as old servers do."""
    exchange.take()
    exchange.write(b"HTTP/1.0 200 OK\r\nContent-Type: application/x-protobuf\r\n\r\n")
    exchange.acknowledge()
    exchange.close()


def chunked(exchange: Exchange) -> None:
    """Take the spans and answer in chunks."""
    exchange.take()
    exchange.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    )
    exchange.acknowledge()


def accept_then_close(exchange: Exchange) -> None:
    """Take the spans, answer, and close the kept-alive connection without having announced it."""
    accept(exchange)
    exchange.close()


def drip(interval: float, took: bool = True) -> Behaviour:
    """Take the spans and answer byte by byte."""

    def behave(exchange: Exchange) -> None:
        if took:
            exchange.take()
        for byte in exchange.answer(200):
            exchange.write(bytes((byte,)))
            exchange.wait(interval)
        exchange.acknowledge()

    return behave


def status(code: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Behaviour:
    """Answer with a status and take nothing."""
    return lambda exchange: exchange.reply(code, body, headers)


def redirect(location: str) -> Behaviour:
    """Send the client elsewhere."""
    return status(307, {"location": location})


def authorized(value: str) -> Behaviour:
    """Take the spans only with the right ``Authorization`` header."""

    def behave(exchange: Exchange) -> None:
        if exchange.headers.get("authorization") == value:
            accept(exchange)
        else:
            exchange.reply(401)

    return behave


def at_most(size: int) -> Behaviour:
    """Take requests of up to so many bytes, refuse larger ones with 413."""

    def behave(exchange: Exchange) -> None:
        if len(exchange.body) > size:
            exchange.reply(413)
        else:
            accept(exchange)

    return behave


def partial(rejected: int, message: str) -> Behaviour:
    """Take the spans but say that so many of them were rejected."""
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = rejected
    response.partial_success.error_message = message

    def behave(exchange: Exchange) -> None:
        exchange.take()
        exchange.reply(200, response.SerializeToString())
        exchange.acknowledge()

    return behave


def one_after_the_other(codes: Iterable[int]) -> Behaviour:
    """Answer with each of these statuses in turn, and take the spans where one says so."""
    left = iter(codes)

    def behave(exchange: Exchange) -> None:
        code = next(left, 200)
        if 200 <= code < 300:
            exchange.take()
        exchange.reply(code)
        exchange.acknowledge()

    return behave


def after(times: int, first: Behaviour, then: Behaviour = accept) -> Behaviour:
    """Behave in one way so many times, and in another from then on."""
    left = [times]

    def behave(exchange: Exchange) -> None:
        left[0] -= 1
        (first if left[0] >= 0 else then)(exchange)

    return behave


# --------------------------------------------------------------------- receiver


class FaultyReceiver:
    """A listening socket with one thread per connection; see the module for its use."""

    def __init__(
        self, behave: Behaviour = accept, *, port: int = 0, accepting: bool = True, cutting: bool = False
    ) -> None:
        self.behave = behave
        self.accepting = accepting
        self.cutting = cutting  # breaks every request off in the middle of its body
        self.seen: Counter[bytes] = Counter()
        self.unacknowledged = 0
        self.requests = 0
        self.connections = 0
        self.targets: list[str] = []
        self.stopping = threading.Event()
        self._changed = threading.Condition()
        self._open: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self.port = port
        self.come_back()

    @property
    def endpoint(self) -> str:
        """The base URL; a stopped receiver keeps its port."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def unique(self) -> int:
        """How many different spans have been taken."""
        with self._changed:
            return len(self.seen)

    @property
    def duplicates(self) -> int:
        """How many spans have been taken more than once, every further time counted."""
        with self._changed:
            return sum(self.seen.values()) - len(self.seen)

    def note(self, spans: list[bytes], *, unacknowledged: int = 0) -> None:
        """Count spans as received, and how many more (or fewer) were so without an acknowledgement."""
        with self._changed:
            self.seen.update(spans)
            self.unacknowledged += unacknowledged
            self._changed.notify_all()

    def wait_for(self, count: int, timeout: float = 10.0) -> None:
        """Wait until so many different spans have been taken."""
        with self._changed:
            arrived = self._changed.wait_for(lambda: len(self.seen) >= count, timeout)
            assert arrived, (
                f"expected {count} spans within {timeout} s, got {len(self.seen)} in {self.requests} requests"
            )

    def wait_for_requests(self, count: int, timeout: float = 10.0) -> None:
        """Wait until so many requests have been read."""
        with self._changed:
            arrived = self._changed.wait_for(lambda: self.requests >= count, timeout)
            assert arrived, f"expected {count} requests within {timeout} s, got {self.requests}"

    def go_away(self) -> None:
        """Close the port and every connection, as a stopped process does."""
        self.stopping.set()
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def come_back(self) -> None:
        """Listen, again on the same port."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(64)
        self.port = listener.getsockname()[1]
        self.stopping = threading.Event()
        self._listener = listener
        if self.accepting:
            threading.Thread(target=self._listen, args=(listener,), daemon=True).start()

    stop = go_away

    def __enter__(self) -> FaultyReceiver:
        return self

    def __exit__(self, *_: object) -> None:
        self.go_away()

    def _listen(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self._changed:
                self.connections += 1
            self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            for exchange in self._requests(connection):
                with self._changed:
                    self.requests += 1
                    self.targets.append(exchange.target)
                    self._changed.notify_all()
                self.behave(exchange)
        except OSError:
            pass  # the client has gone, or the behaviour has broken off
        finally:
            self._open.discard(connection)
            connection.close()

    def _requests(self, connection: socket.socket) -> Iterator[Exchange]:
        buffered = b""
        while True:
            while b"\r\n\r\n" not in buffered:
                chunk = connection.recv(512 if self.cutting else 65536)  # what stays unread makes the end abrupt
                if not chunk:
                    return
                buffered += chunk
            head, _, buffered = buffered.partition(b"\r\n\r\n")
            exchange = Exchange(self, connection, head.decode("latin-1"), b"")
            length = int(exchange.headers.get("content-length", 0))
            if self.cutting:
                with self._changed:
                    self.requests += 1
                    self._changed.notify_all()
                return
            while len(buffered) < length:
                chunk = connection.recv(1 << 20)
                if not chunk:
                    return
                buffered += chunk
            exchange.body, buffered = buffered[:length], buffered[length:]
            yield exchange


def pause(seconds: float) -> None:
    """Let time pass: an outage has a length."""
    time.sleep(seconds)


def wait_until(condition: Callable[[], object], timeout: float = 10.0, what: str = "the condition") -> None:
    """Poll for something that no event announces."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come true within {timeout} s"
        time.sleep(0.005)
