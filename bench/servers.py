# SPDX-License-Identifier: Apache-2.0
"""
What the measured programs talk to: real PostgreSQL and Redis, a web server, and a sink for what they export.

The web server and the sink are one process of its own, so that their time is nobody's.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tellwhy.demo.databases import Address, start_postgres, start_redis
from tellwhy.demo.processes import Processes, clean_environ


class _Answers(BaseHTTPRequestHandler):
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


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that goes away: they are stopped with their connections open."""


def main() -> None:
    """Serve until stdin is closed."""
    server = _Server(("127.0.0.1", 0), _Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


@contextmanager
def running() -> Iterator[dict[str, str]]:
    """Start all of them; yields the variables by which the measured program finds them."""
    database, cache = Address(), Address()
    web = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert web.stdin is not None and web.stdout is not None
    try:
        with Processes() as processes:
            environ = clean_environ(os.environ)
            start_postgres(processes, environ, database)
            start_redis(processes, environ, cache)
            url = f"http://127.0.0.1:{int(web.stdout.readline())}"
            yield {
                "BENCH_POSTGRES": database.postgres_url,
                "BENCH_REDIS": cache.redis_url,
                "BENCH_URL": f"{url}/ok",
                "BENCH_SENTRY_DSN": url.replace("://", "://key@") + "/1",
                "OTEL_EXPORTER_OTLP_ENDPOINT": url,
                "DD_TRACE_AGENT_URL": url,
            }
    finally:
        web.stdin.close()
        web.wait(20)


if __name__ == "__main__":
    main()
