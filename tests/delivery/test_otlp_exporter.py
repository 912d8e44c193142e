# SPDX-License-Identifier: Apache-2.0
"""The OTLP/HTTP exporter against receivers that behave and misbehave, over real sockets."""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import pytest
import requests
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult

from faults.receiver import (
    FaultyReceiver,
    accept,
    accept_then_close,
    after,
    at_most,
    authorized,
    chunked,
    cut_body,
    drip,
    garbage,
    grpc,
    hang,
    hang_up,
    http10,
    one_after_the_other,
    partial,
    redirect,
    status,
)
from support.otlp import Answer, OtlpReceiver, Post
from tellwhy.delivery import OTLPSpanExporter
from tellwhy.errors import ConfigurationError

SOON = 5.0


@pytest.fixture
def receiver() -> Iterator[FaultyReceiver]:
    with FaultyReceiver() as running:
        yield running


def make_spans(count: int = 1, **attributes: Any) -> list[Any]:
    """Return ended spans of the SDK."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    spans = [tracer.start_span(f"span {number}", attributes=attributes) for number in range(count)]
    for span in spans:
        span.end()
    return spans


def exporter_for(receiver: FaultyReceiver, **arguments: Any) -> OTLPSpanExporter:
    return OTLPSpanExporter(receiver.endpoint + "/v1/traces", **{"timeout": 1.0, **arguments})


def deadline() -> float:
    return time.monotonic() + SOON


def test_it_is_a_drop_in_for_the_official_exporter() -> None:
    """Under the SDK's own processor, with the official arguments: the span arrives as it was."""
    with OtlpReceiver() as receiver:
        exporter = OTLPSpanExporter(
            endpoint=receiver.endpoint + "/v1/traces",
            headers={"X-Tenant": "acme"},
            timeout=5,
            compression=Compression.Gzip,
        )
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        with provider.get_tracer("shop").start_as_current_span("pay", attributes={"amount": 3}):
            pass
        provider.shutdown()
        (span,) = receiver.spans(count=1)
        (post,) = receiver.posts

    assert (span.name, span.scope, span.attributes) == ("pay", "shop", {"amount": 3})
    assert post.headers["x-tenant"] == "acme"
    assert post.headers["content-encoding"] == "gzip"
    assert post.headers["user-agent"].startswith("tellwhy/")
    assert " OTel-OTLP-Exporter-Python/" in post.headers["user-agent"]


@pytest.mark.parametrize("compression", ["none", "gzip", "deflate", Compression.Deflate, None])
def test_compression_as_asked(compression: object) -> None:
    """A word or the official enumeration; on the way to a receiver beside us nothing is compressed unless asked."""
    with OtlpReceiver() as receiver:
        exporter = OTLPSpanExporter(receiver.endpoint + "/v1/traces", compression=compression)
        assert exporter.export(make_spans(3)) is SpanExportResult.SUCCESS
        exporter.shutdown()

        assert len(receiver.spans()) == 3
        expected = getattr(compression, "value", compression) or "none"
        assert receiver.posts[0].headers.get("content-encoding", "none") == expected


def _far(receiver: OtlpReceiver) -> str:
    """Return a URL of the receiver whose host does not look like one of this machine, though it is."""
    return f"http://127.1:{receiver.port}/v1/traces"


@pytest.mark.parametrize(
    ("compression", "spans", "expected"),
    [(None, 50, "gzip"), (None, 1, "none"), ("none", 50, "none"), ("deflate", 50, "deflate")],
    ids=["unasked", "unasked-and-small", "none", "deflate"],
)
def test_out_of_the_house_what_is_large_is_compressed(compression: str | None, spans: int, expected: str) -> None:
    """Unless asked otherwise: bytes on the way to a distant receiver are billed, and slow."""
    with OtlpReceiver() as receiver:
        exporter = OTLPSpanExporter(_far(receiver), compression=compression)
        assert exporter.export(make_spans(spans)) is SpanExportResult.SUCCESS
        exporter.shutdown()

        assert len(receiver.spans()) == spans
        assert receiver.posts[0].headers.get("content-encoding", "none") == expected


