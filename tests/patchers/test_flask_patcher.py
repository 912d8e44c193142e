# SPDX-License-Identifier: Apache-2.0
"""What is traced of a Flask application: the whole request, once, with the route for a name; and nothing is changed."""

from __future__ import annotations

import gc
import io
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import flask
import pytest
from flask.views import MethodView
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client, EnvironBuilder

from support.recording import Recorder
from tellwhy.engine import samplers
from tellwhy.engine.active import suppress
from tellwhy.patchers.flask import FlaskInstrumentor

CALLER = f"00-{'a' * 32}-{'b' * 16}-01"


def shop() -> flask.Flask:
    """An application with something of everything."""
    app = flask.Flask("shop")

    @app.get("/hello/<name>")
    def hello(name: str) -> str:
        return f"hello {name}"

    @app.get("/boom")
    def boom() -> str:
        raise ValueError("boom")

    @app.get("/abort/<int:code>")
    def aborted(code: int) -> Any:
        flask.abort(code)

    return app


def call(app: Any, path: str = "/hello/bob", **kwargs: Any) -> tuple[str, list[bytes]]:
    """Call an application as a server does: iterate, then close."""
    environ = EnvironBuilder(path=path, **kwargs).get_environ()
    started: list[str] = []
    body = app(environ, lambda status, headers, exc_info=None: started.append(status))
    try:
        chunks = list(body)
    finally:
        if hasattr(body, "close"):
            body.close()
    return started[-1], chunks


def test_a_request_is_one_server_span_named_by_its_route(recorder: Recorder) -> None:
    """Method and route name the span; the parent is the caller's."""
    FlaskInstrumentor().instrument(tracer_provider=recorder.provider)

    call(shop(), "/hello/bob?page=2", headers={"traceparent": CALLER})

    span = recorder.only()
    assert span.name == "GET /hello/<name>"
    assert span.kind == SpanKind.SERVER
    assert span.context.trace_id == 0xAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
    assert span.parent.span_id == 0xBBBBBBBBBBBBBBBB
    assert dict(span.attributes) == {
        "http.request.method": "GET",
        "http.route": "/hello/<name>",
        "http.response.status_code": 200,
        "url.path": "/hello/bob",
        "url.query": "page=2",
        "url.scheme": "http",
        "server.address": "localhost",
        "server.port": 80,
        "network.protocol.version": "1.1",
    }


def test_applications_made_before_are_traced(recorder: Recorder) -> None:
    """It does not matter whether the application, or a middleware around it, was there first."""
    app = shop()
    wrapped = app.wsgi_app
    app.wsgi_app = lambda environ, start_response: wrapped(environ, start_response)  # type: ignore[method-assign]
    FlaskInstrumentor().instrument(tracer_provider=recorder.provider)

    call(app)

    assert recorder.only().name == "GET /hello/<name>"


def test_a_mounted_application_shares_the_request(recorder: Recorder) -> None:
    """Two applications under one another are one request with one span, named by the one that answers."""
    outer, inner = flask.Flask("outer"), shop()
    outer.wsgi_app = DispatcherMiddleware(outer.wsgi_app, {"/shop": inner})  # type: ignore[method-assign]
    FlaskInstrumentor().instrument(tracer_provider=recorder.provider)

    call(outer, "/shop/hello/bob")

    span = recorder.only()
    assert (span.name, span.attributes["url.path"]) == ("GET /hello/<name>", "/shop/hello/bob")


def test_blueprints_and_class_views_are_named_by_their_route(recorder: Recorder) -> None:
    """A blueprint's prefix is part of the route."""

    class Item(MethodView):
        def get(self, key: str) -> str:
            return key

    blueprint = flask.Blueprint("items", "items", url_prefix="/items")
    blueprint.add_url_rule("/<key>", view_func=Item.as_view("item"))
    app = shop()
    app.register_blueprint(blueprint)
    FlaskInstrumentor().instrument(tracer_provider=recorder.provider)

    call(app, "/items/7")

    assert recorder.only().name == "GET /items/<key>"


