# SPDX-License-Identifier: Apache-2.0
"""
The last look before export: the whole table, put on spans by somebody who redacts nothing.

By OpenTelemetry's API alone, on each way out: OTLP as protobuf and as JSON, of our spans and of the SDK's, and an
exporter that is not ours.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider as OfficialProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter
from opentelemetry.trace import Link, SpanContext, Status, StatusCode, TraceFlags

from redaction.kind import JWT, Kind, Readable, W
from redaction.kinds import KINDS, READABLE
from redaction.test_kinds import pieces
from support.recording import Recorder
from tellwhy import redaction
from tellwhy.delivery.otlp import encoder, encoder_json
from tellwhy.delivery.otlp.redacting import RedactingExporter
from tellwhy.redaction import export

ABOUT = SpanContext(7, 7, True, TraceFlags(1))


def _console(spans: list[Any]) -> bytes:
    out = io.StringIO()
    RedactingExporter(ConsoleSpanExporter(out=out)).export(spans)
    return out.getvalue().encode()


def _by_the_long_way(spans: list[Any]) -> bytes:
    """Protobuf of a span that holds something which the short way does not take."""
    for span in spans:
        span._attributes["odd"] = "\ud800"
    return encoder.encode(spans)


WAYS: dict[str, tuple[str, Callable[[list[Any]], bytes]]] = {
    "protobuf": ("lean", encoder.encode),
    "protobuf, the long way": ("lean", _by_the_long_way),
    "protobuf, the SDK's spans": ("sdk", encoder.encode),
    "JSON": ("lean", encoder_json.encode),
    "console": ("lean", _console),
    "console, the SDK's spans": ("sdk", _console),
}


@pytest.fixture(autouse=True)
def patterns() -> Iterator[None]:
    redaction.configure(None)
    redaction.sql_mode = "scrubbed"
    yield
    redaction.configure(None)
    redaction.sql_mode = "scrubbed"


def attributes_of(kind: Kind | Readable) -> dict[str, Any]:
    """The attributes in which a sample would come, by the semantic conventions."""
    door, _, argument = kind.door.partition(" ")
    if door == "sql":
        return {"db.system.name": argument or "postgresql", "db.query.text": kind.sample}
    if door == "header":
        return {f"http.request.header.{argument.lower()}": [kind.sample]}
    if door in ("url", "query"):
        return {"url.full" if door == "url" else "url.query": kind.sample}
    return {argument if door == "attribute" else "note": kind.sample}


def span_with(engine: str, kind: Kind | Readable) -> list[Any]:
    """One span with the sample at every place where it could come."""
    recorder = Recorder(engine)
    attributes = attributes_of(kind)
    door = kind.door.partition(" ")[0]
    with recorder.tracer.start_as_current_span("work", links=[Link(ABOUT, attributes)]) as span:
        span.set_attributes(attributes)
        span.add_event("what", attributes)
        if door == "text":
            span.add_event("exception", {"exception.message": kind.sample, "exception.stacktrace": f"x\n{kind.sample}"})
            span.set_status(Status(StatusCode.ERROR, str(kind.sample)))
    if door == "text":
        with recorder.tracer.start_as_current_span(str(kind.sample)):
            pass
    return recorder.spans


# What is known to be a database's message, or a setting of ours, has doors of its own.
EXPORTED = [kind for kind in KINDS if kind.door.partition(" ")[0] not in ("database", "setting")]


def _text_of(exported: bytes) -> str:
    """As text, JSON's escapes undone: a secret is a secret in any spelling."""
    text = exported.decode("utf-8", "replace")
    return text + text.replace('\\"', '"').replace("\\\\", "\\").replace("\\n", "\n")


@pytest.mark.parametrize("kind", EXPORTED, ids=[f"{kind.group}: {kind.name}" for kind in EXPORTED])
@pytest.mark.parametrize("way", WAYS)
def test_no_piece_of_a_secret_leaves(way: str, kind: Kind) -> None:
    engine, encode = WAYS[way]
    exported = _text_of(encode(span_with(engine, kind)))
    if min(map(len, kind.secrets)) < 5:  # three digits are in any id and time
        exported = str(export.attributes(attributes_of(kind)))

    survived = {piece for secret in kind.secrets for piece in pieces(secret) if piece in exported}
    assert survived == set(), exported


@pytest.mark.parametrize("readable", READABLE, ids=[f"{readable.door}: {readable.name}" for readable in READABLE])
def test_what_is_useful_is_still_there(readable: Readable) -> None:
    if readable.door.partition(" ")[0] in ("database", "setting") or not isinstance(readable.sample, str):
        pytest.skip("not an attribute")
    exported = encoder.encode(span_with("lean", readable)).decode("utf-8", "replace")

    assert readable.sample in exported


