# SPDX-License-Identifier: Apache-2.0
"""
What is the span of a WSGI request? From the call of the application until its response is closed.

Its context is current while the application runs and while its response is
iterated, step by step: between two steps the server's own context is in place,
and what a generator made current stays so for its next step.
"""

from __future__ import annotations

import sys

from opentelemetry.context.context import Context

from tellwhy import diagnostics
from tellwhy.engine.carried import Carried
from tellwhy.engine.context import SPAN_KEY, get_context, put, reset_context, set_context
from tellwhy.engine.leftout import left_out_below
from tellwhy.patchers import live
from tellwhy.patchers.propagation import extract
from tellwhy.patchers.semconv import METHODS, status_code

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from tellwhy.patchers.server import Server

KEY = "tellwhy.exchange"

_PROPAGATORS = "opentelemetry.instrumentation.propagators"
_WHOLE = (list, tuple)  # bodies whose iteration runs no code of the application's


class Exchange:
    """One request and its response, as far as it was traced."""

    __slots__ = ("closes_quietly", "context", "error", "is_whole", "server", "span", "tells", "token")

    def __init__(self, server: Server, span: Any, context: Context, *, tells: bool = True) -> None:
        self.server = server
        self.tells = tells  # somebody wants to know: the span is recorded, or there are hooks
        self.span: Any = span
        self.context = context
        self.token: Any = None
        self.error: BaseException | None = None
        self.is_whole = False  # the body is there already: no code will run while it is sent
        self.closes_quietly = False  # nor when it is closed

    def enter(self) -> None:
        """Make the request's context current."""
        self.token = set_context(self.context)

    def leave(self) -> None:
        """Put the server's context back, and keep what the application has made of its own."""
        self.context = get_context()
        try:
            reset_context(self.token)
        except (ValueError, RuntimeError):  # another thread or task goes on with the response
            return

    def fail(self, error: BaseException) -> None:
        """Record an exception that the application did not handle, once."""
        if self.error is not error and self.span is not None:
            self.error = error
            live.fail(self.span, error)

    def start(self, status: str, headers: list[tuple[str, str]], environ: dict[str, Any]) -> None:
        """Record what the application answers."""
        span, server = self.span, self.server
        if span is None:  # the server has closed the response before it was started
            return
        if span.is_recording():
            server.words.response(span, status_code(status), server=True, failed=self.error is not None)
            if server.captures_response and span.kind is live.SERVER:
                said: dict[str, Any] = {}
                server.response_headers.put(headers, said)
                span.set_attributes(said)
        if server.response_hook is not None and self.tells:
            server.call_response_hook(span, environ, status, headers)

    def end(self) -> None:
        """End the span; more than once does no harm."""
        span, self.span = self.span, None
        if span is not None and self.tells:
            live.end(span)


class Body:
    """A response whose iteration is part of the request."""

    __slots__ = ("_close", "_exchange", "_next")

    def __init__(self, iterable: Iterable[bytes], exchange: Exchange) -> None:
        self._exchange = exchange
        self._close = getattr(iterable, "close", None)
        self._next = iter(iterable).__next__

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        exchange = self._exchange
        exchange.enter()
        try:
            return self._next()
        except StopIteration:
            if exchange.closes_quietly:
                exchange.end()
            raise
        except BaseException as error:
            exchange.fail(error)
            raise
        finally:
            exchange.leave()

    def close(self) -> None:
        """Close the application's response, and end the span."""
        exchange = self._exchange
        exchange.enter()
        try:
            if self._close is not None:
                self._close()
        except BaseException as error:
            exchange.fail(error)
            raise
        finally:
            exchange.leave()
            exchange.end()

    def __del__(self) -> None:
        # A server that does not close what it was given: the span still ends.
        exchange = getattr(self, "_exchange", None)
        if exchange is not None:
            exchange.end()


def serve(server: Server, call: Callable[..., Any], environ: dict[str, Any], start_response: Any) -> Any:
    """Call a WSGI application in a span of its own, unless none is wanted."""
    answer = start_response
    try:
        exchange = _begin(server, environ)
        if exchange is not None:
            if exchange.tells or _PROPAGATORS in sys.modules:
                answer = _watched(exchange, environ, start_response)
            environ[KEY] = exchange
            exchange.token = set_context(exchange.context)
    except Exception as error:
        diagnostics.fault("the tracing of a WSGI request", error)
        exchange = None
    if exchange is None:
        return call(environ, start_response)
    try:
        result = call(environ, answer)
    except BaseException as error:
        exchange.leave()
        exchange.fail(error)
        exchange.end()
        raise
    finally:
        environ.pop(KEY, None)
    exchange.leave()
    if exchange.is_whole or type(result) in _WHOLE:
        if exchange.tells:
            exchange.end()
        return result
    return _handed_over(result, exchange, environ)


