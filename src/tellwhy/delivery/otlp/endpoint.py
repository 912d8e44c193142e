# SPDX-License-Identifier: Apache-2.0
"""
Where does a signal go? The specification's two forms of an endpoint, and the usual slips.

https://opentelemetry.io/docs/specs/otel/protocol/exporter/#endpoint-urls-for-otlphttp:
the generic endpoint is a base URL and gets ``/v1/traces`` (or ``/v1/logs``, …)
appended, the one for a signal is used as it is.
"""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from tellwhy.delivery.signal import TRACES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from tellwhy.delivery.signal import Signal

GRPC_PORT: Final = 4317
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_PRIVATE_SUFFIXES: Final = (".local", ".localhost", ".internal", ".svc", ".lan", ".home.arpa")


class Endpoint:
    """
    One destination, in the parts that a connection needs.

    Attributes:
        scheme: ``http`` or ``https``.
        host: Name or address, without the brackets of IPv6.
        port: The port, the scheme's default included.
        target: Path and query.
        userinfo: ``user:password`` of the URL, to be sent as basic authentication; or None.
        notes: What a user should know about how the text was understood.
        signal: What is sent there.
    """

    __slots__ = ("host", "notes", "port", "scheme", "signal", "target", "userinfo")

    def __init__(
        self,
        scheme: str,
        host: str,
        port: int,
        target: str,
        userinfo: str | None,
        notes: tuple[str, ...],
        signal: Signal,
    ) -> None:
        self.scheme = scheme
        self.host = host
        self.port = port
        self.target = target
        self.userinfo = userinfo
        self.notes = notes
        self.signal = signal

    @property
    def netloc(self) -> str:
        """Host and port as in a URL; the scheme's default port is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The full URL, without credentials."""
        return f"{self.scheme}://{self.netloc}{self.target}"

    def __str__(self) -> str:
        """Return the URL as people may see it: without query, which may carry a token."""
        return self.url.partition("?")[0]


def resolve(generic: str | None, per_signal: str | None, signal: Signal = TRACES) -> Endpoint:
    """
    Return where a signal goes, from the two settings; its own wins.

    Args:

        generic: ``OTEL_EXPORTER_OTLP_ENDPOINT``, a base URL.

        per_signal: ``OTEL_EXPORTER_OTLP_TRACES_ENDPOINT``, a full URL.

        signal: Which signal.

    Raises:
        ValueError: If the text is no URL of a receiver; the message says what would be.
    """
    if per_signal:
        return parse(per_signal, signal)
    return parse(generic or "http://localhost:4318", signal, append=signal.path)


def parse(text: str, signal: Signal = TRACES, *, append: str = "") -> Endpoint:
    """
    Take a URL apart.

    Args:

        text: The URL. A missing scheme, blanks and quotes around it are forgiven and noted.

        signal: What is sent there.

        append: The path to add to a base URL.

    Raises:
        ValueError: If it is no URL of a receiver; the message says what would be.
    """
    notes: list[str] = []
    url = _with_scheme(_unquoted(text, notes), notes)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"{_shown(url)!r} is no URL: {error}") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError(f"{_shown(url)!r}: the scheme must be http or https, not {parts.scheme}")
    if not host or any(character in url for character in "\r\n\t ") or not url.isprintable():
        raise ValueError(f"{_shown(url)!r} is no URL: expected http://host:4318")
    path = parts.path or "/"
    if append:
        if path.rstrip("/").endswith(append):
            notes.append(
                f"the base URL ends in {append} already and gets it appended once more; leave it out there, or "
                f"set {signal.variable('endpoint')}, which is used as it is"
            )
        path = path.rstrip("/") + append
    port = port or _DEFAULT_PORTS[parts.scheme]
    if port == GRPC_PORT:
        notes.append("port 4317 is by convention the gRPC port; OTLP over HTTP is usually on 4318")
    target = path + (f"?{parts.query}" if parts.query else "")
    userinfo = unquote(parts.netloc.rpartition("@")[0]) or None
    return Endpoint(parts.scheme, host, port, target, userinfo, tuple(notes), signal)


def is_private(host: str) -> bool:
    """Tell whether a host is local or private, so that plain HTTP to it is the likely intention."""
    host = host.rstrip(".").lower()
    if host.endswith(_PRIVATE_SUFFIXES):
        return True
    from ipaddress import ip_address

    try:
        address = ip_address(host)
    except ValueError:
        return "." not in host  # localhost, or the name of a container beside ours
    return address.is_private or address.is_loopback or address.is_link_local


def _unquoted(text: str, notes: list[str]) -> str:
    url = text.strip()
    if len(url) > 1 and url[0] == url[-1] and url[0] in "\"'":
        notes.append("quotes around the endpoint were taken off")
        url = url[1:-1].strip()
    return url


def _with_scheme(url: str, notes: list[str]) -> str:
    if "://" in url or not url:
        return url
    host = urlsplit(f"//{url}").netloc.rpartition("@")[2]
    host = host.partition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
    scheme = "http" if is_private(host) else "https"
    notes.append(f"the endpoint has no scheme; {scheme}:// is assumed")
    return f"{scheme}://{url}"


def _shown(url: str) -> str:
    """Return the URL without credentials and query, for a message."""
    head, separator, rest = url.partition("://")
    return head + separator + rest.rpartition("@")[2].partition("?")[0]
