# SPDX-License-Identifier: Apache-2.0
"""
What remains of a statement when its literals are gone?

Every literal becomes ``?``; names, keywords, placeholders, ``TRUE``, ``FALSE``
and ``NULL`` stay, and so does the layout. Comments go, except sqlcommenter's.
Lists of ``IN`` and rows of ``VALUES`` fold to one. Where a text stops being
certain (an unterminated quote, a quote inside of quotes, JSON without quotes)
the scrubbed text ends with ``…``: the raw rest never passes.
https://opentelemetry.io/docs/specs/semconv/db/database-spans/#sanitization-of-dbquerytext
"""

from __future__ import annotations

from tellwhy.redaction.lazy import lazy
from tellwhy.redaction.lexers import lexer_for
from tellwhy.redaction.words import any_case, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from re import Match
    from typing import Final

    from tellwhy.redaction.lexers import Lexer

CUT: Final = "…"
MAX_STATEMENT: Final = 32_768  # characters that are looked at; the conventions allow to truncate

# What folds was a literal or is a placeholder, with a cast or not. A name in double quotes does so too:
# between literals it is one, for that is how Python's repr of a tuple writes "O'Brien".
_ITEM: Final = (
    r"[-+]?(?:\?[0-9]*|%s|%\(\w+\)s|\$[0-9]+|[:@]\w+|"
    + any_case("NULL TRUE FALSE DEFAULT")
    + r'|"[^"]*"|\([^()]*\))(?:::[\w\[\]]+)?'
)
_MORE: Final = rf"\s*({_ITEM})(?:\s*,\s*{_ITEM})+\s*"
_IN: Final = lazy(rf"\((?:(?<=\W[iI][nN]\s\()|(?<=\W[iI][nN]\()){_MORE}\)")
_ARRAY: Final = lazy(rf"\[(?<=[aA][yY]\[){_MORE}\]")
_ROW: Final = r"\([^()]*(?:\([^()]*(?:\([^()]*\)[^()]*)*\)[^()]*)*\)"
_ROWS: Final = lazy(rf"({any_case('VALUES')}\s*{_ROW})(?:\s*,\s*{_ROW})+")
_NESTING: Final = lazy(r"/\*|\*/")
_COPY_OPTION: Final = (
    "(?:[(),]|'[^']*'|(?:"
    + any_case("WITH FORMAT CSV TEXT BINARY HEADER NULL DELIMITER QUOTE ESCAPE ENCODING FREEZE TRUE FALSE")
    + r")\b)"
)
_COPY: Final = lazy(
    rf"\b(?:{any_case('FROM')})\s+(?:{any_case('STDIN')})\b(?:\s*{_COPY_OPTION})*"
    rf"[ \t]*;?[ \t]*\r?\n\s*(?=\S)(?!{_COPY_OPTION})"
)
# CREATE USER bob PASSWORD hunter2: Oracle's form, elsewhere not valid, and a secret all the same.
_ROLE: Final = lazy(rf"\s*(?:{any_case('ALTER CREATE')})\s+(?:{any_case('USER ROLE GROUP')})\b")
_MAY_SET_PASSWORD: Final = frozenset("AaCc \n\t")
_PASSWORD: Final = lazy(rf"(\b(?:{any_case('PASSWORD BY')})\s+)(?![?%:@$]|(?:{any_case('NULL')})\b)(?:\"[^\"]*\"|\S+)")

# https://google.github.io/sqlcommenter/spec/ ; the values of these keys are made by frameworks.
_COMMENTER: Final = lazy(r"\s*[\w.%-]+\s*=\s*'[^']*'(?:\s*,\s*[\w.%-]+\s*=\s*'[^']*')*\s*")
_COMMENTER_PAIR: Final = lazy(r"([\w.%-]+)\s*=\s*'([^']*)'")
_COMMENTER_VALUE: Final = lazy(r"[\w.%:/<>+~^$-]{0,512}")
_COMMENTER_KEYS: Final = words(
    "traceparent tracestate db_driver dbapi_level dbapi_threadsafety driver_paramstyle libpq_version "
    "framework route controller action application app app_name job service.name"
)


def scrub_sql(text: str, dialect: str = "postgresql") -> str:
    """
    Return a statement with its literals replaced by ``?``.

    Args:

        text: One or several statements.

        dialect: A value of ``db.system.name``. Unknown ones are read with the
            most caution: what may be a literal is one.
    """
    return scrub(text, lexer_for(dialect))


