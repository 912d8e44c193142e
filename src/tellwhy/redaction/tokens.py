# SPDX-License-Identifier: Apache-2.0
"""
Which strings are credentials by their shape alone, whatever stands around them?

Issuers give their keys a prefix so that they can be found (GitHub's ``ghp_``,
AWS's ``AKIA``); JSON Web Tokens, private keys and card numbers have shapes of
their own. Looking for all of them in every text would cost microseconds, so two
cheap questions come first: is there a ``_`` or ``-`` behind one of the prefixes,
and, without its lower-case letters, is the text dense anywhere (eight capitals
and digits in a row), as random characters are and prose is not?
"""

from __future__ import annotations

from tellwhy.redaction.lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_B62: Final = "[A-Za-z0-9]"
# Whose key; its prefix up to the mark (of fixed width); the mark; what follows.
SHAPES: Final = (
    ("GitHub token", r"\bgh[oprsu]", "_", _B62 + "{20,}"),
    ("GitHub fine-grained token", r"\bgithub", "_", r"pat_\w{20,}"),
    ("Stripe key", r"\b[prs]k", "_", f"(?:live|test)_{_B62}{{8,}}"),
    ("Stripe or Svix webhook secret", r"\bwhsec", "_", r"[\w+/=]{16,}"),
    ("npm token", r"\bnpm", "_", _B62 + "{30,}"),
    ("Hugging Face token", r"\bhf", "_", _B62 + "{30,}"),
    ("DigitalOcean token", r"\bdo[opr]", "_", "v1_[0-9a-f]{32,}"),
    ("Shopify token", r"\bshp[acprst]{2}", "_", "[0-9a-fA-F]{32}"),
    ("Grafana token", r"\bglsa", "_", r"\w{32,}"),
    ("Linear key", r"\blin", "_", f"api_{_B62}{{32,}}"),
    ("Docker Hub token", r"\bdckr", "_", r"[op]at_[\w-]{20,}"),
    ("RubyGems key", r"\brubygems", "_", "[0-9a-f]{32,}"),
    ("Groq key", r"\bgsk", "_", _B62 + "{20,}"),
    ("Slack token", r"\bxox[abceoprs]", "-", r"[\w-]{10,}"),
    ("Slack app token", r"\bxapp", "-", r"[\w-]{20,}"),
    ("OpenAI or Anthropic key", r"\bsk", "-", r"(?=[\w-]{0,80}[0-9])[\w-]{20,}"),
    ("GitLab token", r"\bglpat", "-", r"[\w.-]{20,}"),
    ("PyPI token", r"\bpypi", "-", r"AgE[\w-]{30,}"),
    ("Mailgun key", r"\bkey", "-", "[0-9a-f]{32}"),
    ("Brevo key", r"\bxkeysib", "-", r"[\w-]{30,}"),
    ("Postman key", r"\bPMAK", "-", r"[\w-]{30,}"),
    ("New Relic key", r"\bNRAK", "-", "[A-Z0-9]{20,}"),
    ("Google OAuth client secret", r"\bGOCSPX", "-", r"[\w-]{20,}"),
    ("age key", r"\bAGE-SECRET-KEY", "-", "1[A-Z0-9]{50,}"),
    (
        "PEM private key",
        r"----",
        "-",
        r"BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----"
        r"(?:[\w+/=\s\\:,.]|-(?!----))*(?:-----END [A-Z0-9 ]*-----)?",
    ),
    ("AWS access key id", r"\b", "A", "(?:KIA|SIA|BIA|CCA)[A-Z0-9]{16}"),
    ("Google API key", r"\b", "A", r"Iza[\w-]{30,}"),
    ("Atlassian token", r"\b", "A", r"TATT3[\w=-]{30,}"),
    ("JSON Web Token", r"\bey", "J", r"[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*){0,3}"),
    ("SendGrid key", r"\bS", "G", r"\.[\w-]{16,}\.[\w-]{16,}"),
    ("Google OAuth token", r"\bya2", "9", r"\.[\w-]{20,}"),
    ("Twilio key", r"\bS", "K", "[0-9a-f]{32}"),
    ("HashiCorp Vault token", r"\bhv[bs]\.", "C", r"AES[\w-]{20,}"),
    ("Slack webhook", r"services/", "T", r"[A-Z0-9]{6,}/B[A-Z0-9]{6,}/\w{16,}"),
    ("Telegram bot token", r"[0-9]{8}", ":", r"AA[\w-]{30,}"),
    ("Discord webhook", r"https", ":", r"//[\w.]*discord(?:app)?\.com/api/webhooks/[0-9]+/[\w-]{40,}"),
)