def test_a_receiver_that_takes_no_compression_gets_none() -> None:
    """What it refuses as 415 is sent again as it is, at once, and nothing is compressed from then on."""

    def plain_only(post: Post) -> Answer:
        return Answer(status=415 if "content-encoding" in post.headers else 200)

    with OtlpReceiver(answer=plain_only) as receiver:
        exporter = OTLPSpanExporter(_far(receiver))
        for _ in range(2):
            assert exporter.export(make_spans(50)) is SpanExportResult.SUCCESS
        exporter.shutdown()

        assert [post.headers.get("content-encoding") for post in receiver.posts] == ["gzip", None, None]
        assert len(receiver.spans()) == 100


def test_one_connection_serves_many_exports(receiver: FaultyReceiver) -> None:
    """The connection is kept alive."""
    exporter = exporter_for(receiver)
    for _ in range(5):
        exporter.export(make_spans())
    exporter.shutdown()

    assert receiver.unique == 5
    assert receiver.connections == 1


@pytest.mark.parametrize("behave", [accept_then_close, http10])
def test_a_connection_that_was_closed_meanwhile_is_replaced(receiver: FaultyReceiver, behave: Any) -> None:
    """With notice or without, in HTTP/1.1 or 1.0: each export succeeds at the first try, nothing is sent twice."""
    receiver.behave = behave
    exporter = exporter_for(receiver)
    for _ in range(4):
        assert exporter.attempt(make_spans(), deadline()).error is None

    assert receiver.unique == 4
    assert receiver.duplicates == 0


def test_a_chunked_answer_is_understood(receiver: FaultyReceiver) -> None:
    """And the connection stays usable after it."""
    receiver.behave = chunked
    exporter = exporter_for(receiver)
    for _ in range(3):
        assert exporter.attempt(make_spans(), deadline()).error is None

    assert (receiver.unique, receiver.connections) == (3, 1)


def test_every_status(receiver: FaultyReceiver) -> None:
    """200 to 599: taken, left for another try, or dropped under its number; never raised, never silently gone."""
    codes = [code for code in range(200, 600) if code != 413]
    receiver.behave = one_after_the_other(codes)
    exporter = exporter_for(receiver)
    for code in codes:
        spans = make_spans(2)
        attempt = exporter.attempt(spans, deadline())
        if code < 300:
            expected: Any = (2, {}, [])
        elif code in (429, 502, 503, 504):
            expected = (0, {}, spans)
        else:
            expected = (0, {f"http_{code}": 2}, [])

        assert (attempt.delivered, attempt.dropped, attempt.left) == expected, code
        assert (attempt.error is None) == (code < 300)
        assert attempt.error is None or str(code) in attempt.error
    assert receiver.requests == len(codes)


@pytest.mark.parametrize("code", [429, 502, 503, 504])
def test_what_may_be_retried_is_left_for_later(receiver: FaultyReceiver, code: int) -> None:
    """The four statuses of the specification: the spans are still ours."""
    receiver.behave = status(code)
    attempt = exporter_for(receiver).attempt(make_spans(2), deadline())

    assert len(attempt.left) == 2
    assert attempt.answered
    assert not attempt.refused
    assert str(code) in str(attempt.error)


@pytest.mark.parametrize("code", [400, 401, 403, 404, 405, 409, 415, 422, 500, 501, 505])
def test_what_must_not_be_retried_is_dropped_and_counted(receiver: FaultyReceiver, code: int) -> None:
    """Every other status of 4xx and 5xx."""
    receiver.behave = status(code)
    attempt = exporter_for(receiver).attempt(make_spans(2), deadline())

    assert attempt.left == []
    assert attempt.dropped == {f"http_{code}": 2}
    assert attempt.refused


