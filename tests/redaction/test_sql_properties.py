# SPDX-License-Identifier: Apache-2.0
"""Generated SQL: no literal survives, names do, whatever stands where."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tellwhy.redaction import analyze, scrub_sql, statements
from tellwhy.redaction.lexers import lexer_for
from tellwhy.redaction.sql import _replace, _walk

SECRET = "zQxJwKv"
NUMBER = "918273645"

content = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).map(lambda text: text[:6] + SECRET + text[6:])


def dollars(text: str) -> str:
    tag = next(tag for tag in ("$$", "$a$", "$é_1$", "$tag$") if tag not in text + "$" and tag[:-1] not in text)
    return f"{tag}{text}{tag}"


no_dollar = content.map(lambda text: text.replace("$", ""))
strings = st.one_of(
    content.map(lambda text: "'" + text.replace("'", "''") + "'"),
    content.map(lambda text: "E'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"),
    content.map(lambda text: "e'" + text.replace("\\", "\\\\").replace("'", "''") + "'"),
    content.map(lambda text: "U&'" + text.replace("\\", "\\\\").replace("'", "''") + "' UESCAPE '!'"),
    content.map(lambda text: "n'" + text.replace("'", "''") + "'"),
    content.map(lambda text: "date'" + text.replace("'", "''") + "'"),
    no_dollar.map(dollars),
)
numbers = st.sampled_from(
    [NUMBER, f"{NUMBER}.5", f"0.{NUMBER}", f".{NUMBER}", f"{NUMBER}e10", f"1.{NUMBER}E-3", f"0x{NUMBER}", "918_273_645"]
)
literals = st.one_of(strings, numbers)
plain_names = st.from_regex(r"[a-z_][a-z_0-9$]{0,8}", fullmatch=True).map(lambda name: "n" + name)
quoted_names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=8).map(
    lambda name: '"q' + name.replace('"', '""') + '"'
)
foreign_names = st.sampled_from(["größe", "имя", "数量", "n_é2", "größe2.spalte3"])
names = st.one_of(plain_names, quoted_names, foreign_names)
placeholders = st.sampled_from(["%s", "$1", "$23", "%(name1)s", ":name2", "?", "@p3"])
comments = st.one_of(
    st.just(" "),
    st.just("\n  "),
    st.sampled_from([f" /* {SECRET} ' */ ", f" -- {SECRET} '\n", f" /* a /* {SECRET} */ $$ */ "]),
)


@st.composite
def statements_of(draw: st.DrawFn, names: st.SearchStrategy[str] = names) -> tuple[str, list[str]]:
    """Draw a statement and the names in it."""
    used: list[str] = []

    def name() -> str:
        used.append(draw(names))
        return used[-1]

    def value() -> str:
        return draw(st.one_of(literals, placeholders, st.sampled_from(["NULL", "TRUE", "FALSE"])))

    def condition() -> str:
        left, gap = name(), draw(comments)
        kind = draw(st.sampled_from(["compare", "in", "cast", "call", "between", "json", "array"]))
        if kind == "in":
            return f"{left}{gap}IN ({', '.join(value() for _ in range(draw(st.integers(1, 4))))})"
        if kind == "cast":
            return f"{left} = {value()}::text"
        if kind == "call":
            return f"lower({left}, {value()}) = coalesce({value()}, {value()})"
        if kind == "between":
            return f"{left} BETWEEN {value()}{gap}AND {value()}"
        if kind == "json":
            return f"{left} -> {value()} ->> {value()} = {name()}"
        if kind == "array":
            return f"{left} = ANY(ARRAY[{value()}, {value()}])"
        return f"{left}{gap}{draw(st.sampled_from(['=', '<>', '>=', '~', '||']))}{gap}{value()}"

    def conditions() -> str:
        return f"{draw(st.sampled_from([' AND ', ' OR ']))}".join(condition() for _ in range(draw(st.integers(1, 3))))

    gap = draw(comments)
    kind = draw(st.sampled_from(["select", "insert", "update", "delete", "cte", "two"]))
    if kind == "insert":
        row = "(" + ", ".join(value() for _ in range(3)) + ")"
        rows = ", ".join([row] * draw(st.integers(1, 3)))
        text = f"INSERT INTO {name()} ({name()}, {name()}, {name()}){gap}VALUES {rows}"
    elif kind == "update":
        text = f"UPDATE {name()} SET {name()} = {value()}{gap}WHERE {conditions()}"
    elif kind == "delete":
        text = f"DELETE FROM {name()}{gap}WHERE {conditions()}"
    elif kind == "cte":
        text = f"WITH c AS (SELECT {name()} FROM {name()} WHERE {conditions()}){gap}SELECT {value()} FROM c"
    elif kind == "two":
        text = f"UPDATE {name()} SET {name()} = {value()}; SELECT {name()}{gap}FROM {name()} WHERE {conditions()}"
    else:
        text = f"SELECT {name()}, {value()} AS x{gap}FROM {name()} JOIN {name()} ON {condition()} WHERE {conditions()}"
    return text, used


def leaked(text: str) -> bool:
    return SECRET in text or re.search("91_?82_?73", text) is not None


@settings(max_examples=400, deadline=None)
@given(statements_of())
def test_no_literal_survives_and_names_do(drawn: tuple[str, list[str]]) -> None:
    """Any literal in any quoting goes, from text and summary; any name in any alphabet stays."""
    text, used = drawn

    scrubbed, summary, operation, collection = analyze(text)

    assert not leaked(scrubbed), scrubbed
    assert not leaked(f"{summary} {operation} {collection}")
    assert [name for name in used if name not in scrubbed] == [], scrubbed
    assert operation in (None, "SELECT", "INSERT", "UPDATE", "DELETE")
    assert summary is not None and len(summary) <= 255


@settings(max_examples=200, deadline=None)
@given(statements_of())
def test_scrubbing_twice_is_scrubbing_once(drawn: tuple[str, list[str]]) -> None:
    """Our own span is scrubbed at the driver and looked at again at export."""
    once = scrub_sql(drawn[0])

    assert once == scrub_sql(once)


@settings(max_examples=300, deadline=None)
@given(statements_of(), st.integers(1, 400))
def test_a_truncated_statement_leaks_nothing(drawn: tuple[str, list[str]], length: int) -> None:
    """Somebody else cut the text in the middle of a literal, a comment or a name."""
    text = drawn[0][:length]

    assert not leaked(scrub_sql(text))


@settings(max_examples=300, deadline=None)
@given(statements_of(plain_names))
def test_the_fast_way_and_the_full_way_agree(drawn: tuple[str, list[str]]) -> None:
    """Three ways through a statement, of different speed: where a faster one answers, the answer is the same."""
    text = drawn[0]

    assert "".join(_walk(text, lexer_for("postgresql"))) == _replace(text, lexer_for("postgresql"))


pieces = [*"'\"`$?%:-/*\\;(){}[],. \n\t1aEé", "''", "$a$", "/*", "*/", "--", "FROM STDIN\n", "VALUES ", "IN ("]
garbage = st.lists(st.sampled_from(pieces), max_size=40).map("".join)


@pytest.mark.parametrize("dialect", ["postgresql", "mysql", "sqlite", "other_sql"])
@settings(max_examples=150, deadline=None)
@given(text=garbage)
def test_any_text_is_read_to_its_end(dialect: str, text: str) -> None:
    """Text that no server would accept raises nothing."""
    statements.forget()

    scrubbed, summary, _, _ = analyze(text, dialect)

    assert "1" not in re.sub(r"[$:?\w][\w$]*", "", scrubbed)
    assert summary is None or len(summary) <= 255


@settings(max_examples=200, deadline=None)
@given(st.text("abc '\"\\", min_size=1, max_size=12), st.sampled_from(["mysql", "mariadb"]), st.sampled_from("'\""))
def test_mysql_strings(text: str, dialect: str, quote: str) -> None:
    """Both quotes make strings there, with backslashes."""
    escaped = (text + SECRET).replace("\\", "\\\\").replace(quote, f"\\{quote}")

    assert scrub_sql(f"SELECT {quote}{escaped}{quote} FROM `t'1`", dialect) == "SELECT ? FROM `t'1`"
