# SPDX-License-Identifier: Apache-2.0
"""Where do the measured programs send to? A web server that takes everything: what is measured is the sender."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Answers(BaseHTTPRequestHandler):
    """Answers everything at once: any agent's or collector's protocol, and the program's own request."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # one packet an answer

    def _answer(self) -> None:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                self.rfile.read(size + 2)
            self.rfile.readline()
        else:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b"" if "protobuf" in self.headers.get("Content-Type", "") else b"{}"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = _answer

    def log_message(self, *_: Any) -> None:
        pass


class Sink(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that goes away: they are stopped with their connections open."""

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_address[1]}"


def serving() -> Sink:
    """Return a sink that serves, on a thread of its own, until the process ends."""
    sink = Sink(("127.0.0.1", 0), Answers)
    threading.Thread(target=sink.serve_forever, daemon=True).start()
    return sink
