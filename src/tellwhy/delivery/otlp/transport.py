# SPDX-License-Identifier: Apache-2.0
"""
How do bytes get to the receiver? One kept-alive HTTP connection on the standard library.

Every wait is bounded by one deadline: connecting over all addresses, the
handshake, sending, and reading an answer that comes byte by byte. Nothing here
knows of spans; nothing here is loaded before the first batch is sent.
"""

from __future__ import annotations

import http.client
import io
import os
import socket
import ssl
from time import monotonic

from tellwhy.delivery.otlp.proxy import proxy_for
from tellwhy.delivery.otlp.readable import is_readable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Final

    from tellwhy.delivery.otlp.endpoint import Endpoint

FAULTS: Final = (OSError, http.client.HTTPException)
LONGEST_ANSWER: Final = 4 * 1024 * 1024  # bytes; OTLP: a larger one is an error
_SHORTEST_WAIT: Final = 0.001  # a timeout of 0 would mean: do not wait at all


class Answer:
    """What the receiver replied."""

    __slots__ = ("body", "headers", "phrase", "status")

    def __init__(self, status: int, phrase: str, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.phrase = phrase
        self.headers = headers
        self.body = body


class Transport:
    """
    A connection to one endpoint, opened when needed and kept.

    Args:

        endpoint: Where to.

        certificate_file: The CA certificates to trust, in PEM; the system's by default.

        client_key_file: The private key for mutual TLS, in PEM.

        client_certificate_file: The certificate for mutual TLS, in PEM.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        certificate_file: str | None = None,
        client_key_file: str | None = None,
        client_certificate_file: str | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._certificate_file = certificate_file
        self._client_key_file = client_key_file
        self._client_certificate_file = client_certificate_file
        self._proxy = proxy_for(endpoint)
        self._target = endpoint.target
        self._headers: dict[str, str] = {}
        if self._proxy and endpoint.scheme == "http":  # RFC 9112, 3.2.2: a proxy is sent the absolute URL
            self._target = endpoint.url
            self._headers = self._proxy.headers
        self._connection: http.client.HTTPConnection | None = None
        self._deadline = 0.0

    def connect(self, deadline: float) -> bool:
        """Make sure that there is a live connection; tell whether it is a used one. Raises one of FAULTS."""
        if self._connection is not None:
            if not self._is_stale():
                return True
            self.close()
        self._deadline = deadline
        connection = self._new_connection()
        # The standard library waits for each address anew; ours waits for all of them together.
        connection._create_connection = self._dial  # type: ignore[attr-defined]
        connection.response_class = self._response  # type: ignore[assignment]  # a factory serves as well
        try:
            connection.connect()
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return False

    def post(self, body: bytes, headers: Mapping[str, str], deadline: float) -> Answer:
        """
        Send one request and return the answer, whatever its status.

        A kept connection that the receiver has closed in the meantime is
        replaced, once. Raises one of FAULTS.
        """
        reused = self.connect(deadline)
        try:
            return self._exchange(body, headers, deadline)
        except (ConnectionError, http.client.BadStatusLine):
            self.close()
            if not reused:
                raise
        except BaseException:
            self.close()
            raise
        self.connect(deadline)
        try:
            return self._exchange(body, headers, deadline)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the connection. In a forked child too: the parent's own end stays open."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _exchange(self, body: bytes, headers: Mapping[str, str], deadline: float) -> Answer:
        connection = self._connection
        assert connection is not None
        assert connection.sock is not None
        self._deadline = deadline
        connection.sock.settimeout(self._left())
        connection.request("POST", self._target, body, {**self._headers, **headers})
        response = connection.getresponse()
        content = response.read(LONGEST_ANSWER + 1)
        if len(content) > LONGEST_ANSWER:
            raise http.client.HTTPException("the answer is too long")
        if response.length:  # read() with a number returns what there is, be it less than was promised
            raise http.client.IncompleteRead(content, response.length)
        if response.will_close:
            self.close()
        return Answer(
            response.status, response.reason, {name.lower(): value for name, value in response.headers.items()}, content
        )

    def _new_connection(self) -> http.client.HTTPConnection:
        endpoint, proxy, timeout = self._endpoint, self._proxy, self._left()
        host, port = (proxy.host, proxy.port) if proxy else (endpoint.host, endpoint.port)
        if endpoint.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=timeout)
        connection = http.client.HTTPSConnection(host, port, timeout=timeout, context=self._tls())
        if proxy:
            connection.set_tunnel(endpoint.host, endpoint.port, proxy.headers)
        return connection

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._certificate_file)
        if not self._certificate_file and not _has_system_certificates(context):
            _borrow_certifi(context)
        if self._client_certificate_file:
            context.load_cert_chain(self._client_certificate_file, self._client_key_file)
        return context

    def _dial(self, address: tuple[str, int], *_: object) -> socket.socket:
        error: OSError | None = None
        host, port = address
        # As bytes: for text, Python loads the IDNA codec and its tables, megabytes for a name that is ASCII.
        name = host.encode() if host.isascii() else host
        for family, kind, protocol, _name, place in socket.getaddrinfo(name, port, type=socket.SOCK_STREAM):
            found = socket.socket(family, kind, protocol)
            try:
                found.settimeout(self._left())
                found.connect(place)
            except OSError as failed:
                found.close()
                error = failed
            else:
                return found
        raise error or OSError("the host has no address")

    def _response(self, sock: socket.socket, *arguments: Any, **keywords: Any) -> http.client.HTTPResponse:
        response = http.client.HTTPResponse(sock, *arguments, **keywords)
        raw = response.fp.detach()
        response.fp = io.BufferedReader(_Deadline(raw, sock, self))
        return response

    def _is_stale(self) -> bool:
        """Tell whether the receiver has hung up: nothing is asked, so nothing but the end can be there to read."""
        assert self._connection is not None
        sock = self._connection.sock
        if sock is None or sock.fileno() < 0:
            return True
        return is_readable(sock, 0)

    def _left(self) -> float:
        return max(_SHORTEST_WAIT, self._deadline - monotonic())


class _Deadline(io.RawIOBase):
    """A socket's reading end whose every read waits for what is left until the deadline, and no longer."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, transport: Transport) -> None:
        self._raw = raw
        self._sock = sock
        self._transport = transport

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if monotonic() >= self._transport._deadline:
            raise TimeoutError("timed out")
        self._sock.settimeout(self._transport._left())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _has_system_certificates(context: ssl.SSLContext) -> bool:
    places = ssl.get_default_verify_paths()
    return bool(context.cert_store_stats()["x509_ca"] or places.cafile or _has_files(places.capath))


def _has_files(folder: str | None) -> bool:
    try:
        return bool(folder and os.listdir(folder))
    except OSError:
        return False


def _borrow_certifi(context: ssl.SSLContext) -> None:
    """Trust what requests would: slim images and some Python builds come without any certificates."""
    try:
        import certifi
    except ImportError:
        return
    context.load_verify_locations(certifi.where())
