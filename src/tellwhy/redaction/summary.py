# SPDX-License-Identifier: Apache-2.0
"""
Which operations does a statement do, and on which tables?

The answer is ``db.query.summary``: ``{operation} {target} …`` in the statement's
order and spelling, of low cardinality, at most 255 characters. It is made of
scrubbed text only. Names of common table expressions, savepoints, cursors and
roles are no targets: the first are no tables, the others may be new in every call.
https://opentelemetry.io/docs/specs/semconv/db/database-spans/#generating-a-summary-of-the-query
"""

from __future__ import annotations

from itertools import compress

from tellwhy.redaction.lazy import lazy
from tellwhy.redaction.words import spellings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    Summary = tuple[str | None, str | None, str | None]

MAX_SUMMARY: Final = 255  # the conventions' limit, in characters


# Behind these a statement may begin that is not a query; ON UPDATE and FOR UPDATE do not begin one.
_BEGIN: Final = frozenset(spellings("; ( ) AS EXPLAIN ANALYZE VERBOSE BEGIN ATOMIC"))
_NO_NAMES: Final = frozenset(
    spellings(
        "ONLY LATERAL TABLE IF NOT EXISTS IGNORE LOW_PRIORITY DELAYED CONCURRENTLY VERBOSE FULL FREEZE RECURSIVE "
        "OVERWRITE OUTFILE DUMPFILE"
    )
)
_BEFORE_TABLES: Final = frozenset(spellings("FROM JOIN ("))
_DISTINCT: Final = frozenset(spellings("DISTINCT"))
_WITH_USING: Final = frozenset(spellings("DELETE MERGE"))  # whose USING names a table; a JOIN's does not
_UPDATE: Final = frozenset(spellings("UPDATE"))
_CALLS: Final = frozenset(spellings("CALL EXECUTE EXEC"))
_KINDS: Final = frozenset(
    spellings(
        "TABLE VIEW INDEX SEQUENCE FUNCTION PROCEDURE TRIGGER TYPE SCHEMA DOMAIN EXTENSION POLICY RULE "
        "PUBLICATION SUBSCRIPTION SERVER AGGREGATE STATISTICS ROLE USER GROUP DATABASE"
    )
)
_UNNAMED_KINDS: Final = frozenset(spellings("ROLE USER GROUP DATABASE"))
_TABLE_KINDS: Final = frozenset(spellings("TABLE VIEW"))
_INDEX: Final = frozenset(spellings("INDEX"))
_DROP: Final = frozenset(spellings("DROP"))
_ON: Final = frozenset(spellings("ON"))

# Most statements are one operation on one table, or on a few that are joined.
_NAME: Final = r"""([a-zA-Z_][\w.$]*|(?:"[^"\s(),;]+"\.?)+)"""
_ONE_TABLE: Final = lazy(
    rf"(?:INSERT INTO|insert into|DELETE FROM|delete from|UPDATE|update)\s+{_NAME}"
    r"(?=\s*(?:\(|(?:WHERE|where|SET|set|VALUES|values)\s|\Z))"
)
_CLAUSE_WORDS: Final = "WHERE GROUP ORDER LIMIT OFFSET FETCH HAVING WINDOW FOR"
_CLAUSES: Final = {
    "SELECT": [f" {word} " for word in _CLAUSE_WORDS.split()],
    "select": [f" {word} " for word in _CLAUSE_WORDS.lower().split()],
}
_DISTINCT_FROM: Final = frozenset((" DISTINCT", " distinct"))

# A quoted name with a blank or a parenthesis in it, behind any number of names without.
_ODD_NAME: Final = lazy(r'[^"`]*(?:["`][^"`\s(),;]*["`][^"`]*)*["`][^"`\s(),;]*[\s(),;]')
_QUOTED: Final = lazy(r'"[^"]*"|`[^`]*`')
_HIDE: Final = {ord(c): 0xE000 + i for i, c in enumerate(" (),;\t\n\r")}
_SHOW: Final = {private: c for c, private in _HIDE.items()}