def _begin(server: Server, environ: dict[str, Any]) -> Exchange | None:
    tracer = server.spans.current()
    if tracer is None:
        return None
    context: Context = get_context()
    if live.is_silenced(context):
        return None
    current: Any = context.get(SPAN_KEY)
    if type(current) is Carried:  # a server's thread that was started in a span: its requests are no part of that
        context = Context(context)
        dict.pop(context, SPAN_KEY)
        current = None
    if current is not None and current.get_span_context().is_valid:
        kind = live.INTERNAL
    else:
        kind = live.SERVER
        context = extract(environ, context)
    if server.excluded is not None and server.excluded(environ):
        return _untold(server, context, left_out_below(context))
    if server.spans.drops_roots and not server.has_hooks and SPAN_KEY not in context:
        return _untold(server, context, tracer.dropped_root())
    words = server.words
    said = words.request_of(environ) if server.spans.eager else None
    method = environ.get("REQUEST_METHOD")
    name = method if method in METHODS else words.span_name(words.method(method or "GET"))
    span = live.begin(server.spans, tracer, name, kind, said, context)
    if span is None:
        return None
    is_recorded = span.is_recording()
    if is_recorded:
        if said is None:
            live.describe(span, name, words.request_of(environ))
        if server.captures_request and kind is live.SERVER:
            span.set_attributes(_request_headers(server, environ))
    inner = Context(context)
    put(inner, SPAN_KEY, span)
    if server.comment_tags is not None:
        put(inner, server.COMMENT_KEY, server.comment_tags)
    return Exchange(server, span, inner, tells=is_recorded or server.has_hooks)


def _untold(server: Server, context: Context, span: Any) -> Exchange:
    """Return an exchange that nobody hears of."""
    inner = Context(context)
    put(inner, SPAN_KEY, span)
    return Exchange(server, span, inner, tells=False)


def _request_headers(server: Server, environ: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {}
    headers = [(key[5:].replace("_", "-"), value) for key, value in environ.items() if key.startswith("HTTP_")]
    server.request_headers.put(headers, said)
    return said


def _watched(exchange: Exchange, environ: dict[str, Any], start_response: Any) -> Any:
    """Return what the application is given as ``start_response``."""
    propagators = sys.modules.get(_PROPAGATORS)
    propagator: Any = None if propagators is None else propagators.get_global_response_propagator()
    if propagator is None and not exchange.tells:
        return start_response

    def answer(status: str, headers: list[tuple[str, str]], *exc_info: Any, **kwargs: Any) -> Any:
        try:
            if propagator is not None:
                propagator.inject(headers, exchange.context, setter=_HeaderSetter)
            exchange.start(status, headers, environ)
        except Exception as error:
            diagnostics.fault("the recording of a response", error)
        return start_response(status, headers, *exc_info, **kwargs)

    return answer


class _HeaderSetter:
    """Adds a header to a WSGI response."""

    @staticmethod
    def set(carrier: list[tuple[str, str]], key: str, value: str) -> None:
        carrier.append((key, value))


def _handed_over(result: Any, exchange: Exchange, environ: dict[str, Any]) -> Any:
    """Return a response in whose iteration anything can happen as the server may have it: watched until its end."""
    try:
        file_wrapper = environ.get("wsgi.file_wrapper")
        if isinstance(file_wrapper, type) and isinstance(result, file_wrapper):
            return _file_handed_over(result, exchange)
        return Body(result, exchange)
    except Exception as error:  # not an iterable: the server will say so
        diagnostics.debug(f"a response of type {type(result).__name__} is not watched: {error}")
        exchange.end()
        return result


def _file_handed_over(result: Any, exchange: Exchange) -> Any:
    """Watch the server's own file wrapper, which it must get back as it is to send the file in its own way."""
    real_close = getattr(result, "close", None)

    def close() -> None:
        vars(result).pop("close", None)  # the two refer to each other no longer
        try:
            if real_close is not None:
                real_close()
        finally:
            exchange.end()

    try:
        result.close = close
    except (AttributeError, TypeError):  # a server's own type, written in C
        exchange.end()
    return result
