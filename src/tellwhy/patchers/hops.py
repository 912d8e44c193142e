# SPDX-License-Identifier: Apache-2.0
"""
What is the span of an HTTP request that a client sends? One per hop: a redirect's target is a request of its own.

Retries that urllib3 makes below are one span with ``http.request.resend_count``.
The span ends when ``send`` does: with the body if it is read there, with the
headers if it is streamed. https://opentelemetry.io/docs/specs/semconv/http/http-spans/
"""

from __future__ import annotations

from contextvars import ContextVar

from opentelemetry.context.context import Context

from tellwhy import diagnostics
from tellwhy.engine.context import SPAN_KEY, get_context, leave, put, set_context
from tellwhy.engine.span import Unrecorded
from tellwhy.patchers import live
from tellwhy.patchers.live import SILENT_HTTP
from tellwhy.patchers.propagation import inject
from tellwhy.patchers.semconv import METHODS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tellwhy.patchers.requests import Client

_VERSIONS = {9: "0.9", 10: "1.0", 11: "1.1", 20: "2", 30: "3"}

_hop: ContextVar[Hop | None] = ContextVar("tellwhy-hop", default=None)


class Hop:
    """One request and its answer. Kept while those that it leads to are sent, to count them."""

    __slots__ = ("client", "first", "request", "resent", "span", "token")

    def __init__(self, client: Client, span: Any, request: Any, before: Hop | None) -> None:
        self.client = client
        self.span = span
        self.request = request
        self.token: Any = None
        self.first: Hop = self if before is None else before.first
        self.resent = 0

    def answered(self, response: Any) -> None:
        """Record the answer and end the span; once."""
        span = self._take()
        if span is None:
            return
        try:
            self._tell(span, response)
        except Exception as error:
            diagnostics.fault("the recording of a response", error)
        live.end(span)

    def failed(self, error: BaseException) -> None:
        """Record what was raised in place of an answer, and end the span; once."""
        span = self._take()
        if span is None:
            return
        live.fail(span, error)
        response = getattr(error, "response", None)
        if response is not None and hasattr(response, "status_code"):
            self._tell(span, response, failed=True)
        live.end(span)

    def _take(self) -> Any:
        """Leave the span's context and return the span; None if that was done before."""
        span, self.span = self.span, None
        if span is not None:
            leave(self.token, span)
        return span

    def _tell(self, span: Any, response: Any, *, failed: bool = False) -> None:
        client = self.client
        if span.is_recording():
            client.words.response(span, response.status_code, server=False, failed=failed)
            raw = response.raw
            client.words.protocol(span, _VERSIONS.get(getattr(raw, "version", None)))  # type: ignore[arg-type]
            retries = getattr(getattr(raw, "retries", None), "history", None)
            if retries:
                self.first.resent += len(retries)
                client.words.resent(span, self.first.resent)
            if client.response_headers:
                said: dict[str, Any] = {}
                client.response_headers.put(response.headers.items(), said)
                span.set_attributes(said)
        if client.response_hook is not None:
            live.call_hook(client.response_hook, span, self.request, response)


def send(client: Client, original: Any, session: Any, request: Any, kwargs: dict[str, Any]) -> Any:
    """Send a request in a span, unless none is wanted."""
    try:
        hop = _begin(client, request)
    except Exception as error:
        diagnostics.fault("the tracing of a request", error)
        hop = None
    if hop is None:
        return original(session, request, **kwargs)
    token = _hop.set(hop)
    try:
        response = original(session, request, **kwargs)
    except BaseException as error:
        hop.failed(error)
        raise
    else:
        hop.answered(response)
        return response
    finally:
        _hop.reset(token)


def redirected(response: Any) -> None:
    """End the hop that got this response, before the request that it leads to is sent."""
    hop = _hop.get()
    if hop is not None and hop.span is not None and hop.request is response.request:
        hop.answered(response)


def _begin(client: Client, request: Any) -> Hop | None:
    tracer = client.spans.current()
    if tracer is None:
        return None
    context: Context = get_context()
    if live.is_silenced(context):
        if live.is_sampled_out(context):
            inject(request.headers, context)
        return None
    if context.get(SILENT_HTTP):
        return None
    if client.excluded is not None and client.excluded(request.url):
        return None
    words = client.words
    method = request.method or "GET"
    name = method if method in METHODS else words.span_name(words.method(method))
    said = _said(client, request, method) if client.spans.eager else None
    span = live.begin(client.spans, tracer, name, live.CLIENT, said, context)
    if span is None:
        if live.is_sampled_out(context):
            inject(request.headers, context)
        return None
    inner = Context(context)
    put(inner, SPAN_KEY, span)
    if type(span) is Unrecorded and not client.has_hooks:
        # The next service is told; nothing of the program runs below that could ask.
        inject(request.headers, inner)
        return None
    put(inner, SILENT_HTTP, True)  # what is below requests makes no second span of the same
    before = _hop.get()
    # A hop that has its answer, and is still about: this is where it leads to.
    hop = Hop(client, span, request, before if before is not None and before.span is None else None)
    if span.is_recording():
        if said is None:
            live.describe(span, name, _said(client, request, method))
        if hop.first is not hop:
            hop.first.resent += 1
            words.resent(span, hop.first.resent)
    if client.request_hook is not None:
        live.call_hook(client.request_hook, span, request)
    hop.token = set_context(inner)
    inject(request.headers, inner)
    return hop


def _said(client: Client, request: Any, method: str) -> dict[str, Any]:
    said = client.words.request_to(method, request.url)
    agent = request.headers.get("User-Agent")
    if agent:
        client.words.user_agent(agent if isinstance(agent, str) else str(agent, "latin-1"), said, server=False)
    if client.request_headers:
        client.request_headers.put(request.headers.items(), said)
    return said
