# SPDX-License-Identifier: Apache-2.0
"""
AWS Lambda's side of a function: the Runtime API, and the freezer.

``awslambdaric``, the client that every Python function on Lambda runs in, asks
this for the next invocation and posts its replies here. Like Lambda, this
stops the whole process in the moment that a reply has been taken, and lets it
go on only with the next event; an invocation that takes too long ends with
kill -9.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import http.server
import json
import os
import queue
import signal
import threading
import time
from typing import Any

_PREFIX = "/2018-06-01/runtime"


class Runtime:
    """A Runtime API on a port of its own; use it in a ``with`` statement."""

    def __init__(self) -> None:
        self.pid = 0
        self._events: queue.Queue[tuple[str, dict[str, Any], float]] = queue.Queue()
        self._replies: queue.Queue[tuple[str, Any, float]] = queue.Queue()
        self._number = 0
        runtime = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                name, event, seconds = runtime._events.get()
                self._answer(200, json.dumps(event).encode(), {
                    "Content-Type": "application/json",
                    "Lambda-Runtime-Aws-Request-Id": name,
                    "Lambda-Runtime-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1",
                    "Lambda-Runtime-Deadline-Ms": str(int((time.time() + seconds) * 1000)),
                    "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-west-1:123456789012:function:shop",
                })  # fmt: skip

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                if self.headers.get("transfer-encoding") == "chunked":
                    body = self._chunks()
                os.kill(runtime.pid, signal.SIGSTOP)
                runtime._replies.put((self.path.rpartition("/")[2], json.loads(body), time.monotonic()))
                self._answer(202, b"")

            def _chunks(self) -> bytes:
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_: Any) -> None:
                """Nothing: a function that is killed hangs up."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"

    def invoke(self, event: dict[str, Any], seconds: float = 30.0, timeout: float = 30.0) -> tuple[str, Any, float]:
        """
        Send an event, with so many seconds until its deadline, and wait until the process is frozen.

        Returns how it replied ("response" or "error"), with what, and after how many seconds.
        """
        started = time.monotonic()
        self.send(event, seconds)
        kind, reply, at = self._replies.get(timeout=timeout)
        return kind, reply, at - started

    def send(self, event: dict[str, Any], seconds: float = 30.0) -> None:
        """Thaw the process and send an event."""
        self._number += 1
        self._events.put((f"request-{self._number}", event, seconds))
        os.kill(self.pid, signal.SIGCONT)

    def __enter__(self) -> Runtime:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
