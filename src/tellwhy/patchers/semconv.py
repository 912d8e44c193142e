# SPDX-License-Identifier: Apache-2.0
"""
What does a span of HTTP say, in the old and in the stable words?

Both forms stand side by side in each function, so that they cannot drift
apart. https://opentelemetry.io/docs/specs/semconv/http/http-spans/ and, for
the old names, ``OTEL_SEMCONV_STABILITY_OPT_IN=none`` or ``http/dup``.
"""

from __future__ import annotations

from tellwhy.patchers import urls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from tellwhy.patchers.options import Options

METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"))
_OTHER: Final = "_OTHER"
_SYNTHETIC: Final = (("alwayson", "test"), ("googlebot", "bot"), ("bingbot", "bot"))
_MAX_PATH: Final = 8192  # characters
_MAX_PORT: Final = 65535
_MAX_URLS: Final = 256  # that are remembered
_MAX_REMEMBERED: Final = 256  # characters
_MAX_AGENTS: Final = 256  # user agents come from callers, so what is known about them is bounded


class HttpWords:
    """
    Writes the attributes of HTTP spans in the forms that the options ask for.

    Args:

        options: The forms of the semantic conventions, and what is redacted.
    """

    __slots__ = ("_agents", "_all_methods", "_old", "_secrets", "_stable", "_urls")

    def __init__(self, options: Options) -> None:
        self._old, self._stable = options.http
        self._all_methods = options.all_methods
        self._secrets = options.secrets
        self._agents: dict[str, str | None] = {}
        self._urls: dict[str, tuple[str, int, str]] = {}

    def method(self, given: str) -> str:
        """Return a request's method as it is written: of low cardinality, ``_OTHER`` for unknown ones."""
        if given in METHODS:
            return given
        upper = given.strip().upper()
        return upper if upper in METHODS or (self._all_methods and upper) else _OTHER

    def span_name(self, method: str, route: str | None = None) -> str:
        """Return ``GET /users/<id>``, ``GET`` or ``HTTP``: never a URL, whose values are without bound."""
        verb = "HTTP" if method == _OTHER else method
        return f"{verb} {route}" if route else verb

    def route_name(self, given: str | None, route: str) -> str:
        """Return ``GET /users/<id>`` of a method as it was given."""
        return f"{given} {route}" if given in METHODS else self.span_name(self.method(given or "GET"), route)

    def request_of(self, environ: dict[str, Any]) -> dict[str, Any]:
        """Return what a WSGI server's span says before there is a response."""
        said: dict[str, Any] = {}
        get = environ.get
        given = get("REQUEST_METHOD") or "GET"
        method = given if given in METHODS else self.method(given)
        scheme = get("wsgi.url_scheme")
        authority = get("HTTP_HOST")
        server_port = get("SERVER_PORT")
        path = get("SCRIPT_NAME", "") + get("PATH_INFO", "")
        if not path.isascii():
            path = urls.as_utf8(path)
        path = path[:_MAX_PATH]
        query = get("QUERY_STRING")
        if query:
            query = self._secrets.query(query)
        protocol = get("SERVER_PROTOCOL", "")
        version = protocol[5:] if protocol[:5] == "HTTP/" else protocol
        if self._stable:
            said["http.request.method"] = method
            if method != given:
                said["http.request.method_original"] = given
            said["url.path"] = path or "/"
            if query:
                said["url.query"] = query
            if scheme:
                said["url.scheme"] = scheme
            if authority:
                said["server.address"], port = urls.host_and_port(authority)
                server_port = port or server_port
            _put_port(said, "server.port", server_port)
            if get("REMOTE_ADDR"):
                said["client.address"] = get("REMOTE_ADDR")
            _put_port(said, "client.port", get("REMOTE_PORT"))
            if version:
                said["network.protocol.version"] = version
        if self._old:
            self._old_request_of(environ, said, method, path, query)
        agent = get("HTTP_USER_AGENT")
        if agent:
            self.user_agent(agent, said, server=True)
        return said

    def _old_request_of(
        self, environ: dict[str, Any], said: dict[str, Any], method: str, path: str, query: str | None
    ) -> None:
        get = environ.get
        said["http.method"] = method
        target = f"{path or '/'}?{query}" if query else path or "/"
        authority = get("HTTP_HOST")
        found = (
            ("http.server_name", get("SERVER_NAME")),
            ("http.scheme", get("wsgi.url_scheme")),
            ("http.host", authority),
            ("net.host.name", authority),
            ("net.peer.ip", get("REMOTE_ADDR")),
            ("http.target", target),
        )
        said.update((key, value) for key, value in found if value)
        if get("REMOTE_HOST") and get("REMOTE_HOST") != get("REMOTE_ADDR"):
            said["net.peer.name"] = get("REMOTE_HOST")
        _put_port(said, "net.host.port", get("SERVER_PORT"))
        _put_port(said, "net.peer.port", get("REMOTE_PORT"))
        protocol = get("SERVER_PROTOCOL", "")
        if protocol:
            said["http.flavor"] = protocol[5:] if protocol[:5] == "HTTP/" else protocol

    def request_to(self, given: str, url: str) -> dict[str, Any]:
        """Return what a client's span says before it has an answer."""
        said: dict[str, Any] = {}
        method = given if given in METHODS else self.method(given)
        host, port, url = self._urls.get(url) or self._look_at(url)
        if self._stable:
            said["http.request.method"] = method
            if method != given:
                said["http.request.method_original"] = given
            said["url.full"] = url
            if host:
                said["server.address"] = host
                said["server.port"] = port
        if self._old:
            said["http.method"] = method
            said["http.url"] = url
        return said

    def _look_at(self, url: str) -> tuple[str, int, str]:
        """Return host, port and what may be seen of a URL, remembered: most programs ask for few, each very often."""
        scheme, host, port = urls.target(url)
        found = host, port or (443 if scheme.lower() == "https" else 80), self._secrets.url(url)
        if len(url) <= _MAX_REMEMBERED:
            if len(self._urls) >= _MAX_URLS:
                self._urls.clear()
            self._urls[url] = found
        return found

    def user_agent(self, agent: str, said: dict[str, Any], *, server: bool) -> None:
        """Add the user agent, and whether it is a robot's. A client's has the stable name in both forms."""
        if self._stable or not server:
            said["user_agent.original"] = agent
        if self._old and server:
            said["http.user_agent"] = agent
        try:
            synthetic = self._agents[agent]
        except KeyError:
            low = agent.lower()
            synthetic = next((kind for mark, kind in _SYNTHETIC if mark in low), None)
            if len(self._agents) < _MAX_AGENTS:
                self._agents[agent] = synthetic
        if synthetic:
            said["user_agent.synthetic.type"] = synthetic

    def response(self, span: Any, status: int, *, server: bool, failed: bool = False) -> None:
        """
        Write the status code; a server's error is 5xx, a client's 4xx too, and a code that is none.

        Where an exception has failed the span already, ``error.type`` stays the exception's.
        """
        if self._stable:
            span.set_attribute("http.response.status_code", status)
        if self._old:
            span.set_attribute("http.status_code", status)
        if not failed and (status >= 500 or status < 100 or (status >= 400 and not server)):
            from tellwhy.patchers.live import ERROR

            span.set_status(ERROR)
            if self._stable:
                span.set_attribute("error.type", str(status))

    def protocol(self, span: Any, version: str | None) -> None:
        """Write the version of HTTP that an answer came in."""
        if version and self._stable:
            span.set_attribute("network.protocol.version", version)

    def resent(self, span: Any, count: int) -> None:
        """Write which repetition this is: a redirect's target, or a retry."""
        if self._stable:
            span.set_attribute("http.request.resend_count", count)


def _put_port(said: dict[str, Any], key: str, port: Any) -> None:
    if port is None or port == "":
        return
    try:
        number = int(port)
    except (TypeError, ValueError):  # a socket's path, or what a client has made up
        return
    if 0 <= number <= _MAX_PORT:
        said[key] = number


def status_code(status: Any) -> int:
    """Return the number in a WSGI status line such as ``404 NOT FOUND``; 0 if there is none."""
    try:
        return int(status[:3])
    except (TypeError, ValueError):
        return 0
