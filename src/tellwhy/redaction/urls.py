# SPDX-License-Identifier: Apache-2.0
"""
What of a URL may leave?

Scheme, host, path and harmless parameters do. Userinfo, the values of secret
parameters (in query, fragment, matrix parameters and in URLs that are carried
inside of parameters) become ``REDACTED``, the word of the semantic conventions
for ``url.full`` and ``url.query``. Keys stay, so that people see what was there.
https://opentelemetry.io/docs/specs/semconv/registry/attributes/url/
"""

from __future__ import annotations

from tellwhy.redaction import tokens

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from tellwhy.redaction.keys import Keys

REDACTED: Final = "REDACTED"
_MAX_NESTING: Final = 3  # a URL in a parameter of a URL in a parameter; deeper ones are replaced whole
# Here an "@" in the path is ordinary (https://host/@user); elsewhere it ends a password that holds a "/".
_WEB: Final = frozenset(("http", "https", "ws", "wss", "ftp", "file", ""))


def redact_url(url: str, keys: Keys, depth: int = 0) -> str:
    """Return the URL, absolute or relative, without its secrets. Malformed ones never raise."""
    if "?" not in url and "@" not in url and "#" not in url and ";" not in url:
        return tokens.redact_tokens(url, REDACTED)
    rest, hash_, fragment = url.partition("#")
    if hash_ and "@" in fragment and "://" in rest and "@" not in rest:
        rest, hash_, fragment = url, "", ""  # the "#" may stand in a password: postgres://u:p#w@host
    rest, mark, query = _split_query(rest)
    if "@" in rest:
        rest = _redact_userinfo(rest)
    if ";" in rest:
        rest = _redact_matrix(rest, keys)
    rest = tokens.redact_tokens(rest, REDACTED)
    if mark:
        rest += "?" + redact_query(query, keys, depth)
    if hash_:
        rest += "#" + _redact_fragment(fragment, keys, depth)
    return rest


def redact_query(query: str, keys: Keys, depth: int = 0) -> str:
    """Return a query string (or a form's body) with the values of secret parameters replaced."""
    if "=" not in query:
        return tokens.redact_tokens(query, REDACTED)
    pairs = query.split("&")
    for position, pair in enumerate(pairs):
        pairs[position] = (
            _redact_pair(pair, keys, depth)
            if ";" not in pair
            else ";".join([_redact_pair(part, keys, depth) for part in pair.split(";")])
        )
    return "&".join(pairs)


def _split_query(url: str) -> tuple[str, str, str]:
    """Split at the "?", unless it stands in a password: ``redis://:p?w@host``."""
    rest, mark, query = url.partition("?")
    if mark and "@" in query and "@" not in rest:
        port = rest.partition("://")[2].rpartition(":")
        if port[1] and "/" not in port[2] and not port[2].isdigit() and not port[2].endswith("]"):
            at = url.rfind("@")
            tail = url[at:].partition("?")
            return url[:at] + tail[0], tail[1], tail[2]
    return rest, mark, query


def _redact_userinfo(rest: str) -> str:
    scheme, slashes, after = rest.partition("//")
    if not slashes:
        return rest
    host_end = after.find("/")
    authority = after if host_end < 0 else after[:host_end]
    at = authority.rfind("@")
    port = authority.rpartition(":")
    doubtful = port[1] and not port[2].isdigit() and not port[2].endswith("]")
    if scheme.rstrip(":").lower() not in _WEB or (at < 0 and doubtful):
        at = after.rfind("@")
    if at < 0:
        return rest
    userinfo = f"{REDACTED}:{REDACTED}" if ":" in after[:at] else REDACTED
    return f"{scheme}//{userinfo}{after[at:]}"


def _redact_matrix(path: str, keys: Keys) -> str:
    """Redact ``/cart;jsessionid=…/items``."""
    head, *parameters = path.split(";")
    for position, parameter in enumerate(parameters):
        pair, slash, tail = parameter.partition("/")
        parameters[position] = _redact_pair(pair, keys, _MAX_NESTING) + slash + tail
    return ";".join([head, *parameters])


def _redact_fragment(fragment: str, keys: Keys, depth: int) -> str:
    if "?" in fragment:  # a route of a single-page application: #/login?token=…
        return redact_url(fragment, keys, depth + 1) if depth < _MAX_NESTING else REDACTED
    return redact_query(fragment, keys, depth)


def _redact_pair(pair: str, keys: Keys, depth: int) -> str:
    key, equals, value = pair.partition("=")
    if not equals:
        return tokens.redact_tokens(pair, REDACTED)
    if not value:
        return pair
    if keys.param(_decoded(key) if "%" in key or "+" in key else key):
        return f"{key}={REDACTED}"
    return f"{key}={_redact_nested(value, keys, depth)}"


def _redact_nested(value: str, keys: Keys, depth: int) -> str:
    """Redact a parameter's value that is itself a URL or a query, encoded or not."""
    if "%" in value:
        decoded = _decoded(value)
        redacted = _redact_nested(decoded, keys, depth + 1) if depth < _MAX_NESTING else REDACTED
        if redacted == decoded:
            return value
        from urllib.parse import quote

        return quote(redacted, safe="/:")
    if "=" in value or "@" in value or "?" in value:
        return redact_url(value, keys, depth + 1) if depth < _MAX_NESTING else REDACTED
    return tokens.redact_tokens(value, REDACTED)


def _decoded(text: str) -> str:
    from urllib.parse import unquote_plus

    return unquote_plus(text)
