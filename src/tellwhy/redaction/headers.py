# SPDX-License-Identifier: Apache-2.0
"""
What of a header may leave?

The value of a secret header never does, whatever is captured; its scheme
(``Bearer``) stays, for it often is the answer. Headers that carry URLs lose the
secrets of those, ``baggage`` the values of members with secret names.
"""

from __future__ import annotations

from tellwhy.redaction.text import redact_text
from tellwhy.redaction.urls import redact_url
from tellwhy.redaction.words import REDACTED, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from tellwhy.redaction.keys import Keys

_SCHEMES: Final = words(
    "basic bearer digest negotiate ntlm hoba mutual vapid scram-sha-256 aws4-hmac-sha256 token apikey dpop bot"
)
_URLS: Final = words(
    "location content-location referer referrer origin link refresh x-original-url x-rewrite-url x-original-uri "
    "x-forwarded-uri x-forwarded-url x-request-url :path destination"
)


def redact_header(name: str, value: str, keys: Keys) -> str:
    """Return the value of a header, in any spelling of its name, without its secrets."""
    low = name.lower().replace("_", "-")
    if keys.header(low):
        return _secret(low, value)
    if low in _URLS:
        return redact_url(value, keys)
    if low == "baggage":
        return redact_baggage(value, keys)
    return redact_text(value, keys)


def redact_baggage(value: str, keys: Keys) -> str:
    """
    Return a baggage header without the values of members whose names are secrets'.

    https://www.w3.org/TR/baggage/
    """
    members = value.split(",")
    for position, member in enumerate(members):
        name, equals, _ = member.partition("=")
        if equals and keys.name(name.strip()):
            members[position] = f"{name}={REDACTED}"
        else:
            members[position] = redact_text(member, keys)
    return ",".join(members)


def _secret(name: str, value: str) -> str:
    scheme, blank, rest = value.strip().partition(" ")
    if blank and rest and name.endswith("authorization") and scheme.lower() in _SCHEMES:
        return f"{scheme} {REDACTED}"
    return REDACTED if value else value