def scrub(text: str, lexer: Lexer) -> str:
    """Do the work of scrub_sql for a lexer that is known already."""
    end = ""
    if len(text) > MAX_STATEMENT:
        text, end = text[:MAX_STATEMENT], CUT
    if "\n" in text and "stdin" in text.lower() and (match := _COPY.search(text)):
        text, end = text[: match.end()].rstrip(), CUT  # what follows is data, not SQL
    text = _replace(text, lexer)
    if "(" in text or "[" in text:
        text = _fold(text)
    if ";" in text or text[:1] in _MAY_SET_PASSWORD:
        text = _scrub_passwords(text)
    return text + end if end and not text.endswith(CUT) else text


def _replace(text: str, lexer: Lexer) -> str:
    if (
        '"' not in text
        and "$" not in text
        and "{" not in text
        and ("-" not in text or "--" not in text)
        and ("/" not in text or "/*" not in text)
        and lexer.simple
    ):
        out = lexer.simple.sub("?", text)
        if "'" not in out:  # else a quote that is no plain string's
            return out
    parts = lexer.fast.split(text)
    if len(parts) == 1:
        return text
    if parts[-2] is not None:
        return "".join(_walk(text, lexer))
    # text, rest of a name or None, None, text, …: a literal is where both are None.
    quote = lexer.quote
    del parts[2::3]
    parts[1::2] = ["?" if name is None else quote + name for name in parts[1::2]]
    return "".join(parts)


def _fold(text: str) -> str:
    if "," in text and "(" in text:
        text = _IN.sub(_fold_list, text)
        if ")," in text or ") ," in text or ")\n" in text:
            text = _ROWS.sub(r"\1", text)
    return _ARRAY.sub(_fold_list, text) if "[" in text else text


def _fold_list(match: Match[str]) -> str:
    whole = match[0]
    item = "?" if '"' in whole else match[1]
    return f"{whole[0]}{item}{whole[-1]}"


def _walk(text: str, lexer: Lexer) -> list[str]:
    """Take a statement token by token: for comments, strings with a prefix and broken quoting."""
    out: list[str] = []
    search = lexer.full.search
    position = 0
    first_string = -1  # where in out: if a later one is broken, any before may be the one that went wrong
    while token := search(text, position):
        kind = token.lastgroup
        out.append(text[position : token.start()])
        position = token.end()
        if kind == "number":
            out.append("?")
        elif kind == "name":
            out.append(token[0])
        elif kind == "line":
            continue
        elif kind == "block":
            end = _end_of_comment(text, position)
            if end < 0:
                return [*(out if first_string < 0 else [*out[:first_string], "?"]), CUT]
            out.append(_instead_of_comment(text, token.start(), end))
            position = end
        else:
            if kind == "dollar":
                end = text.find(token[0], position)
                position = end + len(token[0]) if end >= 0 else -1
            if kind == "bad" or position < 0:
                return [*(out if first_string < 0 else out[:first_string]), "?", CUT]
            if first_string < 0:
                first_string = len(out)
            out.append("?")
    out.append(text[position:])
    return out


def _end_of_comment(text: str, position: int) -> int:
    """Return where a comment ends that may hold comments, as PostgreSQL's do; -1 if it does not."""
    depth = 1
    while depth:
        mark = _NESTING.search(text, position)
        if mark is None:
            return -1
        depth += 1 if mark[0] == "/*" else -1
        position = mark.end()
    return position


def _instead_of_comment(text: str, start: int, end: int) -> str:
    if text[end:].strip(" \t\r\n;") == "" and (comment := safe_comment(text[start + 2 : end - 2])):
        return comment
    return " " if text[start - 1 : start].strip() and text[end : end + 1].strip() else ""  # SELECT/**/1


def safe_comment(content: str) -> str:
    """Return sqlcommenter's comment without values that anybody but a framework wrote, or ``""``."""
    if not _COMMENTER.fullmatch(content):
        return ""
    pairs = _COMMENTER_PAIR.findall(content)
    return f"/*{','.join([_commenter_pair(key, value) for key, value in pairs])}*/"


def _commenter_pair(key: str, value: str) -> str:
    safe = key in _COMMENTER_KEYS and _COMMENTER_VALUE.fullmatch(value)
    return f"{key}='{value if safe else '?'}'"


def _scrub_passwords(text: str) -> str:
    statements = text.split(";")
    for position, statement in enumerate(statements):
        if _ROLE.match(statement):
            statements[position] = _PASSWORD.sub(r"\1?", statement)
    return ";".join(statements)
