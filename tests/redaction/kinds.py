# SPDX-License-Identifier: Apache-2.0
"""
The declared table: kinds of secrets as they appear in the wild, and what must stay readable beside them.

The tests go through it, and ``docs/explanation/redaction.md`` shows it:
``PYTHONPATH=tests python -m redaction.kinds`` writes the tables of that page.
"""

from __future__ import annotations

from pathlib import Path

from redaction.kind import leaves
from redaction.readable import NOT_COVERED, READABLE
from redaction.secrets_in_http import ATTRIBUTES, HEADERS, URLS
from redaction.secrets_in_sql import DATABASES, SQL
from redaction.secrets_in_text import SETTINGS, TEXTS

KINDS = [*SQL, *DATABASES, *URLS, *HEADERS, *ATTRIBUTES, *TEXTS, *SETTINGS]


def markdown() -> str:
    """Return the tables of the documentation page."""
    lines: list[str] = []
    for group in dict.fromkeys(kind.group for kind in KINDS):
        lines += [f"### {group}", "", "| kind | what leaves |", "|---|---|"]
        lines += [f"| {_cell(kind.name)} | {_code(leaves(kind))} |" for kind in KINDS if kind.group == group]
        lines.append("")
    lines += ["### What stays readable", "", "| kind | passes as it is |", "|---|---|"]
    lines += [f"| {_cell(readable.name)} | {_code(readable.sample)} |" for readable in READABLE]
    lines += ["", "### What is not covered", "", "| kind | why |", "|---|---|"]
    lines += [f"| {_cell(kind)} | {_cell(why)} |" for kind, why in NOT_COVERED]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _code(value: object) -> str:
    text = str(value).replace("\n", " ⏎ ").replace("\t", " ").replace("|", "\\|")
    ticks = "``" if "`" in text else "`"
    return f"{ticks}{text}{ticks}" if text else "(empty)"


if __name__ == "__main__":
    page = Path(__file__).parents[2] / "docs" / "explanation" / "redaction.md"
    prose, heading, _ = page.read_text("utf-8").partition("## The tables\n")
    page.write_text(f"{prose}{heading}\n{markdown()}\n", "utf-8")
