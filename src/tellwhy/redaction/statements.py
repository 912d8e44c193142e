# SPDX-License-Identifier: Apache-2.0
"""
What does a span say of a statement, at the cost of one look into a dictionary?

A program runs few statements, each very often. What was found out about one is
remembered: by its raw text for those that come again as they are, and by its
scrubbed text for those that differ in their literals only. The memory is bounded
in bytes, and what is huge or has a trace's id in it is not remembered.
"""

from __future__ import annotations

from tellwhy.redaction.lexers import KNOWN, lexer_for
from tellwhy.redaction.sql import CUT, safe_comment, scrub
from tellwhy.redaction.summary import summarize

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from tellwhy.redaction.lexers import Lexer

    Analysis = tuple[str, str | None, str | None, str | None]

BUDGET: Final = 4 * 1024 * 1024  # bytes of one dialect's two generations together
MAX_REMEMBERED: Final = 8192  # characters
_COMMENTED: Final = ("*/", "/;")
_OVERHEAD: Final = 400  # bytes of an entry without its text: two tuples, slots, the three short strings


class _Memory:
    """
    The statements of one dialect, in two generations.

    What is used moves to the young one; when that is full it becomes the old one
    and the old one goes. So the least recently used are forgotten, without a lock
    and without a list: each step is one operation on a dictionary, and a race
    costs at most one more analysis.
    """

    __slots__ = ("lexer", "old", "shapes", "size", "young")

    def __init__(self, lexer: Lexer) -> None:
        self.lexer = lexer
        self.clear()

    def clear(self) -> None:
        self.young: dict[str, Analysis] = {}
        self.old: dict[str, Analysis] = {}
        self.shapes: dict[str, Analysis] = {}
        self.size = 0

    def find(self, statement: str) -> Analysis:
        """Return what is not in the young generation."""
        found = self.old.get(statement)
        if found is None:
            found = self._analyze(statement)
            if len(statement) > MAX_REMEMBERED or (statement[-2:] in _COMMENTED and "parent=" in statement):
                return found
        size = len(statement) + len(found[0])
        self.size += _OVERHEAD + (size if statement.isascii() else 4 * size)
        if self.size > BUDGET // 2:
            self.old, self.young, self.shapes, self.size = self.young, {}, {}, 0
        self.young[statement] = found
        return found

    def _analyze(self, statement: str) -> Analysis:
        if statement[-2:] in _COMMENTED and (commented := self._without_comment(statement)):
            return commented
        scrubbed = scrub(statement, self.lexer)
        if scrubbed is statement:
            return (statement, *summarize(statement))
        found = self.shapes.get(scrubbed)
        if found is None:
            found = self.shapes[scrubbed] = (scrubbed, *summarize(scrubbed))
        return found

    def _without_comment(self, statement: str) -> Analysis | None:
        """Analyze a statement with sqlcommenter's comment by the statement before it, which comes again."""
        start = statement.rfind("/*")
        end = statement.rfind("*/")
        comment = safe_comment(statement[start + 2 : end]) if 0 < start < end else ""
        if not comment:
            return None
        head = statement[:start].rstrip()
        found = self.young.get(head) or self.find(head)
        if found[0].endswith(CUT):
            return None  # the comment is inside of something
        return (f"{found[0]} {comment}{statement[end + 2 :]}", *found[1:])


_memories: dict[str, _Memory] = {}


def _memory_of(dialect: str) -> _Memory:
    """Return the memory of a dialect, which it shares with those that are read alike."""
    # Anybody may write a db.system.name; the unknown ones have one place together.
    name = dialect if dialect in KNOWN else "other_sql"
    lexer = lexer_for(name)
    memories = list(_memories.values())
    memory = next((memory for memory in memories if memory.lexer is lexer), None) or _Memory(lexer)
    return _memories.setdefault(name, memory)


def analyze(statement: str, dialect: str = "postgresql") -> Analysis:
    """
    Return what a span may say of a statement: text, summary, operation, collection.

    Args:

        statement: The raw text, of one or several statements.

        dialect: A value of ``db.system.name``.

    Returns:

        ``db.query.text`` with literals replaced by ``?``, and ``db.query.summary``,
        ``db.operation.name`` and ``db.collection.name``, each None where it is
        not certain.
    """
    try:
        memory = _memories[dialect]
    except KeyError:
        memory = _memory_of(dialect)
    return memory.young.get(statement) or memory.find(statement)


def forget() -> None:
    """Forget every statement; for tests and measurements."""
    for memory in _memories.values():
        memory.clear()