@pytest.mark.parametrize(
    ("path", "status", "kind", "error"),
    [
        ("/abort/404", StatusCode.UNSET, "404 NOT FOUND", None),
        ("/nothing", StatusCode.UNSET, "404 NOT FOUND", None),
        ("/abort/503", StatusCode.ERROR, "503 SERVICE UNAVAILABLE", "503"),
        ("/boom", StatusCode.ERROR, "500 INTERNAL SERVER ERROR", "ValueError"),
    ],
)
def test_only_the_servers_errors_are_errors(
    recorder: Recorder, path: str, status: StatusCode, kind: str, error: str | None
) -> None:
    """4xx is the caller's affair; 5xx and what nobody caught are errors."""
    FlaskInstrumentor().instrument(tracer_provider=recorder.provider)

    answered, _ = call(shop(), path)

    span = recorder.only()
    assert (kind, status, error) == (answered, span.status.status_code, span.attributes.get("error.type"))
    assert (["exception"] if error == "ValueError" else []) == [event.name for event in span.events]


def test_an_exception_that_escapes_is_told_once(recorder: Recorder) -> None:
    """Where the program lets exceptions through, the server gets this one and the span tells it once."""
    app = shop()
    app.config["PROPAGATE_EXCEPTIONS"] = True
    FlaskInstrumentor().instrument(tracer_provider=recorder.provider)

    with pytest.raises(ValueError, match="boom"):
        call(app, "/boom")

    assert len(recorder.only().events) == 1


def test_a_before_request_function_that_raises_is_part_of_the_request(recorder: Recorder) -> None:
    """The request is traced from the first function of the program's on."""
    app = shop()

    @app.before_request
    def locked() -> None:
        with recorder.tracer.start_as_current_span("check"):
            raise PermissionError("locked")

    FlaskInstrumentor().instrument(tracer_provider=recorder.provider)

    assert call(app)[0] == "500 INTERNAL SERVER ERROR"

    check, request = recorder.take()
    assert request.context.span_id == check.parent.span_id
    assert request.attributes["error.type"] == "PermissionError"


def streaming(recorder: Recorder, closed: list[str]) -> flask.Flask:
    app = flask.Flask("stream")

    @app.get("/stream")
    def stream() -> Any:
        def chunks() -> Iterator[bytes]:
            try:
                with recorder.tracer.start_as_current_span("stream"):
                    for number in range(3):
                        with recorder.tracer.start_as_current_span(f"chunk {number}"):
                            pass
                        yield b"x"
            finally:
                closed.append(trace.get_current_span().get_span_context().span_id)

        return chunks()

    return app


def test_a_stream_belongs_to_its_request(recorder: Recorder) -> None:
    """Spans made between chunks keep their parents, and the request's span ends after them."""
    FlaskInstrumentor().instrument(tracer_provider=recorder.provider)
    closed: list[Any] = []

    _, body = call(streaming(recorder, closed), "/stream")

    *chunks, stream, request = recorder.take()
    assert body == [b"x"] * 3
    assert [span.name for span in chunks] == ["chunk 0", "chunk 1", "chunk 2"]
    assert {stream.context.span_id} == {span.parent.span_id for span in chunks}
    assert request.context.span_id == stream.parent.span_id
    assert [request.context.span_id] == closed
    assert not trace.get_current_span().get_span_context().is_valid


def test_a_client_that_goes_away_ends_the_span_once(recorder: Recorder) -> None:
    """The server closes the response in the middle: one span, ended then."""
    FlaskInstrumentor().instrument(tracer_provider=recorder.provider)
    environ = EnvironBuilder(path="/stream").get_environ()

    body: Any = streaming(recorder, [])(environ, lambda status, headers, exc_info=None: None)
    next(iter(body))
    body.close()
    body.close()

    assert recorder.names() == ["chunk 0", "stream", "GET /stream"]
    assert not trace.get_current_span().get_span_context().is_valid


def test_a_response_that_nobody_closes_ends_its_span(recorder: Recorder) -> None:
    """A server that forgets ``close()`` does not leave a span open."""
    FlaskInstrumentor().instrument(tracer_provider=recorder.provider)
    environ = EnvironBuilder(path="/stream").get_environ()

    body = streaming(recorder, [])(environ, lambda status, headers, exc_info=None: None)
    del body
    gc.collect()

    assert "GET /stream" in recorder.names()


def test_what_is_called_on_close_is_part_of_the_request(recorder: Recorder) -> None:
    """``response.call_on_close`` functions run inside of the span."""
    app = flask.Flask("closing")

    @app.get("/")
    def index() -> flask.Response:
        response = flask.Response("ok")
        response.call_on_close(lambda: recorder.tracer.start_span("cleanup").end())
        return response

    FlaskInstrumentor().instrument(tracer_provider=recorder.provider)

    call(app, "/")

    cleanup, request = recorder.take()
    assert request.context.span_id == cleanup.parent.span_id


