# SPDX-License-Identifier: Apache-2.0
"""Who answers at the port? A small HTTP server on threads of its own, which makes no spans and no log lines."""

from __future__ import annotations

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tellwhy import diagnostics
from tellwhy._version import __version__
from tellwhy.delivery.suppression import untraced
from tellwhy.metrics.openmetrics import OPENMETRICS, TEXT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

_POLL: Final = 0.25  # seconds


class Server:
    """
    The port, and what is answered there.

    Args:

        address: Host and port.

        page: Returns the text, given ``openmetrics_wanted``.

    Raises:

        OSError: The port is taken.
    """

    def __init__(self, address: tuple[str, int], page: Callable[..., str]) -> None:
        self._http = _Http(address, _Handler)
        self._http.page = page
        self.address = "{}:{}".format(*self._http.server_address[:2])
        threading.Thread(target=untraced, args=(self._serve,), name="tellwhy-scrape", daemon=True).start()

    def close(self) -> None:
        """
        Let the port go, without waiting for the thread to notice; the system may keep it for a moment.

        In a forked child it is this process's copy of the socket: the parent serves on.
        """
        self._http.socket.close()

    def _serve(self) -> None:
        try:
            self._http.serve_forever(poll_interval=_POLL)
        except (OSError, ValueError):  # the socket was closed under it: that is the end
            return


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    page: Callable[..., str]

    def server_bind(self) -> None:
        """Bind without asking the name service for our own name, which may take seconds."""
        import socketserver

        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer on a thread of its own, untraced as the server is."""
        untraced(lambda: super(_Http, self).process_request_thread(request, client_address))

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: whoever scrapes may hang up."""


class _Handler(BaseHTTPRequestHandler):
    server_version = f"tellwhy/{__version__}"
    sys_version = ""
    timeout = 10.0

    def do_GET(self) -> None:
        """Answer ``/metrics``, in the format that is asked for."""
        if self.path.partition("?")[0] not in ("/metrics", "/"):
            self.send_error(404)
            return
        wanted = "application/openmetrics-text" in self.headers.get("accept", "")
        try:
            http: Any = self.server
            body = http.page(openmetrics_wanted=wanted).encode()
        except Exception as error:
            diagnostics.fault("metrics: being scraped", error)
            self.send_error(500)
            return
        self.send_response(200)
        self.send_header("content-type", OPENMETRICS if wanted else TEXT)
        if "gzip" in self.headers.get("accept-encoding", ""):
            body = gzip.compress(body, 1)
            self.send_header("content-encoding", "gzip")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing on the program's stderr."""
