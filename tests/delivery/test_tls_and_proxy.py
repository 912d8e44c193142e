# SPDX-License-Identifier: Apache-2.0
"""The connection itself: TLS with a custom CA and client certificates, and proxies between."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from opentelemetry.sdk.trace import TracerProvider

from faults.receiver import FaultyReceiver
from support.otlp import OtlpReceiver
from tellwhy.delivery import OTLPSpanExporter


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def attempt(exporter: OTLPSpanExporter) -> Any:
    span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("one")
    span.end()
    return exporter.attempt([span], time.monotonic() + 5)


def test_a_custom_ca_is_trusted(server_context: ssl.SSLContext, ca_file: str) -> None:
    """And nothing else: the same receiver without the file is refused, in words."""
    with OtlpReceiver(ssl_context=server_context) as receiver:
        url = receiver.endpoint + "/v1/traces"
        refused = attempt(OTLPSpanExporter(url))
        exporter = OTLPSpanExporter(url, certificate_file=ca_file)
        assert attempt(exporter).error is None
        assert attempt(exporter).error is None
        assert len(receiver.spans()) == 2

    assert len(refused.left) == 1
    assert "certificate is not trusted" in refused.error
    assert "OTEL_EXPORTER_OTLP_CERTIFICATE" in refused.error


def test_mutual_tls(server_context: ssl.SSLContext, authority: trustme.CA, ca_file: str, tmp_path: Path) -> None:
    """A receiver that asks for a client certificate gets it; without one the remedy is named."""
    authority.configure_trust(server_context)
    server_context.verify_mode = ssl.CERT_REQUIRED
    client = authority.issue_cert("client@example.com")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    client.private_key_pem.write_to_path(str(key))
    client.cert_chain_pems[0].write_to_path(str(certificate))
    with OtlpReceiver(ssl_context=server_context) as receiver:
        url = receiver.endpoint + "/v1/traces"
        with_certificate = OTLPSpanExporter(url, ca_file, str(key), str(certificate))
        assert attempt(with_certificate).error is None
        without = attempt(OTLPSpanExporter(url, ca_file))

    assert "client certificate" in without.error or "closed without an answer" in without.error


def test_tls_to_a_plaintext_port_and_back(ca_file: str, server_context: ssl.SSLContext) -> None:
    """Both mistakes are named."""
    with OtlpReceiver() as receiver:
        words = attempt(OTLPSpanExporter(f"https://127.0.0.1:{receiver.port}/v1/traces", ca_file)).error
    assert words == "the receiver does not speak TLS (use http://)"

    with OtlpReceiver(ssl_context=server_context) as receiver:
        words = attempt(OTLPSpanExporter(f"http://127.0.0.1:{receiver.port}/v1/traces")).error
    assert "closed without an answer" in words or "not HTTP" in words


def test_a_certificate_file_that_is_missing_is_named() -> None:
    """The file may still appear (a mounted secret): the spans are kept."""
    tried = attempt(OTLPSpanExporter("https://127.0.0.1:1/v1/traces", "/nowhere/ca.pem"))

    assert len(tried.left) == 1
    assert "certificate" in tried.error
    assert "does not exist" in tried.error


class Proxy:
    """A forward proxy that tunnels CONNECT and answers everything else itself; notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            chunk = client.recv(65536)
            if not chunk:
                return
            head += chunk
        self.asked.append(head.decode("latin-1"))
        verb, target, _ = head.split(b" ", 2)
        if verb != b"CONNECT":
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            return
        host, _, port = target.decode().rpartition(":")
        upstream = socket.create_connection((host, int(port)))
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        threading.Thread(target=_pump, args=(upstream, client), daemon=True).start()
        _pump(client, upstream)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while chunk := source.recv(65536):
            sink.sendall(chunk)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    running = Proxy()
    yield running
    running.close()


def test_plain_http_goes_through_the_proxy(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the absolute URL, and the proxy's own credentials."""
    monkeypatch.setenv("http_proxy", f"http://me:pa%3Ass@127.0.0.1:{proxy.port}")

    assert attempt(OTLPSpanExporter("http://collector.example:4318/v1/traces")).error is None
    assert proxy.asked[0].startswith("POST http://collector.example:4318/v1/traces HTTP/1.1\r\n")
    assert "Proxy-Authorization: Basic bWU6cGE6c3M=" in proxy.asked[0]


def test_https_is_tunnelled(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch, server_context: ssl.SSLContext, ca_file: str
) -> None:
    """CONNECT first, TLS with the receiver inside: the proxy sees no header of ours."""
    with OtlpReceiver(ssl_context=server_context) as receiver:
        monkeypatch.setenv("HTTPS_PROXY", f"127.0.0.1:{proxy.port}")
        exporter = OTLPSpanExporter(receiver.endpoint + "/v1/traces", ca_file, headers={"authorization": "secret"})
        assert attempt(exporter).error is None
        assert len(receiver.spans()) == 1

    assert proxy.asked[0].startswith(f"CONNECT 127.0.0.1:{receiver.port} ")
    assert "secret" not in "".join(proxy.asked)


@pytest.mark.parametrize("exempt", ["127.0.0.1", "*", "example.org,127.0.0.1"])
def test_no_proxy_is_honoured(proxy: Proxy, monkeypatch: pytest.MonkeyPatch, exempt: str) -> None:
    """Local receivers are usually exempt."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("no_proxy", exempt)
    with FaultyReceiver() as receiver:
        assert attempt(OTLPSpanExporter(receiver.endpoint + "/v1/traces")).error is None
        assert receiver.unique == 1

    assert proxy.asked == []


@pytest.mark.parametrize("url", ["socks5://127.0.0.1:1080", "http://", "http://host:notaport"])
def test_a_proxy_that_we_cannot_use_is_said(monkeypatch: pytest.MonkeyPatch, capfd: Any, url: str) -> None:
    """And the spans go without it."""
    monkeypatch.setenv("http_proxy", url)
    with FaultyReceiver() as receiver:
        assert attempt(OTLPSpanExporter(receiver.endpoint + "/v1/traces")).error is None

    assert "proxy" in capfd.readouterr().err


def test_every_address_of_a_host_is_tried_within_one_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with a dead address first: the living one is found; with dead ones only, the time is kept."""
    with FaultyReceiver() as receiver, socket.create_server(("127.0.0.1", 0)) as closed:
        dead = closed.getsockname()
        closed.close()
        real = socket.getaddrinfo

        def two_addresses(host: str, *arguments: Any, **keywords: Any) -> Any:
            if host not in ("twofold.example", b"twofold.example"):
                return real(host, *arguments, **keywords)
            living = ("127.0.0.1", receiver.port)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in (dead, living)]

        monkeypatch.setattr(socket, "getaddrinfo", two_addresses)

        assert attempt(OTLPSpanExporter("http://twofold.example:1/v1/traces")).error is None
        assert receiver.unique == 1