def test_the_test_client_sees_spans_without_reading_the_response(recorder: Recorder) -> None:
    """A program's own tests find the span when ``client.get`` has returned, for pages of every kind."""
    FlaskInstrumentor().instrument(tracer_provider=recorder.provider)
    client = shop().test_client()

    kept = [client.get(path) for path in ("/hello/bob", "/nothing", "/boom")]

    assert [response.status_code for response in kept] == [200, 404, 500]
    assert recorder.names() == ["GET /hello/<name>", "GET", "GET /boom"]


def test_a_servers_own_file_wrapper_is_handed_through(recorder: Recorder) -> None:
    """Servers send files in their own way if they get their own object back."""

    class FileWrapper:
        def __init__(self, file: Any, size: int = 8192) -> None:
            self.file = file

        def __iter__(self) -> Iterator[bytes]:
            return iter([self.file.read()])

        def close(self) -> None:
            self.file.close()

    app = flask.Flask("files")
    content = io.BytesIO(b"content")

    @app.get("/file")
    def file() -> Any:
        return flask.send_file(content, mimetype="text/plain")

    FlaskInstrumentor().instrument(tracer_provider=recorder.provider)
    environ = EnvironBuilder(path="/file").get_environ()
    environ["wsgi.file_wrapper"] = FileWrapper

    body: Any = app(environ, lambda status, headers, exc_info=None: None)

    assert FileWrapper is type(body)
    assert recorder.names() == []
    body.close()
    assert recorder.names() == ["GET /file"]
    assert content.closed


@pytest.mark.parametrize("path", ["/hello/health", "/health/db"])
def test_an_excluded_request_takes_what_is_below_it_along(recorder: Recorder, path: str) -> None:
    """What an excluded view does is no trace of its own (open-telemetry/opentelemetry-python-contrib#2140)."""
    app = flask.Flask("health")
    seen: list[Any] = []

    @app.get("/<path:path>")
    def view(path: str) -> str:
        with recorder.tracer.start_as_current_span("query") as span:
            seen.append(span.get_span_context())
        return "ok"

    FlaskInstrumentor().instrument(tracer_provider=recorder.provider, excluded_urls="health$,/health/.*")

    call(app, path, headers={"traceparent": CALLER})

    assert recorder.names() == []
    assert (seen[0].trace_id, seen[0].trace_flags & 1) == (0xAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA, 0)


