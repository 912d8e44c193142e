# SPDX-License-Identifier: Apache-2.0
"""
Why was a batch not delivered, in words that tell what to do?

The exceptions of the standard library and the statuses of HTTP, each with the
reason a person would give and, where there is a usual one, the remedy.
"""

from __future__ import annotations

import errno
import http.client
import socket
import ssl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from tellwhy.delivery.otlp.endpoint import Endpoint

# How an HTTP/2 server, which gRPC is, opens its answer to HTTP/1.1: an empty
# or a short SETTINGS frame, read as a status line.
_HTTP2_FRAME: Final = "\x00\x00"
_GRPC: Final = "this looks like a gRPC port: use port 4318, or OTEL_EXPORTER_OTLP_PROTOCOL=grpc"

_STATUS_HINTS: Final = {
    400: "",
    401: "check the credentials in OTEL_EXPORTER_OTLP_HEADERS",
    403: "check the credentials in OTEL_EXPORTER_OTLP_HEADERS",
    404: "check the path",
    405: "this path does not take POST; check the endpoint",
    407: "the proxy asks for credentials: put them into the proxy's URL",
    415: "the receiver does not know this encoding; try OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf and no compression",
    429: "the receiver asks to slow down",
    503: "the receiver is overloaded or starting",
}


def explain(error: BaseException, endpoint: Endpoint, timeout: float) -> str:
    """Return what went wrong with a connection, and the remedy if there is a usual one."""
    reason, hint = _connection(error, endpoint, timeout)
    if (
        not hint
        and endpoint.port == 4317
        and endpoint.scheme == "http"
        and not isinstance(error, ConnectionRefusedError)
    ):
        hint = _GRPC
    return f"{reason} ({hint})" if hint else reason


def explain_status(status: int, phrase: str, endpoint: Endpoint, *, message: str = "", location: str = "") -> str:
    """Return what a status means, with what the receiver said about it."""
    hint = _STATUS_HINTS.get(status, "")
    path, usual = endpoint.target.partition("?")[0], endpoint.signal.path
    if 300 <= status < 400:
        hint = f"it redirects to {location}; set the endpoint to where the receiver is" if location else ""
    elif status == 404 and not path.endswith(usual):
        hint = f"{endpoint.signal.variable('endpoint')} is used as it is: its path is usually {usual}"
    elif status == 404 and path.count(usual) > 1:
        hint = f"{usual} is appended to OTEL_EXPORTER_OTLP_ENDPOINT; leave it out there"
    elif status == 400 and "HTTPS" in message:
        hint = "the receiver speaks TLS on this port: use https://"
    said = f": {message}" if message else ""
    words = f"{status} {phrase}".strip() + said
    return f"{words} ({hint})" if hint else words


def _connection(error: BaseException, endpoint: Endpoint, timeout: float) -> tuple[str, str]:
    if isinstance(error, ssl.SSLError):
        return _tls(error)
    if isinstance(error, ConnectionRefusedError):
        return (
            "connection refused",
            f"nothing listens on port {endpoint.port} of {endpoint.host}; is the collector running?",
        )
    if isinstance(error, socket.gaierror):
        return f"the host name {endpoint.host!r} is not known", "check the endpoint"
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout:g} s", ""
    if isinstance(error, http.client.BadStatusLine) and not isinstance(error, http.client.RemoteDisconnected):
        return "the answer is not HTTP", _GRPC if str(error.args[0]).startswith(_HTTP2_FRAME) else ""
    if isinstance(error, http.client.IncompleteRead):
        return "the connection broke in the middle of the answer", ""
    if isinstance(error, ConnectionError):  # reset, broken pipe, closed without an answer
        return "the connection was closed without an answer", ""
    if isinstance(error, http.client.HTTPException):
        return f"the answer is not proper HTTP ({type(error).__name__})", ""
    if isinstance(error, OSError) and error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH):
        return f"{endpoint.host} cannot be reached from here", "check network and proxy settings"
    if isinstance(error, FileNotFoundError):
        return f"the certificate file {error.filename!r} does not exist", ""
    return f"{type(error).__name__}: {error}", ""


def _tls(error: ssl.SSLError) -> tuple[str, str]:
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return "the connection was closed without an answer", "the receiver may ask for a client certificate"
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the receiver's certificate is not trusted: {error.verify_message}",
            "name its CA in OTEL_EXPORTER_OTLP_CERTIFICATE",
        )
    reason = error.reason or str(error)
    if reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"):
        return "the receiver does not speak TLS", "use http://"
    if "CERTIFICATE_REQUIRED" in reason or "HANDSHAKE_FAILURE" in reason:
        return (
            "the receiver asks for a client certificate",
            "set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY",
        )
    return f"TLS failed: {reason}", ""
