# SPDX-License-Identifier: Apache-2.0
"""
What is said of a span in one row? Its label, what sets it apart, its outcome: read from semantic conventions.

Stable names first, then the ones they replaced, since any language and any age of
instrumentation may send.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from tellwhy.viewer.model import Span, Value
from tellwhy.viewer.text import clean

_MAX_EXTRAS = 3
# Namespaces of OpenTelemetry's own attributes: what is outside them was chosen by the program's author.
_CONVENTIONS = frozenset(
    (
        "client",
        "cloud",
        "code",
        "container",
        "db",
        "deployment",
        "enduser",
        "error",
        "event",
        "exception",
        "faas",
        "feature_flag",
        "graphql",
        "host",
        "http",
        "k8s",
        "messaging",
        "net",
        "network",
        "os",
        "otel",
        "peer",
        "process",
        "rpc",
        "server",
        "service",
        "session",
        "source",
        "destination",
        "telemetry",
        "tellwhy",
        "thread",
        "tls",
        "url",
        "user_agent",
    )
)


def label(span: Span) -> str:
    """Say what it is: the query, the request or, for all else, the span's name. Clean text."""
    query = query_text(span)
    if query:
        same_verb = span.name.split(" ")[0].lower() == query.split(" ")[0].lower()
        return query if same_verb or not span.name else f"{clean(span.name)}: {query}"
    if span.kind == "client" and (target := _target(span)):
        return clean(f"{span.name.split(' ')[0]} {target}")
    if span.kind == "server" and " " not in span.name:  # a method alone: no route was found
        return clean(f"{span.name} {_first(span, 'url.path', 'http.target')}")
    return clean(span.name) or "(no name)"


def query_text(span: Span) -> str:
    """Return the statement sent to a database, or an empty string; without arguments that tell nothing. Clean text."""
    text = clean(_first(span, "db.query.text", "db.statement"))
    verb, *arguments = text.split(" ")
    return verb if set(arguments) == {"?"} else text


def system(span: Span) -> str:
    """Name the system that is called: postgresql, redis, kafka. Clean text, empty where there is none."""
    return clean(_first(span, "db.system.name", "db.system", "messaging.system", "rpc.system.name", "rpc.system"))


def http_status(span: Span) -> str:
    """Return the HTTP status code, or an empty string."""
    return clean(_first(span, "http.response.status_code", "http.status_code", "http.response.status"))


def extras(span: Span) -> list[str]:
    """List the first attributes that the program's own author has put there, as ``key=value``. Clean text."""
    own = [key for key in span.attributes if key.partition(".")[0] not in _CONVENTIONS]
    return [clean(f"{key}={_text(span.attributes[key])}") for key in own[:_MAX_EXTRAS]]


def error_type(span: Span) -> str:
    """Name the error in one word, without its module; empty where an HTTP status has said it. Clean text."""
    if not span.is_error:
        return ""
    kind = _exception(span)[0] or _first(span, "error.type") or "error"
    if kind in ("error", http_status(span)) and http_status(span):
        return ""
    return clean(kind.rpartition(".")[2] or kind)


def error_message(span: Span) -> str:
    """Return what the exception or the status says beyond its type, or an empty string. Clean text."""
    if not span.is_error:
        return ""
    return clean(_exception(span)[1] or span.status_message)


def _exception(span: Span) -> tuple[str, str]:
    """Return type and message of the last exception that was recorded: the one that got out."""
    for event in reversed(span.events):
        if event.name == "exception":
            attributes = event.attributes
            return _text(attributes.get("exception.type")), _text(attributes.get("exception.message"))
    return "", ""


def _target(span: Span) -> str:
    """Say where a client's request went: host, port and path, without a query string."""
    url = _first(span, "url.full", "http.url")
    if url:
        try:
            parts = urlsplit(url)
            return parts.netloc.rpartition("@")[2] + parts.path
        except ValueError:
            return url
    host = _first(span, "server.address", "net.peer.name")
    port = _first(span, "server.port", "net.peer.port")
    return f"{host}:{port}" if host and port else host


def _first(span: Span, *keys: str) -> str:
    return next((_text(span.attributes[key]) for key in keys if key in span.attributes), "")


def _text(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return ",".join(map(_text, value))
    return str(value)
