# SPDX-License-Identifier: Apache-2.0
"""
What does a database's error message repeat of the statement that failed?

PostgreSQL quotes the row that failed, the value that had the wrong type and the
line of the statement; MySQL, Redis and SQLAlchemy do the like. What is known to
be a value goes, in any text. Where a text is known to be a database's, what is
not known to be a name goes as well.
https://www.postgresql.org/docs/current/error-style-guide.html
"""

from __future__ import annotations

from tellwhy.redaction.lazy import lazy
from tellwhy.redaction.sql import CUT, scrub_sql
from tellwhy.redaction.summary import KEYWORDS
from tellwhy.redaction.words import words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from re import Match
    from typing import Final

# One search each, from a literal character, says whether a text is worth a closer look.
_COLON: Final = lazy(
    r""":(?:(?= ["'])|(?<=DETAIL:)|(?<=CONTEXT:)|(?<=QUERY:)|(?<=LINE [0-9]:)|(?<=LINE [0-9][0-9]:)|(?<=\[SQL:)"""
    r"|(?<=\[parameters:)|(?<=of range:)|(?<=ning with:)|(?<=sed error:)|(?<=\w :)(?= ))"
)
_DOUBLE_QUOTE: Final = lazy(r'"(?:(?<=alue ")|(?<=near ")|(?<=oken ")|(?<=ment ")|(?<=sion "))')
_SINGLE_QUOTE: Final = lazy(r"'(?:(?<=entry ')|(?<=near ')|(?<=alue ')|(?<=mand '))")

# Where a value with line breaks ends: at the next part of PostgreSQL's message, of SQLAlchemy's, of a trace.
_SECTION: Final = lazy(
    r'[ \t]*(?:DETAIL|DÉTAIL|DETALLE|HINT|CONTEXT|QUERY|STATEMENT|LOCATION|LINE \d|\[SQL|\[param|\(Back|Traceback|File ")'
)
_ROW: Final = lazy(
    r"(.*?(?:DETAIL|DÉTAIL|DETALLE|DETALHE|Failing row).*?\b(?:contains|enthält|contient|contiene|contém) \()(.*)"
)
_ECHO: Final = lazy(r"([ \t]*(?:LINE|ZEILE|LIGNE|LÍNEA|LINHA) (\d+) ?: ?)(.*)")
_QUERY: Final = lazy(r"([ \t]*(?:QUERY|STATEMENT):\s*)(.*)")
_CONTEXT: Final = lazy(r"(.*?\b(?:COPY [^:]+, line \d+[^:]*|JSON data, line \d+): ).*")
# How a statement inside of a message opens, and what may close it.
_STATEMENTS: Final = (
    ("[SQL: ", ("]\n[parameters: ", "]\n(Background", "]\n")),
    ("[parameters: ", ("]\n",)),
    ('SQL statement "', ('"\nPL/pgSQL', '"\n')),
    ('SQL expression "', ('"\nPL/pgSQL', '"\n')),
)
# What stands in quotes behind these is a value, up to the last quote of the line.
_OPENED: Final = lazy(
    r'(.*?(?:\binvalid input (?:syntax|value) for [^"]*|\binvalid value for parameter "[^"]*"|\bmalformed [^"]*'
    r'|\bout of range|\binvalid (?:name )?syntax|\bcould not parse [^"]*): ")(.*)'
)
_INSIDE: Final = lazy(
    r"""(\b[Vv]alue ")[^"\n]*(?=" (?:is|for)\b)|(\b[Tt]oken ")[^"\n]*(?=" is\b)|(\bout of range: )[^"\s]\S*"""
    r"""|(\bDuplicate entry ').*(?=' for key\b)|(\b[Ii]ncorrect [\w ]*value: ').*(?=' for column\b|'\Z)"""
    r"""|(\bnear ').*(?=' at line\b)|(\bquery argument \$\d+[^:]{0,80}: ).*?(?= \(|\Z)"""
    r"""|(\bwith args beginning with: ?).+|(\bunknown command ['`])(?![A-Za-z._|\-]+['`])[^'`]*"""
    r"""|(\bCommand # \d+ \(\S+ ).*(?=\) of pipeline caused error)"""
)
_NEAR: Final = lazy(r'(\bat or near )"(.*)"')
_QUOTED: Final = lazy(r"""(\S*[ ]?)(["'])([^"'\n]*)\2""")
_NAMED: Final = words(
    "column columns relation table view index constraint type function schema database role user sequence extension "
    "language parameter encoding operator trigger policy cursor savepoint statement portal server option enum domain "
    "field key host option unknown in at @ tablespace publication named constraint: key: domain"
)
_NAME: Final = lazy(r"[\w$.\- ()*,\[\]]{1,130}")