def summarize(text: str) -> Summary:
    """
    Return summary, operation and collection of a scrubbed statement.

    Each is None where there is no certain one: all of them if the text begins
    with no known operation, the operation if statements with different ones
    stand in one text, the collection if there is not exactly one table.
    """
    text = text.strip()
    simple = None
    if ";" not in text:
        verb = text[:6]
        simple = _simple_query(text, verb) if verb in _CLAUSES else _simple_change(text, verb)
    return simple or _walked_summary(text)


def _simple_query(text: str, verb: str) -> Summary | None:
    """Summarize one SELECT without a look at every word; None if there may be more than that."""
    upper = verb == "SELECT"
    start = text.find(" FROM " if upper else " from ")
    head = text[6:start]
    if "(" in head and (head.count("(") != head.count(")") or "SELECT" in head or "select" in head):
        return None  # EXTRACT(day FROM …), (SELECT …)
    if start < 0 or text.find("SELECT", start) >= 0 or text.find("select", start) >= 0:
        return None
    if head[-9:] in _DISTINCT_FROM or "INTO" in head or "into" in head:
        return None
    start += 6
    end = -1
    for clause in _CLAUSES[verb]:
        if (end := text.find(clause, start)) >= 0:
            break
    tables = text[start:] if end < 0 else text[start:end]
    if "," in tables or "(" in tables:
        return None
    if "JOIN" not in tables and "join" not in tables:
        name = tables.split(None, 1)[0] if tables else ""
        return (verb + " " + name, verb, name) if _is_name(name) else None
    parts = tables.split(" JOIN " if upper else " join ")
    names = [(part.split(None, 1) or ("",))[0] for part in parts]
    summary = f"{verb} {' '.join(names)}"
    if tables.upper().count("JOIN") != len(parts) - 1 or len(summary) > MAX_SUMMARY:
        return None
    if not all(map(_is_name, names)):
        return None
    return summary, verb, names[0] if names.count(names[0]) == len(names) else None


def _simple_change(text: str, verb: str) -> Summary | None:
    """Summarize one INSERT, UPDATE or DELETE on one table; None if there may be more than that."""
    match = _ONE_TABLE.match(text)
    if match is None or len(match[1]) > MAX_SUMMARY - 7 or "SELECT" in text or "select" in text:
        return None
    if verb in _UPDATE and (" FROM" in text or " from" in text):
        return None
    return f"{verb} {match[1]}", verb, match[1]


def _is_name(word: str) -> bool:
    if word[:1] == '"':
        return word[-1] == '"' and 2 < len(word) < MAX_SUMMARY - 7
    return word[:1].isalpha() and word not in KEYWORDS and len(word) < MAX_SUMMARY - 7


def _walked_summary(text: str) -> Summary:
    odd = ('"' in text or "`" in text) and _ODD_NAME.match(text) is not None
    if odd:
        text = _QUOTED.sub(lambda name: name[0].translate(_HIDE), text)
    if "(" in text:
        text = text.replace("(", " ( ").replace(")", " ) ")
    if ";" in text:
        text = text.replace(";", " ; ")
    words = text.split()
    if not words:
        return None, None, None
    if words[0] not in _WORDS:
        words[0] = words[0].lstrip("{")  # ODBC's {call procedure(?)}
        if words[0].upper() not in _WORDS:
            return None, None, None
        words = [upper if (upper := word.upper()) in _WORDS else word for word in words]
    result = _Walk(words).run()
    if odd:
        summary, operation, collection = result
        return summary and summary.translate(_SHOW), operation, collection and collection.translate(_SHOW)
    return result


