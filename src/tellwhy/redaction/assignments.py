# SPDX-License-Identifier: Apache-2.0
"""
Where in free text does a secret stand behind its name?

``password=…``, ``'password': …``, ``Authorization: …``, ``&token=…`` and keys of
stores such as ``session:…``. The way is from the separators back to the names: a
text has few of them, and most do not end like the name of a secret, so ordinary
text costs some tens of nanoseconds for each.
"""

from __future__ import annotations

from tellwhy.redaction.lazy import lazy
from tellwhy.redaction.words import spellings, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from tellwhy.redaction.keys import Keys

    Span = tuple[int, int]

_LONGEST_NAME: Final = 80
# Read backwards from the separator: blanks and quotes, the name, the character before it.
_NAME_BEFORE: Final = lazy(r"""!?[ \t]{0,8}[\\"'`*]{0,4}([\w.\-\[\]]{1,80})([\s\S]?)""")
# The last two characters of every name that is a secret's. It spares the look at the others.
_ENDINGS: Final = frozenset(
    spellings(
        "RD WD SE DE ET TS EN NS WT EY YS AL LS ON ID TP VV VC SS TH IE ES RF IN ER IG AC RE RT ÑA NA HA ЛЬ 码 ド"
    )
)
_BETWEEN: Final = frozenset("\"' \t\\`*]!")  # may stand between a name and its separator

# Behind the separator.
_TYPED: Final = lazy(r"""[ \t]*[A-Za-z_][\w.|\[\], ]{0,60}=[ \t]*(?=[bru]{0,2}["'])""")  # password: str = "…"
_BLANKS: Final = lazy(r"[=>~]{0,2}[ \t]{0,8}")
_OPENING: Final = lazy(r"""[bBrRuUfF]{0,2}(\\*["'`])""")
_SCHEME: Final = lazy(
    r"(?:[Bb]earer|[Bb]asic|[Tt]oken|[Aa]pi[Kk]ey|[Nn]egotiate|NTLM|[Bb]ot|[Dd]igest|AWS4-HMAC-SHA256)[ \t]+"
)
_LINE_HEADERS: Final = words("authorization proxy-authorization cookie set-cookie")
_PLAIN: Final = lazy(r"""[^\s,;&"'<>()\[\]{}|]+(?:[,;&](?!\s|[\w.\-]+[ \t]*[=:]|\Z)[^\s,;&"'<>()\[\]{}|]*)*""")
_PARAM_VALUE: Final = lazy(r"""[^\s&"'<>#;)]+""")
_KEYSPACES: Final = words("session sessions sess sid token tokens otp auth csrf refresh reset")
_RANDOM: Final = lazy(r"(?:[A-Za-z_.\-]{1,40}:){0,4}((?=[\w\-]{0,80}[0-9])[\w\-]{12,})")

# Values that say nothing: placeholders, types, other variables, what is redacted already.
_HARMLESS: Final = lazy(
    r"(?:None|null|nil|[Tt]rue|[Ff]alse|undefined|str|int|bytes|bool|float|dict|list|object|any|Any|string|"
    r"Optional\S*|Mapping\S*|SecretStr\S*|%s|%\(\w+\)s|%\w|\?|\$\{?\w+\}?|:\w+|\{\w*\}|\*{2,}|x{3,}|\.{3}|…|"
    r"REDACTED(?:%\w+)?|\[?redacted\]?|<[\w ]+>|(?:self|cls|os|settings|config|request|kwargs|args|environ|env|"
    r"params|ctx|options|opts)\.[\w.]+)"
)
_CALL: Final = lazy(r"[A-Za-z_][\w.]*[(\[]")
# Behind "name: ", a small word and more words are a sentence, not a value.
_SENTENCE: Final = lazy(
    r"(?:[A-Z]?[a-z]+(?:'[a-z]+)?[ ]+[a-zA-Z(]|(?:not|missing|required|invalid|incorrect|expired|unknown|empty|"
    r"unset|none|wrong|denied|failed|disabled|enabled|ok|set|changed|rejected|revoked)\b)"
)


