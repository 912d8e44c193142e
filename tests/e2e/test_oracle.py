# SPDX-License-Identifier: Apache-2.0
"""
Do both engines send the same? One program, run with each, and what arrived compared field by field.

Left out of the comparison are ids (their relations are compared), times that the
program did not give, and what names a process.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from support.otlp import OtlpReceiver
from support.program import Place

BY_HAND = """
import sys
from opentelemetry import context, propagate, trace
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

early = trace.get_tracer("before.setup", "0.9")
import tellwhy
tellwhy.setup_tracing()
tracer = trace.get_tracer("shop", "1.2", None, "https://example.org/schema", {"team": "pay"})
plain = trace.get_tracer("plain")

VALUES = {
    "str": "käse \\U0001f9c0", "empty": "", "int": -7, "large": 2**62, "float": 0.1, "true": True, "false": False,
    "strs": ["a", "b"], "ints": (1, 2), "floats": [1.5], "bools": [True, False], "none": [], "bytes": b"\\x00\\xff",
}

with early.start_as_current_span("everything", kind=SpanKind.SERVER, attributes=VALUES) as root:
    root.set_attribute("again", 1)
    root.set_attribute("again", 2)
    root.set_attributes({"more": "x", "int": 8})
    root.add_event("event", {"n": 1, "list": [1, 2]}, timestamp=1_700_000_000_000_000_000)
    root.add_event("bare")
    for kind in SpanKind:
        with tracer.start_as_current_span(f"kind {kind.name}", kind=kind) as child:
            child.update_name(f"renamed {kind.name}")
    timed = plain.start_span("timed", start_time=1_700_000_000_000_000_000)
    timed.end(end_time=1_700_000_001_000_000_007)
    other = timed.get_span_context()
    with plain.start_as_current_span("linked", links=[Link(other, {"why": "retry"})]) as linked:
        linked.add_link(root.get_span_context())
    for status in (Status(StatusCode.OK), Status(StatusCode.ERROR, "no"), Status(StatusCode.UNSET)):
        with plain.start_as_current_span(f"status {status.status_code.name}") as one:
            one.set_status(status)
    with plain.start_as_current_span("ok is final") as one:
        one.set_status(StatusCode.OK)
        one.set_status(StatusCode.ERROR, "too late")
    try:
        with plain.start_as_current_span("fails"):
            {}["missing"]
    except KeyError:
        pass
    try:
        with plain.start_as_current_span("fails quietly", record_exception=False, set_status_on_exception=False):
            raise ValueError("x")
    except ValueError:
        pass
    with plain.start_as_current_span("recorded") as one:
        one.record_exception(OSError(2, "gone"), {"retry": True}, escaped=True)
    with plain.start_as_current_span("over the limits") as one:
        for number in range(140):
            one.set_attribute(f"a{number}", number)
            one.add_event(f"e{number}", {f"k{n}": n for n in range(3)})

remote = propagate.extract({
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "vendor=1,other=2",
})
with tracer.start_as_current_span("from afar", context=remote, kind=SpanKind.SERVER):
    with tracer.start_as_current_span("below"):
        headers = {}
        propagate.inject(headers)
        trace.get_current_span().set_attribute("sent.state", headers["tracestate"])
        trace.get_current_span().set_attribute("sent.trace", headers["traceparent"][:35])
unsampled = propagate.extract({"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"})
with tracer.start_as_current_span("never seen", context=unsampled):
    with tracer.start_as_current_span("nor this"):
        pass

@tracer.start_as_current_span("decorated")
def decorated():
    with tracer.start_as_current_span("inside"):
        return 1

decorated()
decorated()
"""

LIBRARIES = """
import threading, sys
from wsgiref.simple_server import WSGIRequestHandler, make_server

import flask, requests

class Silent(WSGIRequestHandler):
    def log_message(self, *_): pass

app = flask.Flask("shop")

@app.get("/orders/<int:number>")
def order(number):
    return {"number": number}

@app.get("/broken")
def broken():
    raise RuntimeError("broken")

server = make_server("127.0.0.1", 0, app, handler_class=Silent)
threading.Thread(target=server.serve_forever, daemon=True).start()
base = f"http://127.0.0.1:{server.server_port}"
for path in ("/orders/7?page=2", "/nowhere", "/broken"):
    requests.get(base + path, headers={"user-agent": "oracle"})
try:
    requests.get("http://127.0.0.1:1/refused")
except requests.ConnectionError:
    pass
server.shutdown()
"""

DECORATED = """
import asyncio
import tellwhy
from typing import Annotated
from tellwhy import SpanAttr, traced, setup_tracing

setup_tracing()

@traced("pay", kind="client", attributes={"currency": "EUR"})
def pay(order: Annotated[str, SpanAttr("order.id")], amount: int):
    tellwhy.annotate({"amount": amount})
    tellwhy.event("asked", bank="north")
    if amount < 0:
        raise ValueError("negative")
    return amount

@traced
def rows():
    for number in range(3):
        with tellwhy.span("row", number=number):
            yield number

@traced
async def wait():
    await asyncio.sleep(0)
    tellwhy.annotate_root({"tenant": "acme"})
    tellwhy.fail("declined")