class _Walk:
    """The way through a statement's words, from one known word to the next; each has its method."""

    __slots__ = (
        "before_from",  # an operation is open whose FROM has not come
        "begin",  # where in out the present statement begins
        "depth_of_main",
        "depth_of_with",  # where the list of WITH goes on, or -1
        "expressions",  # the names of common table expressions
        "in_from",
        "main",  # the present statement's operation
        "mains",
        "out",
        "plain",  # nothing more of the present statement matters
        "scopes",  # what before_from, in_from and verb are outside of each open parenthesis
        "tables",
        "verb",
        "words",
    )

    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.out: list[str] = []
        self.tables: list[str] = []
        self.mains: list[str] = []
        self.scopes: list[tuple[bool, bool, str]] = []
        self.expressions: set[str] = set()
        self.depth_of_with = -1
        self.begin = self.depth_of_main = 0
        self.verb = self.main = ""
        self.before_from = self.in_from = self.plain = False

    def run(self) -> Summary:
        words, known = self.words, _WORDS
        for i in compress(range(len(words)), map(known.__contains__, words)):
            if not self.plain or words[i] == ";":
                known[words[i]](self, i)
        self.end(len(words))
        out, length = self.out, -1
        for position, piece in enumerate(out):
            length += len(piece) + 1
            if length > MAX_SUMMARY:
                out = out[:position]
                break
        mains = self.mains
        return (
            " ".join(out) or None,
            mains[0] if mains and mains.count(mains[0]) == len(mains) else None,
            self.tables[0] if len(self.tables) == 1 else None,
        )

    def begins(self, i: int) -> bool:
        return i == 0 or self.words[i - 1] in _BEGIN

    def operation(self, name: str) -> None:
        depth = len(self.scopes)
        self.out.append(name)
        if not self.main or depth < self.depth_of_main:
            self.main, self.depth_of_main = name, depth
        if depth <= self.depth_of_with:
            self.depth_of_with = -1

    def target(self, name: str, table: bool = True) -> None:
        name = name.strip(",")
        if not name or not (name[0].isalpha() or name[0] in '_"`[') or name in self.expressions:
            return
        if len(name) > MAX_SUMMARY:
            return
        self.out.append(name)
        if table and name not in self.tables:
            self.tables.append(name)

    def name_at(self, i: int) -> int:
        """Return where the next name stands, behind words like ONLY."""
        words = self.words
        while i < len(words) and words[i] in _NO_NAMES:
            i += 1
        return i

    def one(self, i: int, *, table: bool = True) -> None:
        i = self.name_at(i)
        if i < len(self.words) and self.words[i] not in _WORDS:
            self.target(self.words[i], table)

    def several(self, i: int, *, behind: bool = False) -> None:
        """Take the names of a list with commas; ``behind`` a parenthesis only those after a comma."""
        words, known = self.words, _WORDS
        i = end = self.name_at(i)
        while end < len(words) and words[end] not in known:
            end += 1
        if end == i + 1 and "," not in words[i] and not behind:
            if words[end : end + 1] != ["("]:  # else a function
                self.target(words[i])
            return
        items = " ".join(words[i:end]).split(",")
        for position, item in enumerate(items):
            names = [word for word in item.split() if word not in _NO_NAMES]
            function = len(names) == 1 and position + 1 == len(items) and words[end : end + 1] == ["("]
            if names and not function and not (behind and position == 0):
                self.target(names[0])

    def query(self, i: int) -> None:
        self.verb = self.words[i]
        self.operation(self.verb)
        self.before_from, self.in_from = True, False

    def change(self, i: int) -> None:
        if self.begins(i) and self.words[i + 1 : i + 2] != ["("]:  # REPLACE(a, b) is a function
            self.query(i)
            if self.verb in _UPDATE:
                self.one(i + 1)

    def from_(self, i: int) -> None:
        if self.before_from and self.words[i - 1] not in _DISTINCT:
            self.before_from, self.in_from = False, True
            self.several(i + 1)

    def join(self, i: int) -> None:
        if self.words[i + 2 : i + 3] != ["("]:  # else a function
            self.one(i + 1)

    def into(self, i: int) -> None:
        self.one(i + 1)

    def using(self, i: int) -> None:
        if self.verb in _WITH_USING:
            self.several(i + 1)

    def clause(self, i: int) -> None:
        self.in_from = False
        if i == 0 or self.words[i - 1] == ";":
            self.simple(i)

    def open(self, i: int) -> None:
        before = self.words[i - 1]
        self.scopes.append((self.before_from, self.in_from, self.verb))
        # FROM (a JOIN b …): the list goes on inside; FROM f(…) and FROM t x (…): it does not.
        self.in_from = self.in_from and (before in _BEFORE_TABLES or before.endswith(","))
        self.before_from = False
        if self.in_from:
            self.several(i + 1)

    def close(self, i: int) -> None:
        if self.scopes:
            self.before_from, self.in_from, self.verb = self.scopes.pop()
        if self.in_from:
            self.several(i + 1, behind=True)
        elif self.depth_of_with == len(self.scopes):
            following = self.words[i + 1 : i + 3]
            if following and following[0].startswith(","):
                self.expressions.add("".join(following[: 1 + (following[0] == ",")]).strip(","))

    def end(self, i: int) -> None:
        """Finish a statement; repeated ones count once."""
        del i
        if self.main:
            self.mains.append(self.main)
        size = len(self.out) - self.begin
        if size and self.out[self.begin - size : self.begin] == self.out[self.begin :]:
            del self.out[self.begin :]
        self.begin = len(self.out)
        self.main = ""
        self.scopes.clear()
        self.depth_of_with = -1
        self.before_from = self.in_from = self.plain = False

    def with_(self, i: int) -> None:
        if self.begins(i):
            self.depth_of_with = len(self.scopes)
            name = self.name_at(i + 1)
            self.expressions.update(self.words[name : name + 1])

    def define(self, i: int) -> None:
        if i and self.words[i - 1] != ";":
            return
        words = self.words
        kind = next((j for j in range(i + 1, min(i + 7, len(words))) if words[j] in _KINDS), 0)
        self.operation(f"{words[i]} {words[kind]}" if kind else words[i])
        if not kind or words[kind] in _UNNAMED_KINDS:
            self.plain = True
            return
        if words[kind] in _INDEX:
            on = next((j for j in range(kind + 1, min(kind + 7, len(words))) if words[j] in _ON), kind)
            self.one(on + 1)
        elif words[i] in _DROP:
            self.several(kind + 1)
        else:
            self.one(kind + 1, table=words[kind] in _TABLE_KINDS)
            self.plain = words[kind] not in _TABLE_KINDS

    def named(self, i: int) -> None:
        if self.begins(i) and not self.scopes:
            self.operation(self.words[i])
            self.one(i + 1, table=self.words[i] not in _CALLS)

    def preamble(self, i: int) -> None:
        if i == 0 or self.words[i - 1] == ";":
            self.operation(self.words[i])

    def simple(self, i: int) -> None:
        if i == 0 or self.words[i - 1] == ";":
            self.operation(self.words[i])
            self.plain = True


