# SPDX-License-Identifier: Apache-2.0
"""How is any WSGI application traced? Wrapped in this, by the program: ``application = Middleware(application)``."""

from __future__ import annotations

from tellwhy.patchers.options import Options
from tellwhy.patchers.server import Server
from tellwhy.patchers.spans import Spans

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SCOPE = "tellwhy.patchers.wsgi"


class Middleware:
    """
    A WSGI application whose requests are traced; takes what OpenTelemetry's WSGI middleware takes.

    Args:

        wsgi: The application.

        request_hook: Called with the span and the environ.

        response_hook: Called with the span, the environ, the status line and the headers.

        tracer_provider: Makes the spans; by default whatever provider is in force.

        meter_provider: Accepted and not used: no metrics are made here.
    """

    def __init__(
        self,
        wsgi: Any,
        request_hook: Any = None,
        response_hook: Any = None,
        tracer_provider: Any = None,
        meter_provider: Any = None,  # noqa: ARG002  # part of the signature whose place this takes
    ) -> None:
        options = Options.from_environment()
        spans = Spans(SCOPE, tracer_provider)
        self.wsgi = wsgi
        self._server = Server(spans, options, options.excluded_urls("wsgi"), request_hook, response_hook)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Serve a request; inside of another traced application it is part of that one's request."""
        self._server.spans.prepare()
        from tellwhy.patchers.wsgi import KEY, serve

        if KEY in environ:
            return self.wsgi(environ, start_response)
        return serve(self._server, self._called, environ, start_response)

    def _called(self, environ: dict[str, Any], start_response: Any) -> Any:
        exchange = environ.get("tellwhy.exchange")
        hook = self._server.request_hook
        if hook is not None and exchange is not None and exchange.tells:
            from tellwhy.patchers.live import call_hook

            call_hook(hook, exchange.span, environ)
        return self.wsgi(environ, start_response)