def test_excluded_urls_come_from_the_environment(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """``OTEL_PYTHON_FLASK_EXCLUDED_URLS`` wins over ``OTEL_PYTHON_EXCLUDED_URLS``."""
    monkeypatch.setenv("OTEL_PYTHON_EXCLUDED_URLS", "bob")
    monkeypatch.setenv("OTEL_PYTHON_FLASK_EXCLUDED_URLS", "alice")
    FlaskInstrumentor().instrument(tracer_provider=recorder.provider)

    call(shop(), "/hello/bob")
    call(shop(), "/hello/alice")

    assert recorder.only().attributes["url.path"] == "/hello/bob"


@pytest.mark.parametrize("engine", ["lean", "sdk"])
def test_a_sampled_out_request_is_a_parent_that_is_not_recorded(engine: str) -> None:
    """What is below follows the decision, and the identity goes on."""
    recorder = Recorder(engine, sampler=samplers.ParentBased(samplers.ALWAYS_OFF))
    app = flask.Flask("off")
    seen: list[Any] = []

    @app.get("/")
    def view() -> str:
        seen.append(trace.get_current_span())
        return "ok"

    FlaskInstrumentor().instrument(tracer_provider=recorder.provider)

    call(app, "/")

    assert recorder.names() == []
    assert seen[0].get_span_context().is_valid
    assert not seen[0].is_recording()
    assert not trace.get_current_span().get_span_context().is_valid


@pytest.mark.parametrize("engine", ["lean", "sdk"])
def test_a_sampler_of_the_programs_own_sees_the_request(engine: str) -> None:
    """It is asked with method and path, before anything is decided."""
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler

    asked: list[dict[str, Any]] = []

    class Asking(Sampler):
        def should_sample(self, parent_context: Any, trace_id: int, name: str, kind: Any = None,
                          attributes: Any = None, links: Any = None, trace_state: Any = None) -> Any:  # fmt: skip
            asked.append(dict(attributes or {}))
            return ALWAYS_ON.should_sample(parent_context, trace_id, name, kind, attributes, links)

        def get_description(self) -> str:
            return "asking"

    recorder = Recorder(engine, sampler=Asking())
    FlaskInstrumentor().instrument(tracer_provider=recorder.provider)

    call(shop())

    assert (asked[0]["http.request.method"], asked[0]["url.path"]) == ("GET", "/hello/bob")


def test_hooks_have_the_span_the_request_and_the_response(recorder: Recorder) -> None:
    """Both are called as OpenTelemetry's instrumentation calls them; a name that a hook gives stays."""
    seen: list[Any] = []

    def on_request(span: Any, environ: dict[str, Any]) -> None:
        seen.append((flask.request.path, environ["PATH_INFO"]))
        span.update_name("mine")

    def on_response(span: Any, status: str, headers: list[tuple[str, str]]) -> None:
        seen.append(status)
        span.set_attribute("seen", len(headers) > 0)

    FlaskInstrumentor().instrument(
        tracer_provider=recorder.provider, request_hook=on_request, response_hook=on_response
    )

    call(shop())

    span = recorder.only()
    assert seen == [("/hello/bob", "/hello/bob"), "200 OK"]
    assert (span.name, span.attributes["seen"]) == ("mine", True)


def test_a_hook_that_raises_does_not_reach_the_caller(recorder: Recorder) -> None:
    """The request is answered, and the span is there."""

    def failing(*_: Any) -> None:
        raise RuntimeError("hook")

    FlaskInstrumentor().instrument(tracer_provider=recorder.provider, request_hook=failing, response_hook=failing)

    assert call(shop())[0] == "200 OK"
    assert recorder.names() == ["GET /hello/<name>"]


def test_captured_headers_are_recorded_and_secrets_are_not(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is asked for, the values of credentials are replaced."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST", ".*")
    monkeypatch.setenv("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE", "content-type,set-cookie,x-mine")
    monkeypatch.setenv("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS", "x-mine")
    app = shop()

    @app.after_request
    def answer(response: flask.Response) -> flask.Response:
        response.headers["Set-Cookie"] = "session=hush"
        response.headers["X-Mine"] = "hush"
        return response

    FlaskInstrumentor().instrument(tracer_provider=recorder.provider)

    call(app, headers={"Authorization": "Bearer hush", "Cookie": "a=hush", "X-Api-Key": "hush", "X-Request-Id": "r1"})

    attributes = dict(recorder.only().attributes)
    assert attributes["http.request.header.x-request-id"] == ("r1",)
    assert attributes["http.request.header.authorization"] == ("[REDACTED]",)
    assert attributes["http.response.header.set-cookie"] == ("[REDACTED]",)
    assert attributes["http.response.header.content-type"] == ("text/html; charset=utf-8",)
    assert "hush" not in str(attributes)


def test_one_application_can_be_instrumented_alone(recorder: Recorder) -> None:
    """``instrument_app`` traces that one only, ``uninstrument_app`` undoes it."""
    mine, other = shop(), shop()
    FlaskInstrumentor.instrument_app(mine, tracer_provider=recorder.provider)

    call(mine)
    call(other)
    FlaskInstrumentor.uninstrument_app(mine)
    call(mine)

    assert recorder.names() == ["GET /hello/<name>"]


def test_everything_is_put_back(recorder: Recorder) -> None:
    """After ``uninstrument()`` the class is as it was, and so is its signal."""
    before = (dict(vars(flask.Flask)), len(flask.got_request_exception.receivers))
    FlaskInstrumentor().instrument(tracer_provider=recorder.provider)

    FlaskInstrumentor().uninstrument()

    assert before == (dict(vars(flask.Flask)), len(flask.got_request_exception.receivers))
    call(shop())
    assert recorder.names() == []


def test_a_replacement_that_somebody_wrapped_lets_calls_through(recorder: Recorder) -> None:
    """Another patch on top of ours is left in place and works on, without us."""
    FlaskInstrumentor().instrument(tracer_provider=recorder.provider)
    ours = flask.Flask.__call__
    flask.Flask.__call__ = lambda *args: ours(*args)  # type: ignore[method-assign]
    try:
        FlaskInstrumentor().uninstrument()

        assert call(shop())[0] == "200 OK"
        assert recorder.names() == []
    finally:
        flask.Flask.__call__ = ours.__wrapped__  # type: ignore[method-assign]


def test_nothing_keeps_an_application_alive(recorder: Recorder) -> None:
    """An application that was served is freed as without us: at once, without the cycle collector."""
    FlaskInstrumentor().instrument(tracer_provider=recorder.provider)
    gc.collect()
    gc.disable()
    try:
        app = flask.Flask("short-lived")
        call(app, "/nothing")
        gone = weakref.ref(app)
        del app
        gc.enable()
        gc.collect()
        assert gone() is None
    finally:
        gc.enable()


def test_suppressed_requests_are_not_traced(recorder: Recorder) -> None:
    """Inside ``tellwhy.suppressed()`` there are no spans."""
    FlaskInstrumentor().instrument(tracer_provider=recorder.provider)
    token = suppress.set(True)
    try:
        call(shop())
    finally:
        suppress.reset(token)

    assert recorder.names() == []


def test_requests_in_many_threads_do_not_mix(recorder: Recorder) -> None:
    """Each has its own span and its own parent."""
    FlaskInstrumentor().instrument(tracer_provider=recorder.provider)
    app = shop()

    def serve(number: int) -> None:
        for _ in range(20):
            call(app, f"/hello/{number}", headers={"traceparent": f"00-{number:032x}-{number:016x}-01"})

    threads = [threading.Thread(target=serve, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(recorder.spans) == 80
    for span in recorder.spans:
        assert f"/hello/{span.context.trace_id}" == span.attributes["url.path"]


_recorder = Recorder()


@given(
    path=st.binary(max_size=40),
    headers=st.dictionaries(
        st.sampled_from(["traceparent", "tracestate", "baggage", "host", "user-agent", "x-request-id"]),
        st.binary(max_size=80),
        max_size=4,
    ),
    query=st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF), max_size=40),
    port=st.sampled_from(["80", "", "unix", "99999999999999999999"]),
)
@settings(max_examples=150, deadline=None)
def test_hostile_requests_are_answered_as_without_us(
    path: bytes, headers: dict[str, bytes], query: str, port: str
) -> None:
    """Whatever bytes come, the answer is the same, and there is a span."""
    app = flask.Flask("hostile")
    app.add_url_rule("/<path:path>", view_func=lambda path: path)
    environ = EnvironBuilder(path="/").get_environ()
    environ["PATH_INFO"] = "/" + path.decode("latin-1")
    environ["QUERY_STRING"] = query
    environ["SERVER_PORT"] = port
    for name, value in headers.items():
        environ["HTTP_" + name.upper().replace("-", "_")] = value.decode("latin-1")

    def answer() -> tuple[Any, ...]:
        started: list[Any] = []
        try:
            body = app(dict(environ), lambda status, headers, exc_info=None: started.append((status, headers)))
            return (started, b"".join(body))
        except Exception as error:
            return (type(error), str(error))

    bare = answer()
    FlaskInstrumentor().instrument(tracer_provider=_recorder.provider)
    try:
        traced = answer()
    finally:
        FlaskInstrumentor().uninstrument()

    assert bare == traced
    gc.collect(0)
    (span,) = _recorder.take()
    assert 0 <= span.attributes.get("server.port", 0) <= 65535


def test_a_megabyte_of_url_is_cut(recorder: Recorder) -> None:
    """The request is served; the span says the beginning."""
    FlaskInstrumentor().instrument(tracer_provider=recorder.provider, excluded_urls="(a+)+$")

    status, _ = call(shop(), "/hello/" + "x" * 1_000_000, query_string="q=" + "y" * 1_000_000)

    span = recorder.only()
    assert status == "200 OK"
    assert len(span.attributes["url.path"]) <= 8192
    assert len(span.attributes["url.query"]) <= 8192


def test_the_old_names_are_written_where_asked_for(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the opt-in, a class used on its own follows OpenTelemetry's default."""
    monkeypatch.delenv("OTEL_SEMCONV_STABILITY_OPT_IN")
    FlaskInstrumentor().instrument(tracer_provider=recorder.provider)

    Client(shop()).get("/hello/bob?page=2")

    attributes = recorder.only().attributes
    assert (
        attributes["http.method"],
        attributes["http.target"],
        attributes["http.status_code"],
    ) == ("GET", "/hello/bob?page=2", 200)
    assert "http.request.method" not in attributes
