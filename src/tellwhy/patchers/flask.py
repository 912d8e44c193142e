# SPDX-License-Identifier: Apache-2.0
"""
How is a Flask application traced? At its WSGI call; Flask itself is asked for the route and for what went wrong.

Methods of the class are replaced, so it does not matter whether applications
were made, or ``Flask`` was imported, before or after. Reads like
``opentelemetry.instrumentation.flask``, and takes the same hooks.
"""

from __future__ import annotations

import weakref

from tellwhy import diagnostics
from tellwhy.patchers.instrumentor import Instrumentor
from tellwhy.patchers.options import Options
from tellwhy.patchers.patching import Patch
from tellwhy.patchers.server import Server
from tellwhy.patchers.spans import Spans

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

SCOPE = "tellwhy.patchers.flask"
KEY = "tellwhy.exchange"

_patch = Patch()
_everywhere: Server | None = None
_apps: weakref.WeakKeyDictionary[Any, Server | None] = weakref.WeakKeyDictionary()
_some_have_their_own = False
_context: Any = None  # Flask's context variable, where the request that is handled is found


def _load_and_serve(server: Server, call: Callable[..., Any], environ: Any, start_response: Any) -> Any:
    """Load what makes spans, with the first request; the next ones find it in place."""
    global _serve
    try:
        server.spans.prepare()
        from tellwhy.patchers.wsgi import serve
    except Exception as error:
        diagnostics.fault("the loading of what traces requests", error)
        return call(environ, start_response)
    _serve = serve
    return serve(server, call, environ, start_response)


_serve: Callable[..., Any] = _load_and_serve


class FlaskInstrumentor(Instrumentor):
    """
    Traces the requests of Flask applications.

    ``instrument()`` takes ``request_hook(span, environ)``, called when Flask has
    the request, ``response_hook(span, status, headers)``, ``tracer_provider``,
    ``excluded_urls``, ``enable_commenter`` and ``commenter_options``.
    """

    _supported = ("flask >= 2.3",)

    def _install(self, options: Options, given: dict[str, Any]) -> None:
        global _everywhere
        _replace_methods()
        _everywhere = _server(options, **given)

    def _remove(self) -> None:
        global _everywhere, _some_have_their_own
        if _everywhere is not None:
            _everywhere.spans.off()
        _everywhere = None
        _some_have_their_own = False
        for server in _apps.values():
            if server is not None:
                server.spans.off()
        _apps.clear()
        _restore_methods()

    @staticmethod
    def instrument_app(
        app: Any,
        request_hook: Any = None,
        response_hook: Any = None,
        tracer_provider: Any = None,
        excluded_urls: str | None = None,
        enable_commenter: bool = True,
        commenter_options: dict[str, bool] | None = None,
        meter_provider: Any = None,
    ) -> None:
        """Trace the requests of one application, whether or not the others are traced, with hooks of its own."""
        global _some_have_their_own
        _some_have_their_own = True
        options = FlaskInstrumentor().options
        if options is None:
            options = Options.from_environment()
        _replace_methods()
        _apps[app] = _server(
            options,
            request_hook=request_hook,
            response_hook=response_hook,
            tracer_provider=tracer_provider,
            excluded_urls=excluded_urls,
            enable_commenter=enable_commenter,
            commenter_options=commenter_options,
            meter_provider=meter_provider,
        )

    @staticmethod
    def uninstrument_app(app: Any) -> None:
        """Leave the requests of one application untraced, also where all others are traced."""
        global _some_have_their_own
        _some_have_their_own = True
        _apps[app] = None
        if _everywhere is None and not any(_apps.values()):
            _apps.clear()
            _restore_methods()


def _server(
    options: Options,
    request_hook: Any = None,
    response_hook: Any = None,
    tracer_provider: Any = None,
    excluded_urls: str | None = None,
    enable_commenter: bool = True,
    commenter_options: dict[str, bool] | None = None,
    **_: Any,
) -> Server:
    server = _FlaskServer(
        Spans(SCOPE, tracer_provider),
        options,
        options.excluded_urls("flask", excluded_urls),
        request_hook,
        response_hook,
    )
    if enable_commenter:
        server.comment_tags = _CommentTags(commenter_options or {})
    return server


