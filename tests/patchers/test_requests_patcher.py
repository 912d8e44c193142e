# SPDX-License-Identifier: Apache-2.0
"""What is traced of requests: every hop, with its own ``traceparent``; and the program gets what it would have got."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import baggage, context, propagate, trace
from opentelemetry.instrumentation.utils import suppress_http_instrumentation, suppress_instrumentation
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.trace import SpanKind, StatusCode
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from support.recording import Recorder
from support.upstream import Upstream
from tellwhy.engine import samplers
from tellwhy.patchers import live
from tellwhy.patchers.options import Options
from tellwhy.patchers.requests import RequestsInstrumentor
from tellwhy.patchers.semconv import HttpWords


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    """A service to call."""
    with Upstream() as running:
        yield running


def sent(upstream: Upstream) -> dict[str, str]:
    """Return the headers of the last request."""
    return upstream.seen[-1].headers


def test_a_request_is_a_client_span_that_the_service_hears_of(recorder: Recorder, upstream: Upstream) -> None:
    """Method, URL, server, status; and the span's own ids in ``traceparent``."""
    RequestsInstrumentor().instrument(tracer_provider=recorder.provider)

    requests.get(f"{upstream.url}/ok?page=2&token=hush", timeout=5)

    span = recorder.only()
    attributes = dict(span.attributes)
    assert (span.name, span.kind, span.status.status_code) == ("GET", SpanKind.CLIENT, StatusCode.UNSET)
    assert f"{upstream.url}/ok?page=2&token=REDACTED" == attributes["url.full"]
    assert ("127.0.0.1", int(upstream.url.rpartition(":")[2])) == (
        attributes["server.address"],
        attributes["server.port"],
    )
    assert (attributes["http.response.status_code"], attributes["network.protocol.version"]) == (200, "1.1")
    parent = sent(upstream)["traceparent"].split("-")
    told = [int(part, 16) for part in parent]
    assert [span.context.trace_id, span.context.span_id, 1] == [told[1], told[2], told[3] & 1]


def test_sessions_that_are_open_are_traced(recorder: Recorder, upstream: Upstream) -> None:
    """It does not matter whether the session was there first, or is a subclass's."""

    class Mine(requests.Session):
        def send(self, request: Any, **kwargs: Any) -> Any:
            return super().send(request, **kwargs)

    with requests.Session() as plain, Mine() as mine:
        RequestsInstrumentor().instrument(tracer_provider=recorder.provider)
        plain.get(f"{upstream.url}/ok")
        mine.get(f"{upstream.url}/ok")

    assert recorder.names() == ["GET", "GET"]


def test_every_redirect_is_a_hop_of_its_own(recorder: Recorder, upstream: Upstream) -> None:
    """Siblings under the caller's span, counted, each telling the next service its own ids."""
    RequestsInstrumentor().instrument(tracer_provider=recorder.provider)

    with recorder.tracer.start_as_current_span("caller") as caller:
        response = requests.get(f"{upstream.url}/redirect2", timeout=5)

    *hops, _ = recorder.take()
    assert (response.status_code, len(response.history)) == (200, 2)
    assert [hop.attributes["http.response.status_code"] for hop in hops] == [302, 302, 200]
    assert [hop.attributes.get("http.request.resend_count") for hop in hops] == [None, 1, 2]
    assert {caller.get_span_context().span_id} == {hop.parent.span_id for hop in hops}
    told = [one.headers["traceparent"].split("-")[2] for one in upstream.seen[-3:]]
    assert [f"{hop.context.span_id:016x}" for hop in hops] == told


def test_too_many_redirects_are_the_programs_exception(recorder: Recorder, upstream: Upstream) -> None:
    """The caller gets it as it is; each hop has been told."""
    RequestsInstrumentor().instrument(tracer_provider=recorder.provider)
    with requests.Session() as session:
        session.max_redirects = 2
        with pytest.raises(requests.TooManyRedirects):
            session.get(f"{upstream.url}/redirect5")

    assert len(recorder.take()) == 3


def test_retries_are_counted(recorder: Recorder, upstream: Upstream) -> None:
    """What urllib3 repeats by itself is one span that says how often."""
    RequestsInstrumentor().instrument(tracer_provider=recorder.provider)
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=Retry(5, status_forcelist=[503], backoff_factor=0)))
        session.get(f"{upstream.url}/flaky-{id(recorder)}")

    span = recorder.only()
    assert (span.attributes["http.request.resend_count"], span.attributes["http.response.status_code"]) == (2, 200)


@pytest.mark.parametrize(
    ("path", "status", "error"), [("/ok", StatusCode.UNSET, None), ("/missing", StatusCode.ERROR, "404")]
)
def test_a_client_counts_4xx_as_errors(
    recorder: Recorder, upstream: Upstream, path: str, status: StatusCode, error: str | None
) -> None:
    """The conventions: for the caller, 4xx is a failure too."""
    RequestsInstrumentor().instrument(tracer_provider=recorder.provider)

    requests.get(upstream.url + path, timeout=5)

    span = recorder.only()
    assert (status, error) == (span.status.status_code, span.attributes.get("error.type"))