def _searches(marks: str) -> str:
    """Return a pattern that begins at one of the marks, which is fast, and looks back at the prefix."""
    rows = [row for row in SHAPES if row[2] in marks]
    return f"[{marks}](?:" + "|".join(f"(?<={before}{mark}){after}" for _, before, mark, after in rows) + ")"


_BEHIND_UNDERSCORE: Final = lazy(_searches("_"))
_BEHIND_HYPHEN: Final = lazy(_searches("-"))
_OTHERS: Final = lazy(_searches("AJG9KCT:"))
_ALL: Final = lazy("|".join(f"{before}{mark}{after}" for _, before, mark, after in SHAPES))
_SHORTEST: Final = 16
_SHORTEST_SIGN: Final = 6  # "pin=12"
_SHORTEST_CARD: Final = 13
_CAPITALS_AND_DIGITS: Final = bytes(0x30 if 48 <= c <= 57 or 65 <= c <= 90 else c for c in range(256))
_RUN: Final = lazy(rb"0000[ -]?0000")
_SMALL_LETTERS: Final = bytes(range(97, 123))
_DIGITS: Final = lazy(r"[2-6][0-9](?<![0-9][2-6][0-9])[0-9 -]{10,20}[0-9](?![0-9])")
# Digits in a row, or in groups as they are printed on cards: 4-4-4-4 and 4-6-4/5.
_CARD: Final = lazy(
    r"[2-6](?<![\w.][2-6])(?<![0-9][-:][2-6])(?:[0-9]{12,18}"
    r"|[0-9]{3}(?:([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}|([ -])[0-9]{6}\2[0-9]{4,5}))(?![\w]|[.:-][0-9])"
)


def dense(text: str) -> bool:
    """Say whether the text can hold a card number or a key that no ``_`` or ``-`` announces."""
    rest = text.encode("utf-8", "replace").translate(_CAPITALS_AND_DIGITS, _SMALL_LETTERS)
    return b"0000" in rest and _RUN.search(rest) is not None


def _holds_token(text: str, is_dense: bool) -> bool:
    return (
        ("_" in text and _BEHIND_UNDERSCORE.search(text) is not None)
        or ("-" in text and _BEHIND_HYPHEN.search(text) is not None)
        # The other shapes all have capitals, which uuids and hashes do not.
        or (is_dense and not text.islower() and _OTHERS.search(text) is not None)
    )


def worth_a_search(text: str) -> bool:
    """Say whether a text has any sign of a secret; what has none needs no search."""
    if len(text) < _SHORTEST_SIGN:
        return False
    if (
        "=" in text
        or ":" in text
        or '"' in text
        or "'" in text
        or "@" in text
        or "//" in text
        or " -" in text
        or "earer " in text
        or "asic " in text
        or "</" in text
    ):
        return True
    if len(text) < _SHORTEST_CARD:
        return False
    if text.islower():  # issuers' keys without a capital have an underscore, and numbers of cards are left
        return ("_" in text and _BEHIND_UNDERSCORE.search(text) is not None) or _DIGITS.search(text) is not None
    is_dense = dense(text)
    return _holds_token(text, is_dense) or (is_dense and _CARD.search(text) is not None)


def redact_tokens(text: str, word: str) -> str:
    """Put a word in the place of every credential that is known by its shape."""
    if len(text) >= _SHORTEST and _holds_token(text, dense(text)):
        return _ALL.sub(word, text)
    return text


def redact_tokens_and_cards(text: str, word: str) -> str:
    """Put a word in the place of credentials and of card numbers."""
    is_dense = dense(text)
    if _holds_token(text, is_dense):
        text = _ALL.sub(word, text)
    if is_dense:
        text = _CARD.sub(lambda match: word if is_card(match[0]) else match[0], text)
    return text


def is_card(number: str) -> bool:
    """Say whether a number is a payment card's: by issuer, length and Luhn's sum."""
    digits = number.replace(" ", "").replace("-", "")
    return _issued(digits) and luhn(digits)


def luhn(digits: str) -> bool:
    """Say whether the check digit of ISO/IEC 7812 is right; an accidental number passes one time in ten."""
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (doubled + sum(int(digit) for digit in digits[-1::-2])) % 10 == 0


def _issued(digits: str) -> bool:
    """Say whether a network issues cards of this beginning and length, which most long ids fail."""
    length, two, four = len(digits), int(digits[:2]), int(digits[:4])
    if digits[0] == "4":
        return length in (13, 16, 19)
    if 51 <= two <= 55 or 2221 <= four <= 2720:
        return length == 16
    if two in (34, 37):
        return length == 15
    if two in (36, 38, 39) or 3000 <= four <= 3059:
        return length == 14
    if 3528 <= four <= 3589 or four == 6011 or two == 65 or 6440 <= four <= 6499:
        return length in (16, 19)
    return two == 62 and 16 <= length <= 19