with tellwhy.span("all"):
    pay("A-1", 3)
    try:
        pay("A-2", -1)
    except ValueError:
        pass
    list(rows())
    asyncio.run(wait())
"""

_OF_THE_PROCESS = ("service.instance.id", "process.pid", "process.creation.time", "thread.id")
_SDKS_FRAME = re.compile(r'  File "[^"]*/opentelemetry/(?:trace|sdk)/.*\n(?:    .*\n)+')
_PORTS = ("server.port", "client.port", "network.peer.port")


@pytest.fixture
def engine() -> str:
    """Each test here runs both, one after the other."""
    return "lean"


def _any(value: Any) -> Any:
    """Return a value as Python's, arrays as tuples."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return tuple(_any(item) for item in value.array_value.values)
    return (kind, getattr(value, kind)) if kind else None


def _same(text: str, names: dict[str, str]) -> str:
    """Return a text without what differs from run to run, and without the SDK's own frames in a stack."""
    for name, instead in names.items():
        text = text.replace(name, instead)
    return _SDKS_FRAME.sub("", text)


def _attributes(pairs: Any, names: dict[str, str]) -> dict[str, Any]:
    values = {pair.key: _any(pair.value) for pair in pairs if pair.key not in _OF_THE_PROCESS}
    for name, value in values.items():
        if name in _PORTS:
            values[name] = "<port>"
        elif isinstance(value, tuple) and value and isinstance(value[-1], str):
            values[name] = (value[0], _same(value[-1], names))
    return values


def _spans(receiver: OtlpReceiver) -> list[tuple[Any, Any, Any]]:
    return [
        (of_resource, of_scope, span)
        for message in receiver.messages("/v1/traces")
        for of_resource in message.resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    ]


def _told(receiver: OtlpReceiver, differs: dict[str, str]) -> list[dict[str, Any]]:
    """Return what arrived, in the order in which the spans ended, with names in the place of ids."""
    assert receiver.problems == []
    found = _spans(receiver)
    names = {span.span_id: span.name for *_, span in found}
    traces: dict[bytes, int] = {}
    return [
        {
            "name": span.name,
            "trace": traces.setdefault(span.trace_id, len(traces)),
            "parent": names.get(span.parent_span_id, span.parent_span_id),
            "kind": span.kind,
            "flags": span.flags,
            "state": span.trace_state,
            "status": (span.status.code, _same(span.status.message, differs)),
            "attributes": _attributes(span.attributes, differs),
            "events": [
                (event.name, _attributes(event.attributes, differs), event.dropped_attributes_count)
                for event in span.events
            ],
            "links": [(names.get(link.span_id), _attributes(link.attributes, {}), link.flags) for link in span.links],
            "dropped": (span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count),
            "given times": [
                time
                for time in (
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    *(e.time_unix_nano for e in span.events),
                )
                if time < 1_750_000_000_000_000_000
            ],
            "scope": (of_scope.scope.name, of_scope.scope.version, _attributes(of_scope.scope.attributes, {})),
            "schemas": (of_resource.schema_url, of_scope.schema_url),
            "resource": _attributes(of_resource.resource.attributes, {}),
        }
        for of_resource, of_scope, span in found
    ]


def _with_each(tmp_path: Path, code: str, **environ: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    told = []
    for engine in ("lean", "sdk"):
        folder = tmp_path / engine
        folder.mkdir()
        with OtlpReceiver() as receiver:
            place = Place(folder, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, TELLWHY_ENGINE=engine, **environ)
            place.write("program.py", code)
            done = place.run("tellwhy", "run", "python", "program.py")
            assert done.returncode == 0, done.stderr
            ports = {
                str(_any(pair.value)[1]) for *_, span in _spans(receiver) for pair in span.attributes
                if pair.key == "server.port" and _any(pair.value)[1] != 1
            }  # fmt: skip
            told.append(_told(receiver, {str(folder): "<folder>", **dict.fromkeys(ports, "<port>")}))
    return told[0], told[1]


@pytest.mark.parametrize(
    "limits",
    [
        {},
        {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "5", "OTEL_SPAN_EVENT_COUNT_LIMIT": "2", "OTEL_SPAN_LINK_COUNT_LIMIT": "1"},
        {"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "3", "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT": "1"},
    ],
    ids=["default", "counts", "lengths"],
)
def test_opentelemetrys_api(tmp_path: Path, limits: dict[str, str]) -> None:
    """Every method of the API: values, events, links, status, exceptions, limits, scopes, parents near and far."""
    ours, theirs = _with_each(tmp_path, BY_HAND, **limits)

    assert len(ours) > 20
    assert ours == theirs


def test_contribs_instrumentations(tmp_path: Path) -> None:
    """Flask and requests, instrumented by OpenTelemetry's own packages on both engines."""
    ours, theirs = _with_each(tmp_path, LIBRARIES, TELLWHY_INSTRUMENT="flask:contrib,requests:contrib")

    assert [span["name"] for span in ours].count("GET") == 4
    assert ours == theirs


def test_decorator(tmp_path: Path) -> None:
    """tellwhy's own way to make spans: the same tree from both."""
    ours, theirs = _with_each(tmp_path, DECORATED)

    assert len(ours) == 8
    assert ours == theirs
