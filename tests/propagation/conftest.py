# SPDX-License-Identifier: Apache-2.0
"""A service under test, spoken to over a bare socket, and the service behind it, which sees what is passed on."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from support.otlp import OtlpReceiver
from support.program import Place
from support.upstream import Seen, Upstream

COMMANDS = {
    "flask": "gunicorn --no-control-socket -w 1 --threads 2 --bind 127.0.0.1:0 passes_on:app",
    "fastapi": "uvicorn --port 0 passes_on:asgi",
}

Headers = list[tuple[str, str]]


class Service:
    """A running service; ``ask`` returns what the service behind it was sent."""

    def __init__(self, port: int, upstream: Upstream, receiver: OtlpReceiver) -> None:
        self.port = port
        self.upstream = upstream
        self.receiver = receiver

    def ask(self, headers: Headers, times: int = 1) -> list[Seen]:
        """Send one request with exactly these header lines."""
        self.upstream.seen.clear()
        lines = [
            f"GET /pass-on?times={times}&to={self.upstream.url}/ok HTTP/1.1",
            "Host: service",
            "Connection: close",
            *(f"{name}:{value}" for name, value in headers),
        ]
        with socket.create_connection(("127.0.0.1", self.port), 20) as connection:
            connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        assert b" 200 OK" in answer.partition(b"\r\n")[0], answer
        assert len(self.upstream.seen) == times
        return list(self.upstream.seen)


@contextmanager
def _running(folder: Path, framework: str, **variables: str) -> Iterator[Service]:
    folder.mkdir(exist_ok=True)
    with OtlpReceiver() as receiver, Upstream() as upstream:
        place = Place(folder, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, OTEL_BSP_SCHEDULE_DELAY="50", **variables)
        shutil.copy(Path(__file__).parent / "programs" / "passes_on.py", place.folder)
        with place.start("tellwhy", "run", *COMMANDS[framework].split()) as running:
            port = running.wait_for(r"(?:Listening at:|running on) http://127.0.0.1:(\d+)")
            service = Service(int(port), upstream, receiver)
            service.ask([])  # it serves
            yield service
            assert "Traceback" not in running.stderr


@pytest.fixture(scope="module", params=list(COMMANDS))
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service with the default settings, in each framework."""
    with _running(tmp_path_factory.mktemp("service"), request.param) as found:
        yield found


@pytest.fixture
def serving(tmp_path: Path) -> Callable[..., AbstractContextManager[Service]]:
    """Runs the service with other settings: ``with serving("flask", TELLWHY_TRUST_INCOMING="never") as service``."""
    return lambda framework, **variables: _running(tmp_path / framework, framework, **variables)
