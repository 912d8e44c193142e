# SPDX-License-Identifier: Apache-2.0
"""
How are requests' sessions traced? Each hop of ``Session.send`` in a span of its own.

Methods of the class are replaced, so sessions that are open already, and those
of subclasses, are traced too. Takes the hooks of
``opentelemetry.instrumentation.requests``.
"""

from __future__ import annotations

from types import MethodType

from tellwhy import diagnostics
from tellwhy.patchers import urls
from tellwhy.patchers.headers import Headers
from tellwhy.patchers.instrumentor import Instrumentor
from tellwhy.patchers.patching import Patch
from tellwhy.patchers.semconv import HttpWords
from tellwhy.patchers.spans import Spans

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tellwhy.patchers.options import Options

SCOPE = "tellwhy.patchers.requests"

_patch = Patch()
_client: Client | None = None


class Client:
    """
    What does not change from request to request.

    Args:

        options: Words, captured headers, what is redacted.

        given: The keyword arguments of ``instrument()``.
    """

    def __init__(
        self,
        options: Options,
        request_hook: Any = None,
        response_hook: Any = None,
        tracer_provider: Any = None,
        excluded_urls: str | None = None,
        **_: Any,
    ) -> None:
        self.spans = Spans(SCOPE, tracer_provider)
        self.words = HttpWords(options)
        self.excluded = urls.excluded(options.excluded_urls("requests", excluded_urls))
        self.request_hook = request_hook if callable(request_hook) else None
        self.response_hook = response_hook if callable(response_hook) else None
        self.has_hooks = self.request_hook is not None or self.response_hook is not None
        self.request_headers = Headers(options, "client_request")
        self.response_headers = Headers(options, "client_response")


def _load_and_send(client: Client, original: Any, session: Any, request: Any, kwargs: dict[str, Any]) -> Any:
    """Load what makes spans, with the first request; the next ones find it in place."""
    global _send
    try:
        client.spans.prepare()
        from tellwhy.patchers.hops import send
    except Exception as error:
        diagnostics.fault("the loading of what traces requests", error)
        return original(session, request, **kwargs)
    _send = send
    return send(client, original, session, request, kwargs)


_send: Callable[..., Any] = _load_and_send


class RequestsInstrumentor(Instrumentor):
    """
    Traces what is sent with requests.

    ``instrument()`` takes ``request_hook(span, request)`` with the prepared
    request, ``response_hook(span, request, response)``, ``tracer_provider`` and
    ``excluded_urls``. ``duration_histogram_boundaries`` is accepted and not used.
    """

    _supported = ("requests >= 2.28",)

    def _install(self, options: Options, given: dict[str, Any]) -> None:
        global _client
        from requests import Session

        if _client is None:
            _patch.replace(Session, "send", _traced_send)
            _patch.replace(Session, "resolve_redirects", _told_redirect)
        _client = Client(options, **given)

    def _remove(self) -> None:
        global _client
        if _client is not None:
            _client.spans.off()
        _client = None
        _patch.undo()

    @staticmethod
    def uninstrument_session(session: Any) -> None:
        """Leave what one session sends untraced."""
        original = getattr(type(session).send, "__wrapped__", None)
        if original is not None:
            session.send = MethodType(original, session)


def _traced_send(original: Any) -> Any:
    def traced_send(self: Any, request: Any, **kwargs: Any) -> Any:
        client = _client
        if client is None:
            return original(self, request, **kwargs)
        return _send(client, original, self, request, kwargs)

    return traced_send


def _told_redirect(original: Any) -> Any:
    """Make ``resolve_redirects``: a response that leads elsewhere is the end of its hop."""

    def resolve_redirects(self: Any, resp: Any, *args: Any, **kwargs: Any) -> Any:
        if _client is not None and resp.is_redirect:
            from tellwhy.patchers.hops import redirected

            redirected(resp)
        return original(self, resp, *args, **kwargs)

    return resolve_redirects