def test_a_timeout_is_told_by_its_type(recorder: Recorder, upstream: Upstream) -> None:
    """The exception reaches the caller, its type the span."""
    RequestsInstrumentor().instrument(tracer_provider=recorder.provider)

    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{upstream.url}/slow", timeout=0.05)

    span = recorder.only()
    assert span.attributes["error.type"] == "requests.exceptions.ReadTimeout"
    assert (span.status.status_code, [event.name for event in span.events]) == (StatusCode.ERROR, ["exception"])


def test_a_streamed_body_is_the_programs_to_read(recorder: Recorder, upstream: Upstream) -> None:
    """With ``stream=True`` the span ends with the headers, and the body is untouched."""
    RequestsInstrumentor().instrument(tracer_provider=recorder.provider)

    with requests.get(f"{upstream.url}/ok", stream=True, timeout=5) as response:
        assert recorder.only().attributes["http.response.status_code"] == 200
        assert response.raw.read() == b"ok"


@pytest.mark.parametrize("engine", ["lean", "sdk"])
def test_a_sampled_out_request_tells_the_service_so(engine: str, upstream: Upstream) -> None:
    """Nothing is recorded, and ``traceparent`` says that; below an unsampled span and at the root."""
    recorder = Recorder(engine, sampler=samplers.ParentBased(samplers.ALWAYS_OFF))
    RequestsInstrumentor().instrument(tracer_provider=recorder.provider)

    requests.get(f"{upstream.url}/ok", timeout=5)
    assert int(sent(upstream)["traceparent"][-2:], 16) & 1 == 0
    with recorder.tracer.start_as_current_span("caller") as caller:
        requests.get(f"{upstream.url}/ok", timeout=5)

    told = sent(upstream)["traceparent"].split("-")
    assert (f"{caller.get_span_context().trace_id:032x}", 0) == (told[1], int(told[3], 16) & 1)
    assert recorder.names() == []


