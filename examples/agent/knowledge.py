# SPDX-License-Identifier: Apache-2.0
"""What the agent knows and remembers: documents with their vectors, orders, and what was said, in SQLite."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tellwhy
from tellwhy import traced

DOCUMENTS = (
    "A parcel that has not moved for ten days counts as lost.",
    "Who wants the money back for a lost order gets it back at once.",
    "Opening hours of the shop are from 9 to 17.",
    "An order can be changed until it is packed.",
    "Gift cards are valid for three years.",
)
SCHEMA = """
create table document (text text, vector text);
create table "order" (id integer primary key, parcel text, total real, refunded real default 0);
create table said (conversation text, step integer, message text);
insert into "order" (id, parcel, total) values (41, 'P-1', 9.5), (42, 'P-2', 29.9);
"""


class Knowledge:
    """One database; its statements are spans with the names of the database conventions."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.executescript(SCHEMA)

    @traced("learn documents")
    def learn(self, embed: Callable[[list[str]], list[list[float]]]) -> None:
        """Store the documents with their vectors."""
        for text, vector in zip(DOCUMENTS, embed(list(DOCUMENTS)), strict=True):
            self.run("INSERT document", "insert into document values (?, ?)", text, json.dumps(vector))

    def nearest(self, vector: list[float], number: int) -> list[str]:
        """Return the documents that are nearest to a vector."""
        rows = self.run("SELECT document", "select text, vector from document")
        rows.sort(key=lambda row: -sum(a * b for a, b in zip(vector, json.loads(row[1]), strict=True)))
        return [text for text, _ in rows[:number]]

    def remember(self, conversation: str, step: int, message: dict[str, Any]) -> None:
        """Keep what was said."""
        self.run("INSERT said", "insert into said values (?, ?, ?)", conversation, step, json.dumps(message))

    def run(self, summary: str, text: str, *parameters: Any) -> list[Any]:
        """Run one statement; ``summary`` is its name, of few values. The text has no values in it."""
        operation, _, table = summary.partition(" ")
        names = {"db.operation.name": operation, "db.collection.name": table, "db.query.text": text}
        with tellwhy.span(summary, kind="client", **{"db.system.name": "sqlite", **names}):
            return self._connection.execute(text, parameters).fetchall()
