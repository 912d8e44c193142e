# SPDX-License-Identifier: Apache-2.0
"""How are the requests of one server traced: hooks, exclusions, headers, words. Decided once."""

from __future__ import annotations

from tellwhy.patchers import paths
from tellwhy.patchers.headers import Headers
from tellwhy.patchers.semconv import HttpWords

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tellwhy.patchers.options import Options
    from tellwhy.patchers.spans import Spans


class Server:
    """
    What does not change from request to request.

    Args:

        spans: The tracer.

        options: Words, captured headers, what is redacted.

        excluded: Regular expressions of URLs that are left untraced, separated by commas; beside them,
            the paths that the options name are.

        request_hook: The program's own, called with the span when the request is known.

        response_hook: The program's own, called with the span when the response is.
    """

    COMMENT_KEY = "SQLCOMMENTER_ORM_TAGS_AND_VALUES"
    """Under which OpenTelemetry's SQL commenters look for what a framework has to say."""

    def __init__(
        self,
        spans: Spans,
        options: Options,
        excluded: str = "",
        request_hook: Callable[..., Any] | None = None,
        response_hook: Callable[..., Any] | None = None,
    ) -> None:
        self.spans = spans
        self.words = HttpWords(options)
        self.excluded = paths.excluded(options.excluded_paths, excluded)
        self.request_hook = request_hook if callable(request_hook) else None
        self.response_hook = response_hook if callable(response_hook) else None
        self.has_hooks = self.request_hook is not None or self.response_hook is not None
        self.request_headers = Headers(options, "server_request")
        self.response_headers = Headers(options, "server_response")
        self.captures_request, self.captures_response = bool(self.request_headers), bool(self.response_headers)
        self.comment_tags: Any = None

    def call_response_hook(self, span: Any, environ: dict[str, Any], status: str, headers: Any) -> None:
        """Call the program's hook, with what its framework's hooks are called with."""
        from tellwhy.patchers.live import call_hook

        if self.response_hook is not None:
            call_hook(self.response_hook, span, environ, status, headers)