class _FlaskServer(Server):
    """Flask's response hook is not told the environ, as ``opentelemetry.instrumentation.flask`` has it."""

    def call_response_hook(self, span: Any, environ: dict[str, Any], status: str, headers: Any) -> None:  # noqa: ARG002
        """Call the program's hook with the span, the status line and the headers."""
        from tellwhy.patchers.live import call_hook

        if self.response_hook is not None:
            call_hook(self.response_hook, span, status, headers)


def _replace_methods() -> None:
    global _context
    import flask

    if _context is not None:
        return
    # Flask 3.2 merges the request's context into the application's.
    _context = getattr(flask.globals, "_cv_request", None) or flask.globals._cv_app
    _patch.replace(flask.Flask, "__call__", _traced_call)
    _patch.replace(flask.Flask, "wsgi_app", _traced_call)
    _patch.replace(flask.Flask, "full_dispatch_request", _told_request)
    _patch.replace(flask.Flask, "finalize_request", _told_response)
    flask.got_request_exception.connect(_told_exception)


def _restore_methods() -> None:
    global _context
    import flask

    if _context is not None:
        flask.got_request_exception.disconnect(_told_exception)
        _patch.undo()
        _context = None


def _traced_call(original: Any) -> Any:
    """Make ``__call__`` and ``wsgi_app``: whichever is reached first has the span, the other is inside of it."""

    def call(self: Any, environ: Any, start_response: Any) -> Any:
        server = _apps.get(self, _everywhere) if _some_have_their_own else _everywhere
        if server is None or KEY in environ or "_is_instrumented_by_opentelemetry" in self.__dict__:
            return original(self, environ, start_response)
        return _serve(server, original.__get__(self), environ, start_response)

    return call


def _told_request(original: Any) -> Any:
    """Make ``full_dispatch_request``: the route is known, and nothing of the program has run for it."""

    def full_dispatch_request(self: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = _exchange()
        if exchange is not None and exchange.tells:
            _begun(exchange, _context.get().request)
        return original(self, *args, **kwargs)

    return full_dispatch_request


def _told_response(original: Any) -> Any:
    """Make ``finalize_request``: the response is known, and whether its body is there already."""

    def finalize_request(self: Any, *args: Any, **kwargs: Any) -> Any:
        response = original(self, *args, **kwargs)
        exchange = _exchange()
        if exchange is not None:
            # Functions of ``call_on_close`` belong to the request, and run when the body is closed.
            exchange.closes_quietly = quiet = not response._on_close
            exchange.is_whole = quiet and (response.is_sequence or _is_error_page(args))
        return response

    return finalize_request


def _is_error_page(args: tuple[Any, ...]) -> bool:
    """Tell whether a response was made from an exception of werkzeug's, whose page is an iterator but no stream."""
    return any(hasattr(one, "get_response") and getattr(one, "response", one) is None for one in args)


def _begun(exchange: Any, request: Any) -> None:
    """Name the span by its route, then let the program's own hook have it."""
    span, server = exchange.span, exchange.server
    rule = request.url_rule
    if rule is not None and span.is_recording():
        route = rule.rule
        span.set_attribute("http.route", route)
        span.update_name(server.words.route_name(request.environ.get("REQUEST_METHOD"), route))
    if server.request_hook is not None:
        from tellwhy.patchers.live import call_hook

        call_hook(server.request_hook, span, request.environ)


def _told_exception(_sender: Any, exception: BaseException, **_: Any) -> None:
    """Receive Flask's signal for an exception that no handler of the program's took."""
    exchange = _exchange()
    if exchange is not None:
        exchange.fail(exception)


def _exchange() -> Any:
    """Return what is known of the request that Flask handles now; None if it is not traced."""
    context = _context.get(None) if _context is not None else None
    request = getattr(context, "request", None)
    return None if request is None else request.environ.get(KEY)


class _CommentTags:
    """What Flask has to say in SQL comments: a mapping that looks at the request when it is read."""

    def __init__(self, wanted: dict[str, bool]) -> None:
        self._wanted = wanted

    def _tags(self) -> dict[str, str]:
        request = getattr(_context.get(None) if _context is not None else None, "request", None)
        if request is None:
            return {}
        from importlib.metadata import version

        rule = request.url_rule
        tags = {
            "framework": f"flask:{version('flask')}",
            "controller": request.endpoint,
            "route": None if rule is None else rule.rule,
        }
        return {name: tag for name, tag in tags.items() if tag and self._wanted.get(name, True)}

    def keys(self) -> Iterator[str]:
        return iter(self._tags())

    def __getitem__(self, name: str) -> str:
        return self._tags()[name]
