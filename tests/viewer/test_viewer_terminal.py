# SPDX-License-Identifier: Apache-2.0
"""How a trace looks: the picture itself, at several widths, and that no span can break it."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.traces import exception, hostile_spans, make_span
from tellwhy.viewer.model import Span, build_trace
from tellwhy.viewer.style import ASCII, UNICODE, Style
from tellwhy.viewer.terminal import draw, legend
from tellwhy.viewer.text import width

_MESSAGE = "HTTPConnectionPool(host='127.0.0.1', port=8080): Read timed out. (read timeout=0.4)"
_REDIS = {"db.system.name": "redis", "db.query.text": "GET ?"}
_SQL = {"db.system.name": "postgresql", "db.query.text": "SELECT count(*)\n  FROM payment WHERE holder = %s"}
_CALL = {"url.full": "http://bank:8080/charge", "error.type": "ReadTimeout"}

CHECKOUT = [
    make_span(1, 0, 0, 430, "POST /checkout", kind="server", status="error",
              attributes={"http.response.status_code": 504}),
    make_span(2, 1, 2, 428, "payment.process", status="error", attributes={"payment.order_id": 1003},
              events=(exception("requests.exceptions.ReadTimeout", _MESSAGE),)),
    make_span(3, 2, 3, 3.8, "GET", kind="client", attributes=_REDIS),
    make_span(4, 2, 4, 25, "SELECT", kind="client", attributes=_SQL),
    make_span(5, 2, 26, 427, "POST", kind="client", status="error", attributes=_CALL),
    make_span(6, 5, 28, 930, "POST /charge", kind="server", service="bank",
              attributes={"http.response.status_code": 200}),
]  # fmt: skip
PICTURE = """\
✖ POST /checkout · shop · 430 ms · 6 spans                   trace 7d2b7d2b7d2b7d2b7d2b7d2b7d2b7d2b
  shop · POST /checkout 504                             430 ms ✖ ╾──────────────╴
  └─ payment.process ReadTimeout  payment.order_id=1003 426 ms ✖ ╾──────────────╴
     │  HTTPConnectionPool(host='127.0.0.1', port=8080): Read timed out. (read timeout=0.4)
     ├─ redis GET                                       800 µs   ╸
     ├─ postgresql SELECT count(*) FROM payment WHERE…   21 ms   ━
     └─ POST bank:8080/charge ReadTimeout               401 ms ✖  ╾─────────────╴
▶       └─ bank · POST /charge 200                      902 ms    ━━━━━━━━━━━━━━━╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌
  why: 399 ms of 430 ms (93%) in bank · POST /charge
       ReadTimeout in shop · POST bank:8080/charge
