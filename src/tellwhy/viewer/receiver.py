# SPDX-License-Identifier: Apache-2.0
"""
How do spans get in? An OTLP/HTTP server on loopback: ``POST /v1/traces``, protobuf or JSON, gzip or not.

It trusts nobody: web pages are kept out (names of the Host header, Origin, content types), bodies and what
they inflate to are bounded, and who speaks gRPC or TLS to it is told what this port speaks.
"""

from __future__ import annotations

import http.server
import socket
import socketserver
import threading
import zlib
from collections.abc import Callable, Iterable
from http import HTTPStatus
from urllib.parse import urlsplit

from tellwhy.viewer.model import Span
from tellwhy.viewer.otlp import JSON, PROTOBUF, MalformedRequest, decode, encode_response

MAX_BODY = 16 << 20
MAX_INFLATED = 64 << 20
IDLE_TIMEOUT = 60.0  # seconds until a silent connection is closed

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_HINT = "this port speaks OTLP over plain HTTP (http/protobuf), not {}: set OTEL_EXPORTER_OTLP_PROTOCOL={}"
_GRPC_HINT = _HINT.format("gRPC", "http/protobuf")
_TLS_HINT = _HINT.format("TLS", "http/protobuf and an endpoint that begins with http://")
# RFC 9113: an empty SETTINGS frame, then GOAWAY with HTTP_1_1_REQUIRED and the hint as its debug data.
_GOAWAY = (
    b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
    + (8 + len(_GRPC_HINT)).to_bytes(3, "big")
    + b"\x07\x00\x00\x00\x00\x00"
    + b"\x00\x00\x00\x00\x00\x00\x00\x0d"
    + _GRPC_HINT.encode()
)


class Receiver:
    """
    An OTLP/HTTP receiver on 127.0.0.1.

    Args:

        take: Called with the spans of each request, on the connection's thread.

        tell: Called with a sentence when a client does what cannot work, such as speaking gRPC; once for each.

        port: Where to listen; 0, the default, takes a free port.

    Raises:

        OSError: if the port is taken.
    """

    def __init__(
        self,
        take: Callable[[Iterable[Span]], None],
        tell: Callable[[str], None] = lambda _: None,
        port: int = 0,
    ) -> None:
        self._server = _Server(port, take, tell)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="otlp-receiver", daemon=True
        )
        self._thread.start()

    @property
    def endpoint(self) -> str:
        """What a program sets ``OTEL_EXPORTER_OTLP_ENDPOINT`` to."""
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Stop listening. Requests being answered are answered. Idempotent."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, port: int, take: Callable[[Iterable[Span]], None], tell: Callable[[str], None]) -> None:
        self.take = take
        self._tell = tell
        self._told: set[str] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def tell(self, hint: str) -> None:
        """Say a thing once: such clients try again and again."""
        if hint not in self._told:
            self._told.add(hint)
            self._tell(hint)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up in the middle of a request has nobody to tell it to."""


class _Refused(Exception):
    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_TIMEOUT
    raw_requestline: bytes
    unread = 0

    @property
    def _receiver(self) -> _Server:
        assert isinstance(self.server, _Server), "nobody else starts this handler"
        return self.server

    def setup(self) -> None:
        super().setup()
        # Replies are two small writes; without this the second waits for the client's delayed ACK.
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)

    def parse_request(self) -> bool:
        if self.raw_requestline.startswith(b"PRI * HTTP/2.0"):
            self._hang_up(_GRPC_HINT, _GOAWAY)
            return False
        if self.raw_requestline.startswith(b"\x16\x03"):  # a TLS handshake record
            self._hang_up(_TLS_HINT, b"")
            return False
        return super().parse_request()

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        self.unread = int(length) if length.isascii() and length.isdigit() and len(length) < 16 else -1
        try:
            self._check_sender()
            content_type = self._content_type()
            batch = decode(self._body(), content_type)
        except _Refused as refusal:
            self._refuse(refusal.status, str(refusal))
        except MalformedRequest as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
        else:
            self._receiver.take(batch.spans)
            self._reply(HTTPStatus.OK, content_type, encode_response(batch.rejected, content_type))

    def do_GET(self) -> None:
        try:
            self._check_sender()
        except _Refused as refusal:
            self._refuse(refusal.status, str(refusal))
        else:
            self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, "spans come here by POST")

    def _check_sender(self) -> None:
        """Refuse what a web page could send: by a name of its own for this address, or from its own origin."""
        if _host_name("//" + self.headers.get("Host", "")) not in _LOOPBACK_NAMES:
            raise _Refused(HTTPStatus.MISDIRECTED_REQUEST, "the Host header must name the loopback interface")
        origin = self.headers.get("Origin")
        if origin is not None and _host_name(origin) not in _LOOPBACK_NAMES:
            raise _Refused(HTTPStatus.FORBIDDEN, "no spans from web pages of other hosts")
        if self.path != "/v1/traces":
            raise _Refused(HTTPStatus.NOT_FOUND, "spans go to /v1/traces; metrics and logs are not taken")

    def _content_type(self) -> str:
        content_type = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if content_type not in (PROTOBUF, JSON):
            raise _Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"the content type must be {PROTOBUF} or {JSON}")
        return content_type

    def _body(self) -> bytes:
        if self.unread < 0:
            raise _Refused(HTTPStatus.LENGTH_REQUIRED, "a Content-Length is required")
        if self.unread > MAX_BODY:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {MAX_BODY} bytes")
        body = self.rfile.read(self.unread)
        if len(body) < self.unread:
            raise _Refused(HTTPStatus.BAD_REQUEST, "the body ended early")
        self.unread = 0
        encoding = self.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding == "identity":
            return body
        if encoding == "gzip":
            return _gunzip(body)
        raise _Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the content encoding must be gzip or identity")

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        if 0 < self.unread <= MAX_BODY:
            # Closing on unread bytes resets the connection, and the client may never see the reason.
            self.rfile.read(self.unread)
        self.close_connection = True
        self._reply(status, "text/plain; charset=utf-8", f"{reason}\n".encode())

    def _reply(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def _hang_up(self, hint: str, farewell: bytes) -> None:
        self.close_connection = True
        self._receiver.tell(hint)
        self.wfile.write(farewell)

    def version_string(self) -> str:
        """Name no versions in the Server header."""
        return "tellwhy"

    def log_message(self, format: str, *args: object) -> None:
        """A request is not news; what cannot work goes to ``tell``."""


def _host_name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _gunzip(body: bytes) -> bytes:
    """Inflate no further than ``MAX_INFLATED``: a few kilobytes can stand for gigabytes."""
    inflater = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        inflated = inflater.decompress(body, MAX_INFLATED)
        if inflater.unconsumed_tail:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {MAX_INFLATED} bytes inflated")
        if not inflater.eof or inflater.unused_data:
            raise _Refused(HTTPStatus.BAD_REQUEST, "the gzip body is cut off or has something behind it")
    except zlib.error as error:
        raise _Refused(HTTPStatus.BAD_REQUEST, f"not gzip: {error}") from error
    return inflated
