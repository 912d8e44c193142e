# SPDX-License-Identifier: Apache-2.0
"""
Which URLs are left untraced, and what are the parts of one?

The excluded ones are regular expressions, separated by commas, searched for
anywhere in the URL, as in OpenTelemetry's instrumentations
(``OTEL_PYTHON_EXCLUDED_URLS``).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

_MAX_LENGTH: Final = 8192  # of a URL that is looked at: beyond it, a pattern could take the caller's time


def excluded(text: str) -> Callable[[str], Any] | None:
    """Return the search for excluded URLs, or None if there are none."""
    patterns = [word.strip() for word in text.split(",") if word.strip()]
    if not patterns:
        return None
    import re

    try:
        search = re.compile("|".join(patterns)).search
    except re.error as error:
        from tellwhy import diagnostics

        diagnostics.warn(f"excluded URLs {text!r}: not a regular expression ({error}); nothing is excluded")
        return None
    return lambda url: search(url[:_MAX_LENGTH])


def of_environ(environ: dict[str, Any]) -> str:
    """Return the URL of a WSGI request, as the program sees it: path and query are not percent-encoded anew."""
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    if not path.isascii():
        path = as_utf8(path)
    host = environ.get("HTTP_HOST") or environ.get("SERVER_NAME", "")
    query = environ.get("QUERY_STRING")
    url = f"{environ.get('wsgi.url_scheme', 'http')}://{host}{path}"
    return f"{url}?{query}" if query else url


def as_utf8(text: str) -> str:
    """Return a WSGI string, whose characters stand for bytes, as the text that it is meant to be."""
    try:
        return text.encode("latin-1").decode("utf-8", "replace")
    except UnicodeEncodeError:  # a server that decodes by itself, against PEP 3333
        return text


def host_and_port(authority: str) -> tuple[str, int | None]:
    """Split ``host:port``, ``[::1]:port`` or ``host``; the port is None where there is none."""
    host, colon, port = authority.rpartition(":")
    if not colon or port.endswith("]"):
        return authority.strip("[]"), None
    if not (port.isascii() and port.isdigit()) or len(port) > 5:
        return (host if not port else authority).strip("[]"), None
    return host.strip("[]"), int(port)


def target(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port of an absolute URL; empty strings for what it does not have."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return "", "", None
    end = len(rest)
    for mark in "/?#":
        at = rest.find(mark, 0, end)
        if at >= 0:
            end = at
    host, port = host_and_port(rest[:end].rpartition("@")[2])
    return scheme, host, port
