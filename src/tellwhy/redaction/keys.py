# SPDX-License-Identifier: Apache-2.0
"""
Is the value under this name a secret?

Names are judged by their segments (``user.accessToken`` is user, access, token),
not by substrings: ``monkey``, ``keyboard`` and ``postcode`` stay readable. One
set of words serves attributes, headers and ``key=value`` in text; query
parameters and headers add words that mean a credential only in those places
(``?key=``, ``?code=``).
"""

from __future__ import annotations

from tellwhy.redaction.lazy import lazy
from tellwhy.redaction.words import words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Final

_SEGMENT = lazy(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+|[^\W\d_a-zA-Z]+")
_MAX_NAMES: Final = 4096  # names come from code, seldom from input; beyond it the cache starts anew
_MAX_LENGTH: Final = 256  # of a name that is looked at as a whole; longer ones are judged by their end


# A segment that makes a name secret wherever it stands, unless a harmless word follows.
_SECRET: Final = words(
    "password passwd pwd passphrase passcode secret secrets token jwt apikey credential credentials "
    "authorization sessionid sessid otp totp cvv cvc cvv2 cvc2 privatekey secretkey accesskey "
    "passwort kennwort contrasena contraseña senha пароль 密码 パスワード"
)
# The same inside of a longer segment: dbpassword, PGPASSWORD, clientsecret, PHPSESSID.
_INSIDE: Final = words(
    "password passwd passphrase secret credential apikey accesskey privatekey sessionid sessid "
    "authtoken accesstoken refreshtoken"
)
_NOT_INSIDE: Final = ("secretar", "secretion", "passwordless")
# Secret only where the name ends.
_LAST: Final = words("pass auth cookie cookies csrf xsrf sid pin bearer sig hmac")
# Two segments in a row.
_BEFORE_KEY: Final = words(
    "api access secret private auth encryption decryption signing master shared service account "
    "subscription license ssh gpg pgp rsa aes hmac client consumer app application admin root webhook "
    "session deploy function functions write ingest ingestion rapidapi algolia"
)
_BEFORE_CODE: Final = words(
    "auth authorization verification otp mfa totp 2fa fa security access recovery backup reset login "
    "confirmation activation pairing device user"
)
_BEFORE_TOKENS: Final = words("auth access refresh api bearer session csrf reset")
_BEFORE_SIGNATURE_NOT: Final = words("function method code type call python class")
# What follows the secret word and makes the whole a statement about it.
_HARMLESS: Final = words(
    "count counts type types length len size limit limits expiry expires expired expiration ttl url uri "
    "endpoint name arn algorithm alg usage budget policy format version enabled required present valid "
    "invalid validation strength field fields changed at age in rotation rotated source store manager "
    "provider path file missing error errors exception status index position per bucket rate"
)
_READABLE: Final = words("session.id session.previous_id")  # OpenTelemetry's own, made for reading

_PARAMS: Final = words(
    "key code sig session sess auth pass pw pin otp ticket assertion samlresponse samlrequest samlart "
    "nonce verifier oauth_verifier code_verifier signature credential googleaccessid hmac bearer"
)
_PARAM_PREFIXES: Final = ("x-amz-", "x-goog-", "x-oss-", "x-cos-")  # presigned URLs: the whole signature
_HEADERS: Final = words(
    "authorization proxy-authorization cookie cookie2 set-cookie set-cookie2 authentication-info "
    "proxy-authentication-info x-honeycomb-team x-forwarded-client-cert x-client-cert x-ssl-client-cert "
    "x-amzn-oidc-data x-amzn-oidc-accesstoken x-ms-token-aad-access-token x-original-authorization "
    "x-forwarded-authorization"
)
_HEADERS_READABLE: Final = words(
    "idempotency-key surrogate-key x-surrogate-key sec-websocket-key cache-key x-cache-key partition-key "
    "x-partition-key routing-key xkey"
)


def segments(name: str) -> list[str]:
    """Split a name at punctuation and camel humps: ``X-Api-Key``, ``apiKey`` -> ``[..., 'api', 'key']``."""
    return [segment.lower() for segment in _SEGMENT.findall(name[-_MAX_LENGTH:])]


def _pair(before: str, word: str) -> bool:
    if word in ("key", "keys"):
        return before in _BEFORE_KEY
    if word in ("code", "codes"):
        return before in _BEFORE_CODE
    if word == "tokens":
        return before in _BEFORE_TOKENS
    if word == "signature":
        return before not in _BEFORE_SIGNATURE_NOT
    if before == "session":
        return word in ("id", "hash", "data")
    return before == "saml" and word in ("response", "request", "assertion")


def _secret_segment(word: str) -> bool:
    if word in _SECRET:
        return True
    if len(word) <= 5 or word.startswith(_NOT_INSIDE):
        return False
    return word.endswith(("token", "pwd")) or any(inside in word for inside in _INSIDE)


def _by_segments(name: str) -> bool:
    """Judge a name by the built-in words."""
    parts = segments(name)
    while len(parts) > 1 and parts[-1].isdigit():
        parts.pop()  # password2, token_1
    last = len(parts) - 1
    before = ""
    for position, word in enumerate(parts):
        if position == last:
            return (
                word in _LAST
                or _secret_segment(word)
                or _pair(before, word)
                or (last == 0 and word in ("session", "signature"))
            )
        if (_secret_segment(word) or _pair(before, word)) and parts[position + 1] not in _HARMLESS:
            return True
        before = word
    return False


def _glob(pattern: str) -> Callable[[str], object]:
    import re

    wild = "".join({"*": ".*", "?": "."}.get(c) or re.escape(c) for c in pattern.lower())
    return re.compile(wild, re.DOTALL).fullmatch


class Keys:
    """
    The names whose values are secret: the built-in ones and the user's.

    Args:

        globs: Patterns of whole names, in any case; ``*`` and ``?`` are wild.
    """

    __slots__ = ("_globs", "_headers", "_names", "_params", "has_own")

    def __init__(self, globs: Iterable[str] = ()) -> None:
        self._globs = tuple(_glob(glob) for glob in globs)
        self.has_own = bool(self._globs)
        self._names: dict[str, bool] = {}
        self._params: dict[str, bool] = {}
        self._headers: dict[str, bool] = {}

    def name(self, key: str) -> bool:
        """Say whether an attribute's, a variable's or a dictionary's key names a secret."""
        known = self._names.get(key)
        return self._judge(self._names, key, self._is_name) if known is None else known

    def param(self, key: str) -> bool:
        """Say whether a query parameter's (decoded) name names a secret."""
        known = self._params.get(key)
        return self._judge(self._params, key, self._is_param) if known is None else known

    def header(self, key: str) -> bool:
        """Say whether a header's name names a secret."""
        known = self._headers.get(key)
        return self._judge(self._headers, key, self._is_header) if known is None else known

    def _judge(self, cache: dict[str, bool], key: str, judge: Callable[[str], bool]) -> bool:
        verdict = judge(key)
        if len(key) <= _MAX_LENGTH:
            if len(cache) >= _MAX_NAMES:
                cache.clear()
            cache[key] = verdict
        return verdict

    def _asked_for(self, key: str) -> bool:
        return self.has_own and any(glob(key.lower()) for glob in self._globs)

    def _is_name(self, key: str) -> bool:
        return self._asked_for(key) or (key not in _READABLE and _by_segments(key))

    def _is_param(self, key: str) -> bool:
        low = key.lower().rstrip("[]")  # token[]=…
        return low in _PARAMS or low.startswith(_PARAM_PREFIXES) or self._asked_for(key) or _by_segments(key)

    def _is_header(self, key: str) -> bool:
        low = key.lower().replace("_", "-")  # WSGI's and the semantic conventions' spellings
        if low in _HEADERS or self._asked_for(key):
            return True
        if low in _HEADERS_READABLE:
            return False
        return low.endswith(("-key", "-clientcert")) or "-hmac" in low or _by_segments(key)
