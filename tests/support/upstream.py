# SPDX-License-Identifier: Apache-2.0
"""
A small HTTP service for clients to call, which remembers what it was sent.

::

    with Upstream() as upstream:
        requests.get(f"{upstream.url}/ok")
        upstream.seen[-1].headers["traceparent"]
"""

from __future__ import annotations

import http.server
import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl


@dataclass(frozen=True)
class Seen:
    """One request that arrived; headers with lower-case names."""

    method: str
    path: str
    headers: dict[str, str]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # headers and body in one packet: no waiting for an acknowledgement
    server: _Server

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append(Seen(self.command, self.path, headers))
        path = self.path.partition("?")[0]
        if path.startswith("/redirect"):
            left = int(path.removeprefix("/redirect") or 1) - 1
            self._reply(302, b"", {"Location": f"/redirect{left}" if left else "/ok"})
        elif path == "/says":
            self._reply(200, b"ok", dict(parse_qsl(self.path.partition("?")[2])))
        elif path == "/moved":
            self._reply(302, b"", {"Location": f"/ok?{self.path.partition('?')[2]}"})
        elif path.startswith("/flaky"):
            tries = sum(one.path == self.path for one in self.server.seen)
            self._reply(503 if tries < 3 else 200, b"ok", {})
        elif path == "/slow":
            self.server.release.wait(10)
            self._reply(200, b"ok", {})
        else:
            self._reply(200 if path == "/ok" else 404, b"ok", {"X-Request-Id": "r1"})

    do_GET = do_POST = _answer

    def _reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Silence: pytest's output is for failures."""


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.release = threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is the test's doing."""


class Upstream:
    """
    The service, on a free loopback port. ``/ok``, ``/redirectN``, ``/flaky…``, ``/slow``; else 404.

    ``/says?Name=value`` answers with these headers, ``/moved?…`` leads to ``/ok?…``.
    """

    def __init__(self) -> None:
        self._server = _Server()
        self.seen = self._server.seen
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Upstream:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.release.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