"""


def test_the_picture() -> None:
    """Header, tree, bars, the message once, why: all of it, cell by cell."""
    assert draw(build_trace(CHECKOUT), Style(100)) == PICTURE


def test_what_is_folded_and_what_has_not_ended() -> None:
    """A span that stands for many says how many; one that was seen while it was open says so."""
    turn = make_span(1, 0, 0, 100, "turn", attributes={"tellwhy.unfinished": True, "user": 7})
    query = make_span(
        2, 1, 5, 15, "query", attributes={"tellwhy.folded.count": 48998, "tellwhy.folded.duration.max": 1.0}
    )
    wrong = make_span(3, 1, 20, 30, "other", attributes={"tellwhy.folded.count": "many"})

    drawing = draw(build_trace([turn, query, wrong]), Style(100))

    rows = [line[2:45].rstrip() for line in drawing.splitlines()[1:4]]
    assert [re.split(r"  +", row)[0].strip() for row in rows[1:]] == ["├─ 48998 × query", "└─ other"]
    assert rows[0].lstrip("▶ ").startswith("shop · turn (not ended)  user=7")
    assert "tellwhy" not in drawing


def test_colours_change_nothing_but_colours() -> None:
    """Without its escapes, the coloured picture is the plain one."""
    colored = draw(build_trace(CHECKOUT), Style(100, color=True))

    assert colored != PICTURE
    assert [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", colored).splitlines()] == PICTURE.splitlines()


def test_many_equal_queries_are_one_row_and_the_reason() -> None:
    """An N+1 is seen at a glance."""
    spans = [make_span(1, 0, 0, 50, "GET /products", kind="server")]
    spans += [make_span(10 + n, 1, 5 + n, 5.9 + n, "SELECT", kind="client", attributes=_SQL) for n in range(40)]

    lines = draw(build_trace(spans), Style(120)).splitlines()

    assert len(lines) == 4
    reason = f"40{UNICODE.times}postgresql SELECT count(*) FROM payment WHERE holder = %s"
    assert lines[2].startswith(f"▶ └─ {reason}")
    assert lines[3] == f"  why: 36 ms of 50 ms (72%) in {reason}"


def test_an_error_that_was_dealt_with_is_shown_but_does_not_fail_the_trace() -> None:
    """A retry that worked: the row is marked, the header is not, and where it began is said."""
    spans = [make_span(1, 0, 0, 50, "GET /", kind="server")]
    spans += [
        make_span(2, 1, 5, 20, "GET", kind="client", status="error", attributes={"http.response.status_code": 503})
    ]
    spans += [make_span(3, 1, 20, 40, "GET", kind="client", attributes={"http.response.status_code": 200})]

    lines = draw(build_trace(spans), Style(100)).splitlines()

    assert lines[0].startswith("● GET /")
    assert re.match(r"  ├─ GET 503 +15 ms ✖ ", lines[2])
    assert lines[-1] == "       503 in shop · GET"


def test_a_missing_parent_is_drawn_as_such() -> None:
    """The gap is part of the picture."""
    lines = draw(build_trace([make_span(2, 9, 0, 5, "GET /", kind="server")]), Style(100)).splitlines()

    assert "  (a span that did not arrive: 0000000000000009)" in lines
    assert any(line.startswith("▶ └─ shop · GET /") for line in lines)


def test_the_trace_id_goes_below_where_the_header_is_narrow() -> None:
    """It is there to be copied, so it is never cut."""
    lines = draw(build_trace(CHECKOUT), Style(60)).splitlines()

    assert lines[1].strip() == "trace 7d2b7d2b7d2b7d2b7d2b7d2b7d2b7d2b"


def test_spans_that_have_no_row_are_counted() -> None:
    """More than a screen of rows helps nobody; silence about the rest does not either."""
    spans = [make_span(1, 0, 0, 500, "root")] + [make_span(10 + n, 1, n, n + 1, f"step {n}") for n in range(99)]

    lines = draw(build_trace(spans), Style(100), max_rows=10).splitlines()

    assert "  … and 90 more spans" in lines
    assert len(lines) == 1 + 10 + 1 + 1


@pytest.mark.parametrize("columns", [60, 80, 100, 140, 200])
@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
def test_no_line_is_wider_than_the_terminal(columns: int, glyphs: object) -> None:
    """A wrapped row is an unreadable one."""
    style = Style(columns, glyphs=glyphs)  # type: ignore[arg-type]
    drawn = draw(build_trace(CHECKOUT), style) + legend(style)

    assert max(width(line) for line in drawn.splitlines()) < columns
    assert glyphs is UNICODE or drawn.isascii()


@settings(max_examples=100, deadline=None)
@given(hostile_spans, st.integers(1, 150), st.booleans(), st.sampled_from([UNICODE, ASCII]))
def test_no_span_can_break_the_picture(spans: list[Span], columns: int, color: bool, glyphs: object) -> None:
    """Hostile names, times, ids, values: lines of text come out, no wider than asked for, and no escapes but ours."""
    drawn = draw(build_trace(spans), Style(columns, color=color, glyphs=glyphs))  # type: ignore[arg-type]
    plain = re.sub(r"\x1b\[[0-9;]*m", "", drawn)

    assert drawn.endswith("\n")
    assert color or plain == drawn
    for line in plain.splitlines():
        assert not {unicodedata.category(character) for character in line} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
        assert width(line) < max(columns, 48)


def test_a_chain_deeper_than_the_terminal_is_wide_is_drawn() -> None:
    """Guides are shortened from the left, and what is deep still has its name."""
    drawn = draw(build_trace([make_span(n, n - 1, n, 500 - n, f"level {n}") for n in range(1, 101)]), Style(80))

    assert "level 1 " in drawn
    assert max(width(line) for line in drawn.splitlines()) < 80