def test_a_redirect_is_not_followed_but_told(receiver: FaultyReceiver) -> None:
    """Spans go where the user has said, with the credentials for that place, and nowhere else."""
    with FaultyReceiver() as other:
        receiver.behave = redirect(other.endpoint + "/v1/traces")
        attempt = exporter_for(receiver).attempt(make_spans(), deadline())

        assert other.requests == 0
        assert attempt.dropped == {"http_307": 1}
        assert other.endpoint in str(attempt.error)


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [("7", 7.0, 7.0), (lambda: formatdate(time.time() + 30, usegmt=True), 28.0, 30.0), ("nonsense", None, None)],
)
def test_retry_after_is_read(receiver: FaultyReceiver, value: Any, low: float | None, high: float | None) -> None:
    """In seconds or as a date."""
    receiver.behave = status(503, {"retry-after": value() if callable(value) else value})
    wait = exporter_for(receiver).attempt(make_spans(), deadline()).retry_after

    assert wait is None if low is None else low <= wait <= high  # type: ignore[operator]


def test_a_partial_success_is_counted_and_never_sent_again(receiver: FaultyReceiver, capfd: Any) -> None:
    """Rejected spans are dropped under their own reason; the receiver's words are said once."""
    receiver.behave = partial(2, "attribute too long")
    exporter = exporter_for(receiver)
    for _ in range(3):
        attempt = exporter.attempt(make_spans(5), deadline())
        assert (attempt.delivered, attempt.dropped, attempt.left) == (3, {"rejected": 2}, [])

    assert receiver.duplicates == 0
    assert capfd.readouterr().err.count("rejected 2 spans of a batch: attribute too long") == 1


@pytest.mark.parametrize(
    ("behave", "words"),
    [
        (hang, "no answer within 0.3 s"),
        (hang_up, "closed without an answer"),
        (cut_body, "broke in the middle of the answer"),
        (garbage, "the answer is not HTTP"),
        (grpc, "this looks like a gRPC port"),
        (drip(0.05, took=False), "no answer within 0.3 s"),
    ],
)
def test_a_broken_exchange_is_tried_again_later(receiver: FaultyReceiver, behave: Any, words: str) -> None:
    """A fault of the connection leaves the spans to us, in bounded time, with the reason in words."""
    receiver.behave = behave
    exporter = exporter_for(receiver, timeout=0.3)
    started = time.monotonic()
    attempt = exporter.attempt(make_spans(2), deadline())

    assert time.monotonic() - started < 1.0
    assert len(attempt.left) == 2
    assert words in str(attempt.error)

    receiver.behave = accept
    assert exporter.attempt(attempt.left, deadline()).error is None
    assert receiver.unique == 2


def test_a_slow_answer_within_the_time_is_a_success(receiver: FaultyReceiver) -> None:
    """Byte by byte, but done before the timeout."""
    receiver.behave = drip(0.001)

    assert exporter_for(receiver, timeout=3.0).attempt(make_spans(), deadline()).error is None


def test_nobody_listens(receiver: FaultyReceiver) -> None:
    """A closed port: told in words, nothing encoded, the spans kept."""
    receiver.go_away()
    attempt = exporter_for(receiver).attempt(make_spans(), deadline())

    assert len(attempt.left) == 1
    assert str(attempt.error).startswith("connection refused (nothing listens on port")


def test_a_host_that_does_not_exist() -> None:
    """The name is in the message."""
    attempt = OTLPSpanExporter("http://no-such-host.invalid:4318/v1/traces").attempt(make_spans(), deadline())

    assert len(attempt.left) == 1
    assert "no-such-host.invalid" in str(attempt.error)


def test_a_batch_is_cut_by_bytes(receiver: FaultyReceiver) -> None:
    """No request is larger than the limit, and every span arrives."""
    receiver.behave = at_most(100_000)
    exporter = exporter_for(receiver, max_request_size=100_000)
    attempt = exporter.attempt(make_spans(100, text="x" * 5_000), deadline())

    assert attempt.error is None
    assert attempt.delivered == receiver.unique == 100
    assert 6 <= receiver.requests <= 12


