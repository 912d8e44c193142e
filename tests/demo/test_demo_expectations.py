# SPDX-License-Identifier: Apache-2.0
"""Does the demo notice what is missing, and say it exactly?"""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from support.traces import make_span
from tellwhy.demo.expectations import TRACES, Expected, is_of, missing
from tellwhy.demo.load import ABROAD, CHECKOUT, PRODUCTS, Answer, Visit
from tellwhy.viewer.model import Span, build_trace


def spans_of(visit: Visit) -> list[Span]:
    """Make the spans that the table asks for, the last kind of each as often as it must be there."""
    ids: dict[str, int] = {}
    spans = []
    for expected in TRACES[visit]:
        for _ in range(expected.at_least):
            number = len(spans) + 1
            attributes: dict[str, object] = {"db.system.name": expected.system} if expected.system else {}
            if not expected.parent:
                attributes["http.request.header.x-request-id"] = ["demo-7"]
            spans.append(
                make_span(
                    number,
                    ids.get(expected.parent, 0),
                    number,
                    number + 1,
                    expected.name,
                    kind=expected.kind,
                    service=expected.service,
                    status="error" if expected.failed else "unset",
                    attributes=attributes,
                )
            )
            ids[expected.name] = number
    return spans


def problems_of(visit: Visit, spans: list[Span]) -> list[str]:
    """Ask what is missing from a trace of these spans."""
    return missing(visit, Answer("demo-7", visit.status), build_trace(spans))


def changed(expected: Expected, visit: Visit, **fields: object) -> list[Span]:
    """Change the span that an expectation is about."""
    return [
        replace(span, **fields) if (span.name, span.service) == (expected.name, expected.service) else span  # type: ignore[arg-type]
        for span in spans_of(visit)
    ]


@pytest.mark.parametrize("visit", TRACES, ids=lambda visit: visit.name)
def test_nothing_is_missing_from_a_whole_trace(visit: Visit) -> None:
    """The table's own spans fulfil it, in the trace of that request and no other."""
    trace = build_trace(spans_of(visit))

    assert missing(visit, Answer("demo-7", visit.status), trace) == []
    assert is_of(trace, Answer("demo-7", visit.status))
    assert not is_of(trace, Answer("demo-8", visit.status))


@pytest.mark.parametrize(
    ("visit", "expected"),
    [(visit, expected) for visit, table in TRACES.items() for expected in table if expected.parent],
    ids=str,
)
def test_each_span_of_the_table_is_missed(visit: Visit, expected: Expected) -> None:
    """Without it, one sentence names its kind, name, service and place."""
    spans = [span for span in spans_of(visit) if (span.name, span.service) != (expected.name, expected.service)]

    assert f"missing: {expected}" in problems_of(visit, spans)


def test_a_span_under_another_parent_is_misplaced() -> None:
    """With the name of the parent it has."""
    expected = next(one for one in TRACES[CHECKOUT] if one.system == "redis")
    root = spans_of(CHECKOUT)[0]

    (problem,) = problems_of(CHECKOUT, changed(expected, CHECKOUT, parent_id=root.span_id))

    assert problem == f"misplaced: {expected}, found under {root.name!r}"


def test_a_downstream_span_in_no_trace_of_ours_is_missed() -> None:
    """The call has lost its trace id on the way."""
    spans = [span for span in spans_of(CHECKOUT) if span.service == "shop"]

    (problem,) = problems_of(CHECKOUT, spans)

    assert problem == "missing: server span 'POST /charge' of bank under 'POST'"


@pytest.mark.parametrize(("visit", "status", "word"), [(ABROAD, "unset", " not marked"), (CHECKOUT, "error", "marked")])
def test_an_error_that_is_not_marked_is_a_problem_and_so_is_a_wrong_mark(visit: Visit, status: str, word: str) -> None:
    """A call that timed out without being marked is worth nothing."""
    expected = next(one for one in TRACES[visit] if one.name == "POST")

    (problem,) = problems_of(visit, changed(expected, visit, status=status))

    assert re.search(rf"^{re.escape(str(expected))} is ?{word} as an error$", problem)


def test_too_few_queries_are_counted() -> None:
    """Forty products, forty-one queries."""
    spans = spans_of(PRODUCTS)
    query = next(span for span in spans if span.name == "SELECT")

    (problem,) = problems_of(PRODUCTS, [span for span in spans if span is not query])

    assert problem.endswith("40 instead of 41")


def test_an_answer_of_another_kind_and_no_trace_are_both_told() -> None:
    """The shop is broken, and says nothing."""
    problems = missing(CHECKOUT, Answer("demo-7", 0), None)

    assert problems == [
        "the shop answered nothing, not 200",
        "no trace arrived (none has http.request.header.x-request-id=demo-7)",
    ]