def find_assigned(text: str, keys: Keys) -> list[Span]:
    """Return where the values of secret names stand in a text, in order and apart."""
    spans: list[Span] = []
    for separator in "=:":
        position = text.find(separator)
        while position >= 0:
            end = position + 1
            last = position
            while text[last - 1 : last] in _BETWEEN and position - last < 12:
                last -= 1
            if keys.has_own or text[last - 2 : last] in _ENDINGS or text[last - 1 : last].isdigit():
                span = _value_behind(text, position, keys)
                if span:
                    spans.append(span)
                    end = span[1]
            position = text.find(separator, end)
    return _merged(spans) if len(spans) > 1 else spans


def replace(text: str, spans: list[Span], word: str) -> str:
    """Put a word in the place of each span."""
    pieces = []
    position = 0
    for start, end in spans:
        pieces += [text[position:start], word]
        position = end
    pieces.append(text[position:])
    return "".join(pieces)


def _merged(spans: list[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _value_behind(text: str, separator: int, keys: Keys) -> Span | None:
    """Return where the value behind a separator stands, if the name before it is a secret's."""
    found = _NAME_BEFORE.match(text[max(0, separator - _LONGEST_NAME - 16) : separator][::-1])
    if found is None:
        return None
    name, before = found[1][::-1], found[2]
    if text[separator] == "=" and before in ("?", "&"):
        value = _PARAM_VALUE.match(text, separator + 1) if keys.param(name) else None
        return _unless_harmless(text, value.span(), name) if value else None
    if text[separator] == ":" and name.lower() in _KEYSPACES:
        random = _RANDOM.match(text, separator + 1)
        if random:
            return random.span(1)
        if not text[separator + 1 : separator + 2].isspace():
            return None
    return _value(text, separator, name, before) if keys.name(name) else None


def _value(text: str, separator: int, name: str, before: str) -> Span | None:
    colon = text[separator] == ":"
    start = separator + 1
    if colon and (typed := _TYPED.match(text, start)):
        start = typed.end()
    blanks = _BLANKS.match(text, start)
    start = blanks.end() if blanks else start
    if opening := _OPENING.match(text, start):
        return _quoted(text, opening.end(), opening[1], name)
    if text[start : start + 1] in ("[", "("):
        return _bracketed(text, start)
    if scheme := _SCHEME.match(text, start):
        start = scheme.end()
    if colon and name.lower() in _LINE_HEADERS:
        end = _end_of_line(text, start, before if before in ("'", '"') else "\n")
        return (start, end) if end > start else None
    value = _PLAIN.match(text, start)
    if value is None or _CALL.match(text, start):
        return None
    if colon and not scheme and start > separator + 1 and _SENTENCE.match(text, start):
        return None
    return _unless_harmless(text, (start, start + len(value[0].rstrip(".:"))), name)


def _quoted(text: str, start: int, quote: str, name: str) -> Span | None:
    end = text.find(quote[-1], start)
    while end >= 0 and not _closes(text, end, len(quote) - 1):
        end = text.find(quote[-1], end + 1)
    if end < 0:
        return _unless_harmless(text, (start, _end_of_line(text, start)), name)
    return _unless_harmless(text, (start, end - len(quote) + 1), name)


def _closes(text: str, position: int, before_opening: int) -> bool:
    """
    Say whether a quote closes what a quote behind so many backslashes opened.

    JSON inside of JSON opens with one backslash before the quote, inside of that
    with three; each level doubles the backslashes of the content and adds one.
    """
    start = position
    while text[start - 1] == "\\":
        start -= 1
    backslashes = position - start
    return backslashes >= before_opening and (backslashes - before_opening) % (2 * (before_opening + 1)) == 0


def _bracketed(text: str, start: int) -> Span | None:
    end = text.find("]" if text[start] == "[" else ")", start)
    if end == start + 1:
        return None
    return start, end + 1 if end >= 0 else _end_of_line(text, start)


def _end_of_line(text: str, start: int, mark: str = "\n") -> int:
    end = text.find("\n", start)
    line_end = end if end >= 0 else len(text)
    end = text.find(mark, start, line_end)
    return end if end >= 0 else line_end


def _unless_harmless(text: str, span: Span, name: str) -> Span | None:
    value = text[span[0] : span[1]]
    if _HARMLESS.fullmatch(value) or not any(map(str.isalnum, value)):
        return None
    return None if value.lower() == name.rpartition(".")[2].lower() else span