def test_what_is_too_large_for_the_receiver_is_halved(receiver: FaultyReceiver) -> None:
    """413 lowers the limit: this batch arrives in pieces, the next one is cut to size at once."""
    receiver.behave = at_most(120_000)
    exporter = exporter_for(receiver)
    first = exporter.attempt(make_spans(100, text="x" * 5_000), deadline())
    requests_of_first = receiver.requests
    second = exporter.attempt(make_spans(100, text="x" * 5_000), deadline())

    assert (first.delivered, second.delivered) == (100, 100)
    assert (receiver.unique, receiver.duplicates) == (200, 0)
    assert receiver.requests - requests_of_first < requests_of_first


def test_what_nobody_takes_is_dropped_and_counted(receiver: FaultyReceiver) -> None:
    """A receiver that answers 413 to everything ends the halving."""
    receiver.behave = status(413)
    attempt = exporter_for(receiver).attempt(make_spans(4, text="x" * 50_000), deadline())

    assert attempt.left == []
    assert attempt.dropped == {"too_large": 4}
    assert receiver.requests < 40


def test_what_was_delivered_before_a_failure_stays_delivered(receiver: FaultyReceiver) -> None:
    """Of a batch in three requests, only what was not answered is tried again."""
    receiver.behave = after(1, accept, status(503))
    exporter = exporter_for(receiver, max_request_size=20_000)
    attempt = exporter.attempt(make_spans(10, text="x" * 5_000), deadline())

    assert 0 < attempt.delivered < 10
    assert attempt.delivered + len(attempt.left) == 10
    receiver.behave = accept
    exporter.attempt(attempt.left, deadline())
    assert (receiver.unique, receiver.duplicates) == (10, 0)


def test_a_proxy_error_page_is_not_quoted(receiver: FaultyReceiver) -> None:
    """Pages are for browsers; the status says enough."""
    receiver.behave = status(502, {"content-type": "text/html"}, b"<html>" + b"x" * 5000)
    attempt = exporter_for(receiver).attempt(make_spans(), deadline())

    assert attempt.error == "502 Bad Gateway"


def test_a_web_server_that_takes_everything_is_suspicious(receiver: FaultyReceiver, capfd: Any) -> None:
    """200 with a web page: delivered as far as anybody can tell, and said."""
    receiver.behave = status(200, {"content-type": "text/html; charset=utf-8"}, b"<html>welcome")
    exporter_for(receiver).attempt(make_spans(), deadline())

    assert "is it an OTLP receiver?" in capfd.readouterr().err


def test_credentials_in_the_url_are_sent_as_basic_authentication(receiver: FaultyReceiver) -> None:
    """As other HTTP clients do; they are in no message."""
    receiver.behave = authorized("Basic bWU6czNjcmV0")
    url = f"http://me:s3cret@127.0.0.1:{receiver.port}/v1/traces"
    exporter = OTLPSpanExporter(url)

    assert exporter.attempt(make_spans(), deadline()).error is None
    assert "s3cret" not in exporter.destination


def test_missing_credentials_are_explained(receiver: FaultyReceiver) -> None:
    """401 names the variable to look at."""
    receiver.behave = authorized("Bearer right")
    attempt = exporter_for(receiver, headers={"Authorization": "Bearer wrong"}).attempt(make_spans(), deadline())

    assert attempt.dropped == {"http_401": 1}
    assert "OTEL_EXPORTER_OTLP_HEADERS" in str(attempt.error)


def test_headers_that_cannot_be_sent_are_left_out(receiver: FaultyReceiver, capfd: Any) -> None:
    """A newline, a blank in a name, a character beyond latin-1, our own headers: said, and the spans go."""
    given = {"a": "x\r\ny: z", "b c": "x", "d": "→", "content-length": "1", "good": "ü"}
    exporter = exporter_for(receiver, headers=given)

    assert exporter.attempt(make_spans(), deadline()).error is None
    said = capfd.readouterr().err
    assert all(f"the header {name!r} cannot be sent" in said for name in given if name != "good")