_MEANINGS: Final[dict[Callable[[_Walk, int], None], str]] = {
    _Walk.query: "SELECT",
    _Walk.change: "INSERT UPDATE DELETE MERGE REPLACE UPSERT",
    _Walk.from_: "FROM",
    _Walk.join: "JOIN",
    _Walk.into: "INTO",
    _Walk.using: "USING",
    _Walk.open: "(",
    _Walk.close: ")",
    _Walk.clause: "WHERE SET ON GROUP ORDER HAVING LIMIT OFFSET FETCH FOR RETURNING UNION EXCEPT INTERSECT WINDOW",
    _Walk.end: ";",
    _Walk.with_: "WITH",
    _Walk.define: "CREATE ALTER DROP REFRESH REINDEX",
    _Walk.named: "TRUNCATE LOCK CALL EXECUTE EXEC COPY ANALYZE VACUUM TABLE DESCRIBE OPTIMIZE",
    _Walk.preamble: "EXPLAIN PREPARE DECLARE",
    _Walk.simple: "BEGIN START COMMIT ROLLBACK ABORT END SAVEPOINT RELEASE RESET SHOW GRANT REVOKE MOVE CLOSE "
    "LISTEN UNLISTEN NOTIFY DISCARD DEALLOCATE DO CHECKPOINT CLUSTER COMMENT VALUES SECURITY IMPORT REASSIGN "
    "LOAD PRAGMA USE ATTACH DETACH KILL RENAME HANDLER FLUSH PURGE",
}
_WORDS: Final = {word: method for method, words in _MEANINGS.items() for word in spellings(words)}
KEYWORDS: Final = _NO_NAMES.union(_WORDS)