def repeats_values(text: str) -> bool:
    """Say whether a text may be, or hold, a database's error message that repeats values."""
    return (
        (":" in text and _COLON.search(text) is not None)
        or ('"' in text and _DOUBLE_QUOTE.search(text) is not None)
        or ("'" in text and _SINGLE_QUOTE.search(text) is not None)
        or ")=(" in text
    )


def redact_repeated(text: str) -> str:
    """Replace by ``?`` what databases' messages are known to repeat, in any text."""
    if not repeats_values(text):
        return text
    for opening, endings in _STATEMENTS:
        if opening in text:
            text = _redact_statement(text, opening, endings)
    lines = []
    after = ""  # what the lines that follow belong to: an open value, a query, an echo
    query: list[str] = []
    for line in text.split("\n"):
        if after == "query" and not _SECTION.match(line):
            query.append(line)
            continue
        if query:
            lines.append(scrub_sql("\n".join(query)))
            query = []
        if after == "value" and not _SECTION.match(line):
            continue
        if after == "echo" and line.strip() == "^":
            after = ""
            continue  # it points at what is gone
        if match := _QUERY.match(line):
            lines.append(match[1])
            query, after = [match[2]], "query"
            continue
        redacted, is_open = _redact_line(line)
        after = "value" if is_open else "echo" if _ECHO.match(line) else ""
        lines.append(redacted)
    if query:
        lines.append(scrub_sql("\n".join(query)))
    return "\n".join(lines)


def scrub_error(text: str) -> str:
    """
    Return a message that is known to be a database's, with the names in it and without the values.

    What stands in quotes stays only behind a word that announces a name
    (``column "email"``), so that new or translated messages do not leak.
    """
    return "\n".join(
        line if line.lstrip().startswith(("HINT:", "QUERY:")) else _QUOTED.sub(_unless_name, line)
        for line in redact_repeated(text).split("\n")
    )


def _redact_line(line: str) -> tuple[str, bool]:
    """Return a line without values, and whether a value goes on in the next."""
    if ")=(" in line:
        return _redact_keys(line)
    if match := _ECHO.match(line):
        # Only the first line surely does not begin inside of a literal; "..." says that it was cut.
        certain = match[2] == "1" and not match[3].startswith("...")
        return match[1] + (scrub_sql(match[3]) if certain else CUT), False
    if match := _CONTEXT.match(line):
        return f"{match[1]}?", False
    if match := _ROW.match(line):
        return f"{match[1]}?).", not match[2].rstrip().endswith((")", ")."))
    if match := _OPENED.match(line):
        end = match[2].rfind('"')
        return f'{match[1]}?"{match[2][end + 1 :] if end >= 0 else ""}', end < 0
    line = _NEAR.sub(_unless_keyword, line)
    return _INSIDE.sub(lambda match: next(filter(None, match.groups())) + "?", line), False


def _redact_keys(line: str) -> tuple[str, bool]:
    """Redact ``Key (email)=(…) already exists.``, in the language of any server."""
    head, *rest = line.split(")=(")
    pieces = [head]
    for position, value in enumerate(rest):
        end = value.find(") conflicts with ") if position + 1 < len(rest) else value.rfind(")")
        pieces.append(f"?{value[end:]}" if end >= 0 else "?)")
        if end < 0:
            return ")=(".join(pieces), True
    return ")=(".join(pieces), False


def _redact_statement(text: str, opening: str, endings: tuple[str, ...]) -> str:
    """Scrub a statement, or hide its parameters, between its opening and the first that closes it."""
    start = text.find(opening) + len(opening)
    end = next((end for ending in endings if (end := text.find(ending, start)) >= 0), -1)
    if end < 0:
        end = text.rfind(endings[0][0], start)
    if end < 0:
        end = len(text)
    inside = "?" if opening == "[parameters: " else scrub_sql(text[start:end])
    return text[:start] + inside + text[end:]


def _unless_keyword(match: Match[str]) -> str:
    token = match[2]
    known = token in KEYWORDS or not any(map(str.isalnum, token))
    return match[0] if known else f'{match[1]}"?"'


def _unless_name(match: Match[str]) -> str:
    announced = match[1].strip().lower() in _NAMED and _NAME.fullmatch(match[3])
    known = match[3] in KEYWORDS or match[3] == "?" or not any(map(str.isalnum, match[3]))
    return match[0] if announced or known else f"{match[1]}{match[2]}?{match[2]}"