def test_the_environment_is_read_as_the_specification_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Endpoint, headers (percent-decoded), timeout in milliseconds, compression; the names for traces win."""
    with OtlpReceiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-general=1,x-tenant=nobody")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "authorization=Bearer%20abc,x-tenant=acme")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "2500")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
        exporter = OTLPSpanExporter(headers={"x-tenant": "mine"})
        assert exporter.export(make_spans()) is SpanExportResult.SUCCESS
        (post,) = receiver.posts

    assert post.path == "/v1/traces"
    assert post.headers["authorization"] == "Bearer abc"
    assert post.headers["x-tenant"] == "mine"
    assert post.headers["x-general"] == "1"
    assert post.headers["content-encoding"] == "gzip"
    assert exporter._options.timeout == 2.5


def test_a_bad_endpoint_in_the_environment_is_said_and_replaced(monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    """The specification: a bad value is warned about, the default holds."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "grpc://collector:4317")
    exporter = OTLPSpanExporter()

    assert exporter.destination == "http://localhost:4318/v1/traces"
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in capfd.readouterr().err


@pytest.mark.parametrize(
    "arguments", [{"endpoint": "nope://x"}, {"timeout": 0}, {"compression": "zip"}, {"protocol": "grpc"}]
)
def test_a_bad_argument_raises(arguments: dict[str, Any]) -> None:
    """What a developer writes in code is checked there."""
    with pytest.raises(ConfigurationError):
        OTLPSpanExporter(**arguments)


def test_a_users_session_is_used(receiver: FaultyReceiver) -> None:
    """Whoever authenticates through requests goes on doing so."""
    receiver.behave = authorized("Bearer session")
    with requests.Session() as session:
        session.headers["Authorization"] = "Bearer session"
        exporter = exporter_for(receiver, session=session)
        assert exporter.attempt(make_spans(), deadline()).error is None
        receiver.go_away()
        assert "connection" in str(exporter.attempt(make_spans(), deadline()).error)


def test_under_the_official_processor_it_tries_again_itself(receiver: FaultyReceiver) -> None:
    """export() keeps on for up to the timeout, and stops at once when it is shut down."""
    receiver.behave = after(1, status(503))
    assert exporter_for(receiver, timeout=5.0).export(make_spans()) is SpanExportResult.SUCCESS
    assert receiver.requests == 2

    receiver.behave = status(503)
    started = time.monotonic()
    assert exporter_for(receiver, timeout=0.4).export(make_spans()) is SpanExportResult.FAILURE
    assert time.monotonic() - started < 1.5

    exporter = exporter_for(receiver)
    exporter.shutdown()
    exporter.shutdown()
    assert exporter.export(make_spans()) is SpanExportResult.FAILURE
    assert exporter.force_flush() is True


def test_one_span_that_cannot_be_encoded_does_not_take_the_others_along(receiver: FaultyReceiver) -> None:
    """The batch is halved until the culprit is alone; it is dropped and counted."""
    exporter = exporter_for(receiver)
    spans = make_spans(9)
    attempt = exporter.attempt([*spans[:5], object(), *spans[5:]], deadline())

    assert attempt.delivered == 9 or attempt.delivered == 10  # an encoder may find something to send even for that
    assert attempt.delivered + sum(attempt.dropped.values()) == 10
    assert attempt.left == []
    assert receiver.unique >= 9


def test_an_answer_without_end_is_cut_off(receiver: FaultyReceiver) -> None:
    """OTLP: an answer of more than 4 MiB is an error."""
    receiver.behave = status(200, {"content-length": str(1 << 40)}, b"x" * (5 << 20))
    attempt = exporter_for(receiver, timeout=3.0).attempt(make_spans(), deadline())

    assert "the answer" in str(attempt.error)
    assert len(attempt.left) == 1
