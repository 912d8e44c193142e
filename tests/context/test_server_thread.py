# SPDX-License-Identifier: Apache-2.0
"""A server whose thread was started in a span: its requests are the callers', and no part of that span."""

from __future__ import annotations

from support.otlp import OtlpReceiver
from support.program import Place

PROGRAM = """
import threading, urllib.request
from werkzeug.serving import make_server
from flask import Flask
import tellwhy

app = Flask("shop")

@app.get("/hello")
def hello():
    return "ok"

server = make_server("127.0.0.1", 0, app, threaded=True)
with tellwhy.span("start"):
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for headers in ({"traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01"}, {}):
        urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{server.port}/hello", headers=headers)).read()
"""


def test_requests_are_servers_spans(place: Place, receiver: OtlpReceiver) -> None:
    place.write("serves.py", PROGRAM)
    done = place.wrapped("python", "serves.py")

    assert done.returncode == 0, done.stderr
    spans = receiver.spans(count=3)
    called, alone = sorted(
        (span for span in spans if span.kind == "SERVER"), key=lambda span: span.parent_span_id == ""
    )
    assert (called.trace_id, called.parent_span_id) == ("1" * 32, "2" * 16)
    (start,) = [span for span in spans if span.name == "start"]
    assert alone.parent_span_id == ""
    assert alone.trace_id != start.trace_id
