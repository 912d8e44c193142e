# SPDX-License-Identifier: Apache-2.0
"""
What does a database's error message repeat of the statement that failed?

PostgreSQL quotes the row that failed, the value that had the wrong type and the
line of the statement; MySQL, Redis and SQLAlchemy do the like, and clients quote
pieces of headers and connection strings. What is known to be a value goes, in
any text. Where a text is known to be a database's, what is
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
_DOUBLE_QUOTE: Final = lazy(
    r'"(?:(?<=alue ")|(?<=near ")|(?<=oken ")|(?<=ment ")|(?<=sion ")|(?<=fter ")|(?<=host name ")(?=[^"]*@))'
)
_SINGLE_QUOTE: Final = lazy(r"'(?:(?<=entry ')|(?<=near ')|(?<=alue ')|(?<=alue b')|(?<=mand ')|(?<=fier '))")

# Where a value with line breaks ends: at the next part of PostgreSQL's message, of SQLAlchemy's, of a trace.
_SECTION: Final = lazy(
    r"[ \t]*(?:DETAIL|DÉTAIL|DETALLE|HINT|CONTEXT|QUERY|STATEMENT|LOCATION|LINE \d|\[SQL|\[param|\(Back|Traceback"
    r'|File ")'
)
_QUERY: Final = lazy(r"([ \t]*(?:QUERY|STATEMENT):\s*)(.*)")
_ECHO: Final = lazy(r"([ \t]*(?:LINE|ZEILE|LIGNE|LÍNEA|LINHA) (\d+) ?: ?)(.*)")
_CONTEXT: Final = lazy(r"\b(?:COPY [^:]{1,200}, line \d+[^:]{0,100}|JSON data, line \d+): ")

# How a statement inside of a message opens, and what may close it.
_STATEMENTS: Final = (
    ("[SQL: ", ("]\n[parameters: ", "]\n(Background", "]\n")),
    ("[parameters: ", ("]\n",)),
    ('SQL statement "', ('"\nPL/pgSQL', '"\n')),
    ('SQL expression "', ('"\nPL/pgSQL', '"\n')),
)
# "Failing row contains (…)." in the languages of PostgreSQL that write DETAIL with Latin letters.
_ROW_LABELS: Final = ("DETAIL", "DÉTAIL", "DETALLE", "DETALHE", "Failing row")
_ROW_OPENINGS: Final = ("contains (", "enthält (", "contient (", "contiene (", "contém (")
# What opens and closes a value on one line; it may hold anything, so the last closing counts.
_ENCLOSED: Final = (
    ('alue "', ('" is out of range', '" for ')),
    ('oken "', ('" is invalid',)),
    (" entry '", ("' for key",)),
    (" value: '", ("' for column", "'")),
    ("near '", ("' at line",)),
    (" modifier '", ("': ",)),  # Redis, of ACL SETUSER
    # A connection's string that was torn at the wrong character: what is shown is a piece of the password.
    ('missing "=" after "', ('" in connection',)),
    ('host name "', ("@",)),
    ("nonnumeric port: '", ("@",)),
    ("with args beginning with: ", ("",)),
)
_OPENED: Final = lazy(
    r'(?:\binvalid input (?:syntax|value) for [^"]{1,200}|\binvalid value for parameter "[^"]{1,200}"'
    r'|\bmalformed [^"]{1,80}|\bout of range|\binvalid (?:name )?syntax|\bcould not parse [^"]{1,80}): "'
)
_UNQUOTED: Final = lazy(
    r"(\bout of range: )[^\"\s]\S*|(\bquery argument \$\d+[^:]{0,80}: )(?:(?! \().)+"
    r"|(\bunknown command ['`])(?![A-Za-z._|\-]{1,40}['`])[^'`]*|(\bheader value:? b?['\"]).*(?=['\"])"
)
_PIPELINED: Final = lazy(r"\bCommand # \d{1,9} \(\S{1,40} ")
_NEAR: Final = lazy(r'(\bat or near )"(.*)"')

_QUOTED: Final = lazy(r"""(["'])([^"'\n]*)\1""")
_NAMED: Final = words(
    "column columns relation table view index constraint type function schema database role user sequence extension "
    "language parameter encoding operator trigger policy cursor savepoint statement portal server option enum domain "
    "field key host unknown in at tablespace publication named command constraint: key:"
)
_NAME: Final = lazy(r"[\w$.\- ()*,\[\]]{1,130}")


def repeats_values(text: str) -> bool:
    """Say whether a text may be, or hold, a database's error message that repeats values."""
    return (
        (":" in text and _COLON.search(text) is not None)
        or ('"' in text and _DOUBLE_QUOTE.search(text) is not None)
        or ("'" in text and _SINGLE_QUOTE.search(text) is not None)
        or ("=" in text and ")=(" in text)
    )


def redact_repeated(text: str) -> str:
    """Replace by ``?`` what databases' messages are known to repeat, in any text."""
    if not repeats_values(text):
        return text
    for opening, endings in _STATEMENTS:
        if opening in text:
            text = _redact_statements(text, opening, endings)
    lines: list[str] = []
    query: list[str] = []
    after = ""  # what the lines that follow may go on with
    for line in text.split("\n"):
        if after and not _SECTION.match(line):
            if after == "query":
                query.append(line)
            if after != "echo" or line.strip() == "^":  # the caret points at what is gone
                continue
        if query:
            lines[-1] += scrub_sql("\n".join(query))
            query = []
        if match := _QUERY.match(line):
            lines.append(match[1])
            query, after = [match[2]], "query"
            continue
        redacted, is_open = _redact_line(line)
        lines.append(redacted)
        after = "value" if is_open else "echo" if _ECHO.match(line) else ""
    if query:
        lines[-1] += scrub_sql("\n".join(query))
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
    if match := _CONTEXT.search(line):
        return f"{line[: match.end()]}?", False
    if any(label in line for label in _ROW_LABELS):
        for opening in _ROW_OPENINGS:
            if (start := line.find(opening)) >= 0:
                return f"{line[: start + len(opening)]}?).", not line.endswith(").")
    if match := _OPENED.search(line):
        end = line.rfind('"', match.end())
        return f'{line[: match.end()]}?"{line[end + 1 :] if end >= 0 else ""}', end < 0
    for opening, closings in _ENCLOSED:
        if (start := line.find(opening)) >= 0:
            line = _redact_enclosed(line, start + len(opening), closings)
    if (end := line.rfind(") of pipeline caused error")) >= 0 and (match := _PIPELINED.search(line)):
        line = f"{line[: match.end()]}?{line[max(end, match.end()) :]}"
    line = _NEAR.sub(_unless_keyword, line)
    return _UNQUOTED.sub(lambda match: f"{match[match.lastindex or 0]}?", line), False


def _redact_enclosed(line: str, start: int, closings: tuple[str, ...]) -> str:
    for closing in closings:
        if (end := line.rfind(closing)) >= start:
            return f"{line[:start]}?{line[end:]}"
    return line


def _redact_keys(line: str) -> tuple[str, bool]:
    """Redact ``Key (email)=(…) already exists.``, in the language of any server."""
    head, *rest = line.split(")=(")
    pieces = [head]
    for position, value in enumerate(rest):
        end = value.find(") conflicts with ") if position + 1 < len(rest) else value.rfind(")")
        pieces.append(f"?{value[end:]}" if end >= 0 else "?)")
        if end < 0:
            return ")=(".join(pieces), True
    return ")=(".join(pieces), not line.rstrip().endswith((".", "«", "»"))  # else a value that goes on


def _redact_statements(text: str, opening: str, endings: tuple[str, ...]) -> str:
    """Scrub statements, or hide their parameters, between their opening and the first that closes them."""
    pieces = []
    position = 0
    while (start := text.find(opening, position)) >= 0:
        start += len(opening)
        ends = [end for ending in endings if (end := text.find(ending, start)) >= 0][:1]
        if not ends and (end := text.rfind(endings[0][0], start)) >= 0:
            ends = [end]
        end = ends[0] if ends else len(text)
        pieces += [text[position:start], "?" if opening == "[parameters: " else scrub_sql(text[start:end])]
        position = end
    pieces.append(text[position:])
    return "".join(pieces)


def _unless_keyword(match: Match[str]) -> str:
    token = match[2]
    known = token in KEYWORDS or not any(map(str.isalnum, token))
    return match[0] if known else f'{match[1]}"?"'


def _unless_name(match: Match[str]) -> str:
    before = match.string[max(0, match.start() - 40) : match.start()].rstrip(" ")
    word = before.rpartition(" ")[2].lower()
    content = match[2]
    announced = (word in _NAMED or word[-1:] == "@") and _NAME.fullmatch(content)
    known = content in KEYWORDS or content == "?" or not any(map(str.isalnum, content))
    return match[0] if announced or known else f"{match[1]}?{match[1]}"