@pytest.mark.parametrize("way", WAYS)
def test_secret_keys_of_any_type(way: str) -> None:
    """Numbers, lists and bytes under a secret key go too, and what is beside them stays."""
    engine, encode = WAYS[way]
    recorder = Recorder(engine)
    for _ in range(2):  # the key is met, and met again
        with recorder.tracer.start_as_current_span("work") as span:
            span.set_attributes({"user.pin": 774411, "db.passwords": [W, "b"], "order.id": 774422, "api_key": 77.4433})
    exported = _text_of(encode(recorder.spans))

    assert W not in exported
    data = encode(recorder.spans)
    assert export.attributes({"user.pin": 774411}) == {"user.pin": "[redacted]"}
    assert b"774411" not in data
    assert data.count(b"[redacted]") >= 6


def test_statements_follow_the_setting() -> None:
    """``raw`` sends what anybody has put there, ``off`` nothing of it."""
    sent = {}
    for setting in ("scrubbed", "raw", "off"):
        redaction.sql_mode = setting
        recorder = Recorder("lean")
        with recorder.tracer.start_as_current_span("SELECT", attributes={"db.system.name": "sqlite"}) as span:
            span.set_attribute("db.statement", f"SELECT a FROM t WHERE b = '{W}'")
        sent[setting] = encoder.encode(recorder.spans)
    assert b"SELECT a FROM t WHERE b = ?" in sent["scrubbed"]
    assert f"WHERE b = '{W}'".encode() in sent["raw"]
    assert b"db.statement" not in sent["off"]


def test_own_patterns_hold_at_export() -> None:
    """Key patterns and regular expressions of ``TELLWHY_REDACT``, also for values that were remembered before."""

    def sent() -> bytes:
        recorder = Recorder("lean")
        with recorder.tracer.start_as_current_span("work") as span:
            span.set_attributes({"customer.iban": "DE99", "note": "KD-123456"})
        return encoder.encode(recorder.spans)

    assert b"DE99" in sent()
    redaction.configure(r"*.iban, /KD-\d{6}/")
    assert b"DE99" not in sent()
    assert b"KD-123456" not in sent()
    redaction.configure(None)
    assert b"KD-123456" in sent()


def test_resource_and_scope() -> None:
    """A process's command line, and whatever a detector or a library says of itself."""
    provider = OfficialProvider(shutdown_on_exit=False)
    made: list[Any] = []
    from opentelemetry.sdk.resources import Resource

    from tellwhy.engine import TracerProvider

    attributes = {
        "process.command_line": f"app --password {W} --port 80",
        "process.command_args": ["app", "--token", W, "--port", "80"],
        "deploy.api_key": W,
    }
    del provider
    provider = TracerProvider(resource=Resource(attributes), shutdown_on_exit=False)

    class Collect:
        def on_end(self, span: Any) -> None:
            made.append(span)

        def shutdown(self) -> None: ...

        def force_flush(self, timeout_millis: int = 0) -> bool:
            return True

    provider.add_span_processor(Collect())
    provider.get_tracer("scope", attributes={"secret": W}).start_span("work").end()
    for encode in (encoder.encode, encoder_json.encode, _console):
        exported = encode(made)
        assert W.encode() not in exported
        assert b"--port" in exported


def test_a_span_without_secrets_is_handed_on_as_it_is() -> None:
    """An exporter that is not ours gets the very span."""
    recorder = Recorder("sdk")
    with recorder.tracer.start_as_current_span("work", attributes={"order.id": "7"}):
        pass
    got: list[Any] = []

    class Exporter:
        answer = object()

        def export(self, spans: Any) -> Any:
            got.extend(spans)
            return self.answer

    assert RedactingExporter(Exporter()).export(recorder.spans) is Exporter.answer
    assert got == recorder.spans


_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=40), st.binary(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=6,
)


@given(st.dictionaries(st.text(max_size=12), _values, max_size=6))
def test_anything_can_be_looked_at(attributes: dict[str, Any]) -> None:
    """No value makes it raise, and what has no secret is the same object."""
    clean = export.attributes(attributes)

    assert clean.keys() == attributes.keys()
    assert export.attributes(clean) == clean or json.dumps(str(clean)) is not None


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_token_is_found_in_any_text(before: str, after: str) -> None:
    """The quick check never lets pass what the search would find."""
    text = f"{before} {JWT} {after}"
    assert JWT[-20:] not in export.text(text)


@given(st.text(max_size=80))
def test_the_quick_check_agrees_with_the_search(text: str) -> None:
    assert export.text(text) == redaction.redact_text(text)
