# SPDX-License-Identifier: Apache-2.0
"""Is a server traced whose workers are forked, spawned or reloaded? Every worker, each request once."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path
from shutil import which

import pytest

from support.otlp import OtlpReceiver, ReceivedSpan
from support.program import Place, Running, lines_of_others, wait_until

REQUESTS = 12
UWSGI = which("uwsgi", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))


def _ask(server: Running, port: str) -> set[int]:
    """Send the requests and return the process ids that answered."""
    return {int(server.get("/pid", port)[1]) for _ in range(REQUESTS)}


def _servers(spans: list[ReceivedSpan]) -> list[ReceivedSpan]:
    return [span for span in spans if span.kind == "SERVER"]


def _assert_every_worker_delivered(spans: list[ReceivedSpan], pids: set[int]) -> None:
    """One span per request; each process with one instance id of its own; the supervisor with nothing."""
    assert len(spans) == REQUESTS
    assert {span.name for span in spans} == {"GET /pid"}
    instances = {(span.resource["process.pid"], span.resource["service.instance.id"]) for span in spans}
    assert {pid for pid, _ in instances} == pids
    assert len({instance for _, instance in instances}) == len(pids)
    assert len({span.trace_id for span in spans}) == REQUESTS


@pytest.mark.parametrize("flags", [[], ["--preload"], ["--threads", "4"]], ids=["lazy", "preload", "threads"])
def test_gunicorn(place: Place, receiver: OtlpReceiver, flags: list[str]) -> None:
    """``gunicorn -w 2``: each worker delivers what it served, also when the application was loaded before the fork."""
    place.copy("flask_app.py")

    with place.start("tellwhy", "run", "gunicorn", "-w", "2", "-b", "127.0.0.1:0", *flags, "flask_app:app") as server:
        port = server.wait_for(r"Listening at: http://127.0.0.1:(\d+)")
        server.wait_for("Booting worker", count=2)
        pids = _ask(server, port)
        done = server.stop(signal.SIGTERM)

    assert done.returncode == 0
    spans = receiver.spans(count=REQUESTS)
    _assert_every_worker_delivered(spans, pids)
    assert {span.service for span in spans} == {"flask_app"}
    assert done.stderr.count("tellwhy: ") == 1, done.stderr


@pytest.mark.skipif(UWSGI is None, reason="uWSGI is not installed")
@pytest.mark.parametrize("flags", [[], ["--lazy-apps"], ["--enable-threads"]], ids=["plain", "lazy", "threads"])
def test_uwsgi(place: Place, receiver: OtlpReceiver, engine: str, flags: list[str]) -> None:
    """``uwsgi --master``: forks behind Python's back; each worker delivers what it served, under its own id."""
    place.copy("flask_app.py")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])

    with place.start(
        "tellwhy", "run", str(UWSGI), "--master", "--processes", "2", "--module", "flask_app:app", "--die-on-term",
        "--http-socket", f"127.0.0.1:{port}", "--virtualenv", sys.prefix, *flags,
    ) as server:  # fmt: skip
        server.wait_for("spawned uWSGI worker 2")
        server.wait_for("WSGI app 0", count=2 if flags == ["--lazy-apps"] else 1)  # SIGTERM would end the loading alone
        pids = _ask(server, port)
        server.wait_for("GET /pid => generated", count=REQUESTS)
        server.stop(signal.SIGTERM)

    spans = _servers(receiver.spans(count=REQUESTS))
    assert len({span.span_id for span in spans}) == REQUESTS
    if engine == "lean" or flags == ["--lazy-apps"]:  # the SDK does not find out that it was forked
        _assert_every_worker_delivered(spans, pids)
    assert {span.service for span in spans} == {"flask_app"}


