# SPDX-License-Identifier: Apache-2.0
"""Does a proxy stand between? ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``, as everywhere."""

from __future__ import annotations

import os
from base64 import b64encode
from urllib.parse import unquote, urlsplit

from tellwhy import diagnostics

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tellwhy.delivery.otlp.endpoint import Endpoint


class Proxy:
    """Where the proxy listens, and the header that it asks for."""

    __slots__ = ("headers", "host", "port")

    def __init__(self, host: str, port: int, headers: dict[str, str]) -> None:
        self.host = host
        self.port = port
        self.headers = headers


def proxy_for(endpoint: Endpoint) -> Proxy | None:
    """Return the environment's proxy for this destination, or None."""
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    from urllib import request  # 5 ms, for those who have a proxy

    proxies = request.getproxies_environment()
    url = proxies.get(endpoint.scheme) or proxies.get("all")
    if not url or request.proxy_bypass_environment(  # type: ignore[attr-defined]  # typeshed: one platform's only
        f"{endpoint.host}:{endpoint.port}", proxies
    ):
        return None
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
        parts = urlsplit("")
    if not host or parts.scheme != "http":
        diagnostics.warn(f"the proxy for {endpoint} must be an http:// URL; spans are sent without it", key="proxy")
        return None
    return Proxy(host, port or 80, authorization("Proxy-Authorization", parts.netloc.rpartition("@")[0]))


def authorization(header: str, userinfo: str) -> dict[str, str]:
    """Return the header of basic authentication for ``user:password`` from a URL; nothing for nothing."""
    if not userinfo:
        return {}
    return {header: "Basic " + b64encode(unquote(userinfo).encode()).decode("ascii")}
