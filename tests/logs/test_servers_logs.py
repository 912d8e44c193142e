"""Real servers under ``tellwhy run``: their log lines, and the spans that the lines belong to."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from support.otlp import OtlpReceiver
from support.program import Place

REQUESTS = 10
APP = """
import logging
from flask import Flask

app = Flask(__name__)


@app.get("/item/<int:number>")
def item(number):
    app.logger.warning("flask %d", number)
    logging.getLogger("shop.items").error("handled %d", number)
    logging.getLogger("gunicorn.error").info("gunicorn %d", number)
    return "ok"
"""
ASGI_APP = """
import logging

log = logging.getLogger("shop.asgi")


async def app(scope, receive, send):
    if scope["type"] == "http":
        log.warning("handled %s", scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})
"""
GUNICORN = ("gunicorn", "-b", "127.0.0.1:0", "shop:app")
UVICORN = ("uvicorn", "--port", "0", "--lifespan", "off", "shop:app")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, TELLWHY_DIAGNOSTICS="quiet")


def serve(place: Place, *command: str, receiver: OtlpReceiver | None = None, **variables: str) -> list[str]:
    """Start a server, ask it, wait for the spans, stop it; return the lines of its stderr and stdout."""
    with place.start(*command, **variables) as server:
        port = server.wait_for(r"http://127\.0\.0\.1:(\d+)")
        for number in range(REQUESTS):
            assert server.get(f"/item/{number}", port) == (200, "ok")
        if receiver is not None:
            receiver.spans(count=REQUESTS)
        done = server.stop()
    return (done.stderr + done.stdout).splitlines()


def test_gunicorn_lines_join_their_spans(place: Place) -> None:
    """Two workers of gunicorn, mode ``json``: each line of a request has the ids of that request's span."""
    place.write("shop.py", APP)
    with OtlpReceiver() as receiver:
        lines = serve(
            place,
            *("tellwhy", "run", *GUNICORN, "-w", "2"),
            receiver=receiver,
            TELLWHY_LOG_CORRELATION="json",
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
            OTEL_BSP_SCHEDULE_DELAY="50",
        )
        spans = {span.span_id: span for span in receiver.spans(count=REQUESTS)}

    events = [json.loads(line) for line in lines]
    joined = [event for event in events if re.fullmatch(r"(flask|handled|gunicorn) \d+", event["message"])]
    assert len(joined) == 3 * REQUESTS
    for event in joined:
        span = spans[event["span_id"]]
        assert (span.trace_id, span.service) == (event["trace_id"], event["service.name"])
        assert f"/item/{event['message'].split()[1]}" == span.attributes["url.path"]
    assert all("trace_id" not in event for event in events if event not in joined)


@pytest.mark.parametrize("server", [GUNICORN, UVICORN], ids=["gunicorn", "uvicorn"])
def test_server_lines_are_the_same(place: Place, server: tuple[str, ...]) -> None:
    """The lines of a server are those that it writes without us; in mode ``text`` too, but for the ids."""
    place.write("shop.py", APP if server is GUNICORN else ASGI_APP)
    place.environ["OTEL_TRACES_EXPORTER"] = "none"
    bare = serve(place, *server)
    fields = serve(place, "tellwhy", "run", *server)
    text = serve(place, "tellwhy", "run", *server, TELLWHY_LOG_CORRELATION="text")

    assert shapes(bare) == shapes(fields)
    assert shapes(bare) == shapes(text)


def shapes(lines: list[str]) -> list[str]:
    """Return lines without ids and numbers, sorted: a worker and its master may stop at the same time."""
    without_ids = (re.sub(r" trace_id=[0-9a-f]{32} span_id=[0-9a-f]{16}$", "", line) for line in lines)
    return sorted(re.sub(r"\d+", "N", line) for line in without_ids)