@pytest.mark.parametrize("flags", [[], ["--debug"]], ids=["plain", "debug"])
def test_flask_run(place: Place, receiver: OtlpReceiver, flags: list[str]) -> None:
    """``flask run``: one span per request, with the reloader too, and after it has reloaded."""
    place.copy("flask_app.py")
    place.environ["OTEL_BSP_SCHEDULE_DELAY"] = "50"
    command = ["tellwhy", "run", "flask", "--app", "flask_app", "run", "--port", "0", *flags]

    with place.start(*command) as server:
        port = server.wait_for(r"Running on http://127.0.0.1:(\d+)")
        if flags:
            server.wait_for("Debugger is active")
        pids = _ask(server, port)
        spans = receiver.spans(count=REQUESTS)
        _assert_every_worker_delivered(spans, pids)
        if flags:
            assert pids != {server.process.pid}
            source = (place.folder / "flask_app.py").read_text()
            place.write("flask_app.py", source.replace('"/hello/<name>"', '"/hi/<name>"'))
            server.wait_for("Debugger is active", count=2)
            assert server.get("/hi/ann", port) == (200, "hello ann")
            assert receiver.spans(count=REQUESTS + 1)[-1].name == "GET /hi/<name>"
        done = server.stop(signal.SIGINT)

    assert {span.service for span in spans} == {"flask_app"}
    assert done.stderr.count("tellwhy: ") == 1, done.stderr


def test_uvicorn_workers(place: Place, receiver: OtlpReceiver) -> None:
    """``uvicorn --workers 2``: spawned workers are traced under the name of the application."""
    place.copy("asgi_app.py")
    place.environ["OTEL_BSP_SCHEDULE_DELAY"] = "50"

    with place.start("tellwhy", "run", "uvicorn", "--workers", "2", "--port", "0", "asgi_app:app") as server:
        port = server.wait_for(r"running on http://127.0.0.1:(\d+)")
        server.wait_for("Application startup complete", count=2)
        pids = _ask(server, port)
        wait_until(lambda: len(_servers(receiver.spans())) >= REQUESTS, f"{REQUESTS} server spans")
        server.stop(signal.SIGTERM)

    spans = _servers(receiver.spans())
    _assert_every_worker_delivered(spans, pids)
    assert server.process.pid not in pids
    assert {span.service for span in spans} == {"asgi_app"}


@pytest.mark.servers
def test_celery_prefork(place: Place, receiver: OtlpReceiver, redis_server: str) -> None:
    """A task sent by one process and run by a forked worker of another is one trace; every task is delivered."""
    place.copy("celery_app.py")
    place.environ |= {
        "BROKER": redis_server,
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "redis",
    }
    worker = ["tellwhy", "run", "celery", "-A", "celery_app", "worker", "-c", "2", "-l", "info"]

    with place.start(*worker) as running:
        running.wait_for("ready")
        done = place.wrapped("python", "celery_app.py")
        assert (done.returncode, done.stdout) == (0, "[0, 2, 4, 6]\n"), done.stderr
        spans = receiver.spans(count=8)
        running.stop(signal.SIGTERM)

    sent = {span.trace_id: span for span in spans if span.kind == "PRODUCER"}
    run = [span for span in spans if span.kind == "CONSUMER"]
    assert len(sent) == len(run) == 4
    for span in run:
        assert span.parent_span_id == sent[span.trace_id].span_id
        assert span.resource["process.pid"] != running.process.pid
    assert {span.service for span in spans} == {"celery_app"}


def test_server_says_what_it_says(place: Place) -> None:
    """The wrapped server's own lines on stderr are those of the bare one."""
    place.copy("flask_app.py")
    seen = []
    for wrapper in ([], ["tellwhy", "run"]):
        with place.start(*wrapper, "flask", "--app", "flask_app", "run", "--port", "0") as server:
            port = server.wait_for(r"Running on http://127.0.0.1:(\d+)")
            server.get("/hello/ann", port)
            server.wait_for("GET /hello/ann")
            done = server.stop(signal.SIGINT)
        lines = [line.partition("[")[0] for line in lines_of_others(done.stderr)]
        seen.append([line.replace(port, "PORT") for line in lines])

    expected, actual = seen
    assert actual == expected
