# SPDX-License-Identifier: Apache-2.0
"""
What of OpenTelemetry's own instrumentations of servers is left out? The same requests as of ours.

They look at the URL themselves, before they start a span; then what is done for
the request has no parent, and becomes the root of a trace that nobody can place
(open-telemetry/opentelemetry-python-contrib#2140). So they are asked to trace
everything, and the engine leaves out what is excluded.
"""

from __future__ import annotations

import os

from tellwhy.engine.active import INSTRUMENTATIONS
from tellwhy.patchers.paths import Paths
from tellwhy.patchers.urls import excluded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Final

    from tellwhy.settings import Settings

SERVERS: Final = (
    "aiohttp-server",
    "asgi",
    "django",
    "falcon",
    "fastapi",
    "flask",
    "pyramid",
    "starlette",
    "tornado",
    "wsgi",
)
"""Instrumentors of servers, by name; their own exclusion is asked for here instead."""

GENERAL: Final = "OTEL_PYTHON_EXCLUDED_URLS"


def variable(name: str) -> str:
    """Return the variable in which an instrumentor looks for the URLs to leave out."""
    return f"OTEL_PYTHON_{name.upper().replace('-', '_')}_EXCLUDED_URLS"


class LeaveOut:
    """
    Tells of a server's span whether its request is left out.

    Args:

        settings: The paths, and the general regular expressions.

        environ: Where those of single instrumentations are looked for.
    """

    def __init__(self, settings: Settings, environ: Mapping[str, str] = os.environ) -> None:
        self._paths = Paths(settings.excluded_paths)
        self._general = settings.python_excluded_urls or ""
        self._environ = environ
        self._searches: dict[str, Callable[[str], Any] | None] = {}

    def __call__(self, scope: str, attributes: Mapping[str, Any]) -> bool:
        """Decide by the name of the tracer's scope and the attributes that the span starts with."""
        url = attributes.get("url.full") or attributes.get("http.url") or ""
        path = attributes.get("url.path") or attributes.get("http.target") or _path_of(url)
        if path.partition("?")[0] in self._paths:
            return True
        if scope not in self._searches:
            name = scope.removeprefix(INSTRUMENTATIONS)
            text = self._environ.get(variable(name))
            self._searches[scope] = excluded(self._general if text is None else text)
        search = self._searches[scope]
        return search is not None and search(url or _url_of(path, attributes)) is not None


def _path_of(url: str) -> str:
    rest = url.partition("://")[2]
    return "/" + rest.partition("/")[2]


def _url_of(path: str, attributes: Mapping[str, Any]) -> str:
    scheme = attributes.get("url.scheme") or attributes.get("http.scheme") or "http"
    host = attributes.get("server.address") or attributes.get("http.host") or attributes.get("net.host.name") or ""
    port = attributes.get("server.port") or attributes.get("net.host.port")
    query = attributes.get("url.query")
    return f"{scheme}://{host}{f':{port}' if port else ''}{path}{f'?{query}' if query else ''}"
