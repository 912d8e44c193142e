# SPDX-License-Identifier: Apache-2.0
"""
Where does a literal begin and end, in each dialect of SQL?

Four lexers, chosen by ``db.system.name``. Each is two patterns from one
description: ``fast`` is for ``split``, knows what nearly all statements are made
of and says where it met something else; ``full`` knows every token and is walked
in Python.
"""

from __future__ import annotations

from tellwhy.redaction.lazy import lazy
from tellwhy.redaction.words import any_case

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

# All of these follow a character that is already consumed: the digit, the opening quote.
# A number continues neither a name nor a placeholder ($1, :1, ?1; those have up to four digits, for
# a[1:99999] is a literal) and takes every form: 1_000, 0xFF, 1.5e-3.
_NUMBER: Final = r"(?<=[0-9])(?<![\w$][0-9])(?:(?<![\s(,=][:?][0-9])|(?=[0-9]{4}))[\w.]*(?:(?<=[eE])[+-][0-9_]+)?"
# A quoted piece that a word or one more quote follows directly shows that the quoting went wrong
# before: 'O'Brien'. Nothing behind it is certain then.
_PLAIN: Final = r"[^']*(?:''[^']*)*'(?!['\w])"
_BACKSLASHED: Final = r"[^'\\]*(?:(?:\\[\s\S]|'')[^'\\]*)*'(?!['\w])"
# Where nobody says whether a backslash escapes, a quote behind one is not certain to be the end.
_DOUBTFUL: Final = r"[^'\\]*(?:(?:''|\\(?!'))[^'\\]*)*'(?!['\w])"
_NAME: Final = r'[^"]*(?:""[^"]*)*"(?!["\w])'
# SQLite takes "x" for a string where no column has that name. What stands beside a dot or behind a
# word that asks for a name is one; anything else may be a literal.
_SURE_NAME: Final = (
    r'(?:(?<=\.")|(?=[^"]*"\s*\.)'
    + "".join(
        f'|(?<={word} ")'
        for word in any_case("FROM JOIN INTO TABLE UPDATE AS EXISTS INDEX VIEW ON BY REFERENCES").split("|")
    )
    + f"){_NAME}"
)
_PREFIX: Final = r"(?:(?<![\w$])(?:[bBxXnN]|[uU]&))"
_UNQUOTED_JSON: Final = r"""(?=\s*["'\[{0-9-])"""  # behind a brace, which SQL has in strings only


class Lexer:
    """
    The tokens of one dialect.

    Args:

        string: The rest of a string in single quotes.

        double: The rest of a string in double quotes, where they may be one.

        name: The rest of a quoted name.

        quote: The character that opens a quoted name.

        postgres: Whether ``E'…'`` and ``$tag$…$tag$`` are strings.

        comments: First character and rest of what begins a comment to the end of the line.
    """

    __slots__ = ("fast", "full", "quote", "simple")

    def __init__(
        self,
        string: str,
        *,
        double: str = "",
        name: str = _NAME,
        quote: str = '"',
        postgres: bool = False,
        comments: Sequence[tuple[str, str]] = (("-", "-"),),
    ) -> None:
        self.quote = quote
        quotes = "".join(dict.fromkeys("'\"" + quote))
        tag = r"(?<![\w$]\$)(?:[^\W\d]\w*)?\$"

        # Group 1 is the rest of a name, to be kept; group 2 says that the fast way ends here.
        steps = [rf"(?<=')(?<!(?<![\w$])[eEbBxXnNqQ]')(?<!&'){string}", _NUMBER, f"((?<={quote}){name})"]
        stops = [f"(?<=[{quotes}])", r"(?<=/)\*", rf"(?<=\{{){_UNQUOTED_JSON}"]
        stops += [f"(?<={first}){rest}" for first, rest in comments]
        if double:
            steps.append(f'(?<="){double}')
        if postgres:
            stops.append(rf"(?<=\$){tag}")
        first = quotes + "0-9/{$" + "".join(comment[0] for comment in reversed(comments))
        # For texts that have plain strings and numbers at most, as two of three have.
        self.simple = lazy(f"['0-9](?:{steps[0]}|{_NUMBER})") if quote == '"' else None
        self.fast = lazy(f"[{first}](?:{'|'.join(steps)}|({'|'.join(stops)})[\\s\\S]*)")

        tokens = [f"(?P<string>{_PREFIX}?'{string})", f"(?P<name>{quote}{name})", f"(?P<number>[0-9]{_NUMBER})"]
        if double:
            tokens.append(f'(?P<double>"{double})')
        if postgres:
            tokens += [rf"(?P<escape>(?<![\w$])[eE]'{_BACKSLASHED})", rf"(?P<dollar>\${tag})"]
        tokens += [r"(?P<block>/\*)", f"(?P<line>(?:{'|'.join(map(''.join, comments))})[^\\r\\n]*)"]
        tokens.append(rf"(?P<bad>[{quotes}]|\{{{_UNQUOTED_JSON})")
        self.full = lazy("|".join(tokens))


_STANDARD: Final = Lexer(_PLAIN, postgres=True)
_MYSQL: Final = Lexer(
    _BACKSLASHED,
    double=_BACKSLASHED.replace("'", '"'),
    name=_NAME.replace('"', "`"),
    quote="`",
    comments=(("-", r"-(?=\s|$)"), ("#", "")),
)
_SQLITE: Final = Lexer(_PLAIN, name=_SURE_NAME, double=_NAME)
_CAUTIOUS: Final = Lexer(_DOUBTFUL, name=_SURE_NAME, double=_NAME, postgres=True)

# Values of db.system.name and, where it differs, of the older db.system.
# https://opentelemetry.io/docs/specs/semconv/registry/attributes/db/#db-system-name
_LEXERS: Final = {
    "postgresql": _STANDARD,
    "cockroachdb": _STANDARD,
    "aws.redshift": _STANDARD,
    "redshift": _STANDARD,
    "microsoft.sql_server": _STANDARD,
    "mssql": _STANDARD,
    "ibm.db2": _STANDARD,
    "db2": _STANDARD,
    "trino": _STANDARD,
    "h2database": _STANDARD,
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
    "sqlite": _SQLITE,
}


KNOWN: Final = frozenset(_LEXERS)


def lexer_for(dialect: str) -> Lexer:
    """Return the lexer of a ``db.system.name``; unknown ones get the one that is certain of least."""
    return _LEXERS.get(dialect, _CAUTIOUS)