def test_excluded_urls_are_left_alone(recorder: Recorder, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """No span and no header."""
    monkeypatch.setenv("OTEL_PYTHON_REQUESTS_EXCLUDED_URLS", "/miss.*")
    RequestsInstrumentor().instrument(tracer_provider=recorder.provider)

    requests.get(f"{upstream.url}/missing", timeout=5)

    assert (recorder.names(), "traceparent" in sent(upstream)) == ([], False)


@pytest.mark.parametrize("suppression", [suppress_instrumentation, suppress_http_instrumentation])
def test_what_exporters_send_is_not_traced(recorder: Recorder, upstream: Upstream, suppression: Any) -> None:
    """OpenTelemetry's exporters send under suppression; nobody traces that."""
    RequestsInstrumentor().instrument(tracer_provider=recorder.provider)

    with suppression():
        requests.get(f"{upstream.url}/ok", timeout=5)

    assert (recorder.names(), "traceparent" in sent(upstream)) == ([], False)


def test_baggage_travels(recorder: Recorder, upstream: Upstream) -> None:
    """What is in the context's baggage is sent beside the trace."""
    RequestsInstrumentor().instrument(tracer_provider=recorder.provider)
    token = context.attach(baggage.set_baggage("tenant", "acme"))
    try:
        requests.get(f"{upstream.url}/ok", timeout=5)
    finally:
        context.detach(token)

    assert sent(upstream)["baggage"] == "tenant=acme"


def test_other_propagators_are_asked(recorder: Recorder, upstream: Upstream) -> None:
    """What the program has set with ``set_global_textmap`` writes the headers."""

    class Mine(TextMapPropagator):
        def extract(self, carrier: Any, context: Any = None, getter: Any = None) -> Any:
            return context

        def inject(self, carrier: Any, context: Any = None, setter: Any = None) -> None:
            carrier["x-mine"] = "yes"

        @property
        def fields(self) -> set[str]:
            return {"x-mine"}

    before = propagate.get_global_textmap()
    propagate.set_global_textmap(Mine())
    RequestsInstrumentor().instrument(tracer_provider=recorder.provider)
    try:
        requests.get(f"{upstream.url}/ok", timeout=5)
    finally:
        propagate.set_global_textmap(before)

    assert (sent(upstream)["x-mine"], "traceparent" in sent(upstream)) == ("yes", False)


def test_hooks_have_the_request_and_the_response(recorder: Recorder, upstream: Upstream) -> None:
    """As OpenTelemetry's instrumentation calls them; one that raises does not reach the caller."""

    def on_request(span: Any, request: requests.PreparedRequest) -> None:
        span.set_attribute("asked", request.method)
        raise RuntimeError("hook")

    def on_response(span: Any, request: requests.PreparedRequest, response: requests.Response) -> None:
        span.set_attribute("answered", response.status_code)

    RequestsInstrumentor().instrument(
        tracer_provider=recorder.provider, request_hook=on_request, response_hook=on_response
    )

    requests.get(f"{upstream.url}/ok", timeout=5)

    span = recorder.only()
    assert (span.attributes["asked"], span.attributes["answered"]) == ("GET", 200)


def test_an_exception_through_several_spans_is_told_in_full_once(recorder: Recorder) -> None:
    """The innermost has the stack; the one above says that it failed, and why."""
    RequestsInstrumentor().instrument(tracer_provider=recorder.provider)
    span = recorder.tracer.start_span("caller")
    token = context.attach(trace.set_span_in_context(span))
    try:
        requests.get("http://127.0.0.1:9/closed", timeout=2)
    except requests.ConnectionError as error:
        live.fail(span, error)
    finally:
        context.detach(token)
        span.end()

    inner, outer = recorder.take()
    stacks = ["exception.stacktrace" in event.attributes for one in (inner, outer) for event in one.events]
    assert stacks.count(True) == 1
    assert (inner.status.status_code, outer.status.status_code) == (StatusCode.ERROR, StatusCode.ERROR)


def test_one_session_can_be_left_alone(recorder: Recorder, upstream: Upstream) -> None:
    """``uninstrument_session`` is for that session only."""
    RequestsInstrumentor().instrument(tracer_provider=recorder.provider)
    with requests.Session() as silent, requests.Session() as traced:
        RequestsInstrumentor.uninstrument_session(silent)
        silent.get(f"{upstream.url}/ok")
        traced.get(f"{upstream.url}/missing")

    assert recorder.only().attributes["http.response.status_code"] == 404


def test_everything_is_put_back(recorder: Recorder) -> None:
    """After ``uninstrument()`` the class is as it was."""
    before = dict(vars(requests.Session))
    RequestsInstrumentor().instrument(tracer_provider=recorder.provider)

    RequestsInstrumentor().uninstrument()

    assert before == dict(vars(requests.Session))


_recorder = Recorder()


@given(st.text(max_size=60), st.binary(max_size=30))
@settings(max_examples=80, deadline=None)
def test_hostile_urls_and_headers_fail_as_without_us(tail: str, value: bytes) -> None:
    """Whatever the program asks for, it gets the same answer or exception."""

    class Nowhere(HTTPAdapter):
        def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # type: ignore[override]
            response = requests.Response()
            response.status_code, response.request, response.url = 200, request, request.url or ""
            response._content = b""
            return response

    def answer() -> Any:
        with requests.Session() as session:
            session.mount("http://", Nowhere())
            try:
                return session.get(f"http://host{tail}", headers={"x-any": value, "user-agent": value}).url
            except Exception as error:
                return (type(error), str(error))

    bare = answer()
    RequestsInstrumentor().instrument(tracer_provider=_recorder.provider)
    try:
        assert bare == answer()
    finally:
        RequestsInstrumentor().uninstrument()


def test_a_megabyte_of_url_is_sent_whole_and_recorded_in_part(recorder: Recorder, upstream: Upstream) -> None:
    """What the service says to it is the program's answer."""
    url = f"{upstream.url}/ok?q=" + "x" * 1_000_000
    bare = requests.get(url, timeout=5).status_code
    RequestsInstrumentor().instrument(tracer_provider=recorder.provider)

    assert requests.get(url, timeout=5).status_code == bare == 414

    span = recorder.only()
    assert len(span.attributes["url.full"]) <= 8192
    assert span.attributes["error.type"] == "414"


def test_a_proxy_hears_of_the_trace_and_the_span_names_the_service(recorder: Recorder, upstream: Upstream) -> None:
    """The URL is the service's, the proxy's password stays ours, and the header goes through the proxy."""
    RequestsInstrumentor().instrument(tracer_provider=recorder.provider)
    proxy = upstream.url.replace("://", "://us:hush@")

    response = requests.get("http://shop.example:8080/ok", proxies={"http": proxy}, timeout=5)

    span = recorder.only()
    assert response.status_code == 404  # the proxy's own answer
    assert upstream.seen[-1].path == "http://shop.example:8080/ok"
    assert f"{span.context.span_id:016x}" in sent(upstream)["traceparent"]
    assert span.attributes["url.full"] == "http://shop.example:8080/ok"
    assert (span.attributes["server.address"], span.attributes["server.port"]) == ("shop.example", 8080)
    assert "hush" not in str(dict(span.attributes))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h", ("h", 80)),
        ("HTTPS://h/x", ("h", 443)),
        ("http://h:8080?x=/y", ("h", 8080)),
        ("http://u:p@h:9?/x", ("h", 9)),
        ("http://[::1]:3/x", ("::1", 3)),
        ("http+unix://%2Fvar%2Frun/x", ("%2Fvar%2Frun", 80)),
        ("http://h#/a", ("h", 80)),
        ("mailto:x", (None, None)),
        ("", (None, None)),
    ],
)
def test_server_of_a_url(url: str, expected: tuple[str | None, int | None]) -> None:
    """Where the URL says it is, also the second time, when it is remembered."""
    words = HttpWords(Options.from_environment({"OTEL_SEMCONV_STABILITY_OPT_IN": "http"}))

    for _ in range(2):
        said = words.request_to("GET", url)
        assert expected == (said.get("server.address"), said.get("server.port"))
