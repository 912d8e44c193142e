# SPDX-License-Identifier: Apache-2.0
"""
Which secrets hide in free text, and how is ordinary text let pass cheaply?

Exception messages, stack traces, status descriptions, log bodies and command
lines. A value goes where its name, its place (``Bearer …``, the userinfo of a
URL) or its shape (keys with an issuer's prefix, JSON Web Tokens, card numbers)
says that it is a secret; the name stays. ``[redacted]`` stands in its place.
"""

from __future__ import annotations

from tellwhy.redaction import db_errors, tokens
from tellwhy.redaction.assignments import find_assigned, replace
from tellwhy.redaction.lazy import lazy
from tellwhy.redaction.urls import redact_url
from tellwhy.redaction.words import REDACTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from re import Match
    from typing import Final

    from tellwhy.redaction.keys import Keys

_SHORTEST: Final = 6  # "pin=12"

_URL: Final = lazy(r"""(?<![\w+.\-])[a-zA-Z][\w+.\-]{1,30}://[^\s"'<>`]+(?:['`][^\s"'<>`]*@[^\s"'<>`]*)?""")
_TORN_URL: Final = lazy(r"""(?<=//)(?!REDACTED)[^\s/:@"'<>]{0,100}:[^\s@"'<>/]{1,200}(?=@)""")
# "Bearer token" and "Basic authentication" are words: what follows a scheme has a digit or is long, or is
# no word that people put there.
_BEARER: Final = lazy(
    r"(?<=[Bb]earer )(?=[\w.~+/=\-]*[0-9]|[\w.~+/=\-]{24}|(?!(?:tokens?|auth\w*|scheme|realm|credentials?|errors?|"
    r"headers?|formats?|required|missing|invalid|only|type|challenge|is|was|of|or|and|in|for|not|from)\b)"
    r"(?<=Bearer ))[\w.~+/=\-]{6,}"
)
_BASIC: Final = lazy(r"(?<=[Bb]asic )[A-Za-z0-9+/_\-]{6,}={0,2}")
_OPTION: Final = lazy(r"""-(?<!\S-)-?([A-Za-z][\w\-]{2,40})[ \t]+(?!-)(?:"([^"]*)|'([^']*)|([^\s"']+))""")
_OPTION_IN_LIST: Final = lazy(r"""(["'])--?([A-Za-z][\w\-]{2,40})\1,\s*(["'])((?:[^"'\\]|\\.|(?!\3)["'])*)\3""")
_ENCODED_PAIR: Final = lazy(r"""(?<![\w.\-])([\w.\-]{2,80})%3[Dd]((?:[^\s"'&<>%]|%(?!26))+)""")
# mysql -phunter2, redis-cli -a hunter2, sshpass -p hunter2, curl -u user:hunter2
_SHORT_OPTION: Final = lazy(
    r"(\b(?:mysql\w*|mariadb\w*)\b[^\n|;]{0,200}?\s-p|\b(?:redis-cli|valkey-cli)\b[^\n|;]{0,200}?\s-a\s+"
    r"|\bsshpass\s+-p\s*|\b(?:docker login|mongo\w*)\b[^\n|;]{0,200}?\s-p\s+"
    r"|\bcurl\b[^\n|;]{0,400}?\s(?:-u|--user)\s+[^\s:]+:)([^\s]+)"
)
_SHORT_OPTIONS_OF: Final = ("mysql", "mariadb", "redis-cli", "valkey-cli", "sshpass", "docker login", "mongo", "curl")
# Pydantic names the field in one line and repeats the input in the next.
_VALIDATED: Final = lazy(r"(?m)^([\w.\[\]\-]{1,200})\n[ \t]+[^\n]{0,1000}?\binput_value=(.*?), input_type=")
_PAIR: Final = lazy(r"""\(b?(["'])([\w\-.]{2,80})\1,\s*b?(["'])((?:[^"'\\]|\\.|(?!\3)["'])*)\3\)""")
_ELEMENT: Final = lazy(r"<(?:\w+:)?(\w{2,80})(?:\s[^<>]{0,200})?>([^<>]+)</")


def redact_text(text: str, keys: Keys) -> str:
    """Return a text with the secrets in it replaced by ``[redacted]``."""
    if len(text) < _SHORTEST:
        return text
    # Each step is asked for by a substring or by one search that begins at a literal character.
    if ":" in text and "//" in text:
        text = _URL.sub(lambda match: _redact_url(match, keys), text)
        if "@" in text:
            text = _TORN_URL.sub(REDACTED, text)
    text = db_errors.redact_repeated(text)
    if "earer " in text:
        text = _BEARER.sub(REDACTED, text)
    if "asic " in text:
        text = _BASIC.sub(_redact_basic, text)
    if "-" in text and (" -" in text or text[0] == "-"):
        text = _redact_options(text, keys)
    if "'-" in text or '"-' in text:
        text = _OPTION_IN_LIST.sub(lambda match: _by_name(match, 2, 4, keys), text)
    if "%3" in text:
        text = _ENCODED_PAIR.sub(lambda match: _by_param(match, keys), text)
    if "(" in text and _PAIR.search(text):
        text = _PAIR.sub(lambda match: _by_name(match, 2, 4, keys), text)
    if "<" in text and "</" in text:
        text = _ELEMENT.sub(lambda match: _by_name(match, 1, 2, keys), text)
    if "=" in text and "input_value=" in text:
        text = _VALIDATED.sub(lambda match: _by_name(match, 1, 2, keys), text)
    text = tokens.redact_tokens_and_cards(text, REDACTED)
    if "=" in text or ":" in text:
        spans = find_assigned(text, keys)
        if spans:
            text = replace(text, spans, REDACTED)
    return text


def _redact_options(text: str, keys: Keys) -> str:
    text = _OPTION.sub(lambda match: _by_name(match, 1, match.lastindex or 0, keys), text)
    if any(program in text for program in _SHORT_OPTIONS_OF):
        text = _SHORT_OPTION.sub(rf"\1{REDACTED}", text)
    return text


def _redact_url(match: Match[str], keys: Keys) -> str:
    url = match[0].rstrip(").,;:]}!")
    return redact_url(url, keys) + match[0][len(url) :]


def _redact_basic(match: Match[str]) -> str:
    """Redact what decodes to ``user:password``, and nothing that is merely a word."""
    import base64
    import binascii

    encoded = match[0].replace("-", "+").replace("_", "/").rstrip("=")
    try:
        decoded = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
    except (binascii.Error, ValueError):
        return match[0]
    return REDACTED if b":" in decoded else match[0]


def _by_param(match: Match[str], keys: Keys) -> str:
    """Redact ``token%3D…``: a query inside of a query, as access logs have it."""
    return f"{match[1]}{match[0][len(match[1]) :][:3]}{REDACTED}" if keys.param(match[1]) else match[0]


def _by_name(match: Match[str], name: int, value: int, keys: Keys) -> str:
    key = match[name]
    if not (keys.name(key) or ("-" in key and keys.header(key))):
        return match[0]
    start = match.start()
    return match[0][: match.start(value) - start] + REDACTED + match[0][match.end(value) - start :]
