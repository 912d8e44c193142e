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
from tellwhy.redaction.assignments import find_assigned, replace
from tellwhy.redaction.lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from tellwhy.redaction.keys import Keys

REDACTED: Final = "REDACTED"
_MAX_NESTING: Final = 6  # of decoding and parsing: a URL in a parameter of a URL, three times; deeper ones go whole
_WEB: Final = frozenset(("http", "https", "ws", "wss", "ftp", "file", ""))
_AUTHORITY: Final = lazy("[^/?#]*")
_HOST: Final = lazy(r"(?:[^@:\[\]]+|\[[^\]]*\])?(?::[0-9]*)?")
_QUERY: Final = lazy(r"(?<=[^@])\?[\w.\-]+=")


def redact_url(url: str, keys: Keys, depth: int = 0) -> str:
    """Return the URL, absolute or relative, without its secrets. Malformed ones never raise."""
    if "?" not in url and "@" not in url and "#" not in url and ";" not in url:
        return tokens.redact_tokens(url, REDACTED)
    if "@" in url:
        url = _redact_userinfo(url)
    rest, hash_, fragment = url.partition("#")
    rest, mark, query = rest.partition("?")
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
        pairs[position] = _redact_pair(pair, keys, depth) if ";" not in pair else _redact_pairs(pair, keys, depth)
    return "&".join(pairs)


def _redact_pairs(text: str, keys: Keys, depth: int) -> str:
    """Redact pairs with semicolons between them; a piece without a key goes on with the value before it."""
    pieces: list[str] = []
    secret_key = ""
    for piece in text.split(";"):
        key, equals, _ = piece.partition("=")
        if equals:
            secret_key = key if _is_secret(key, keys) else ""
        elif secret_key:
            pieces[-1] = f"{secret_key}={REDACTED}"
            continue
        pieces.append(_redact_pair(piece, keys, depth))
    return ";".join(pieces)


def _redact_userinfo(url: str) -> str:
    """Redact ``user:password@``, also where the password holds what should be percent-encoded in it."""
    scheme, slashes, rest = url.partition("//")
    if not slashes or "@" not in rest:
        return url
    authority = _AUTHORITY.match(rest)
    end = authority.end() if authority else 0
    if scheme.rstrip(":").lower() in _WEB:
        # The "@" of a path or a query is ordinary here: https://host/@user
        at = rest.rfind("@", 0, end)
        if at < 0 and not _HOST.fullmatch(rest, 0, end):
            at = rest.rfind("@")
    else:
        query = _QUERY.search(rest, end)
        at = rest.rfind("@", 0, query.start() if query else len(rest))
        if at < 0 and not _HOST.fullmatch(rest, 0, end):
            at = rest.rfind("@")
    if at < 0:
        return url
    userinfo = f"{REDACTED}:{REDACTED}" if ":" in rest[:at] else REDACTED
    return f"{scheme}//{userinfo}{rest[at:]}"


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
    if _is_secret(key, keys):
        return f"{key}={REDACTED}"
    return f"{key}={_redact_nested(value, keys, depth)}"


def _is_secret(key: str, keys: Keys) -> bool:
    return keys.param(_decoded(key) if "%" in key or "+" in key else key)


def _redact_nested(value: str, keys: Keys, depth: int) -> str:
    """Redact a parameter's value that is itself a URL, a query or JSON, encoded or not."""
    has_parts = "=" in value or "@" in value or "?" in value
    if has_parts:
        return redact_url(value, keys, depth + 1) if depth < _MAX_NESTING else REDACTED
    if '"' in value:  # JSON
        return replace(value, find_assigned(value, keys), REDACTED)
    if "%" not in value or (decoded := _decoded(value)) == value.replace("+", " "):
        return tokens.redact_tokens(value, REDACTED)
    if depth >= _MAX_NESTING:
        return REDACTED
    redacted = _redact_nested(decoded, keys, depth + 1)
    if redacted == decoded:
        return value
    from urllib.parse import quote

    return quote(redacted, safe="/:", errors="replace")


def _decoded(text: str) -> str:
    from urllib.parse import unquote_plus

    return unquote_plus(text)
