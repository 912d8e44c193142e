# SPDX-License-Identifier: Apache-2.0
"""Which spans must a trace of the demo have? One declared table, and what is missing from a trace in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tellwhy.demo.load import ABROAD, CHECKOUT, PRODUCTS, REQUEST_ID, Answer, Visit
from tellwhy.viewer.describe import system
from tellwhy.viewer.model import Span, Trace

# Semantic conventions keep the header's dashes; the contrib instrumentations write underscores.
_CAPTURED: Final = tuple(f"http.request.header.{name}" for name in (REQUEST_ID, REQUEST_ID.replace("-", "_")))
_CHECKOUT_ROUTE: Final = "POST /checkout/<int:order_id>"


@dataclass(frozen=True, slots=True)
class Expected:
    """
    A span that must be there.

    ``name`` is the first word of its name or all of it, ``system`` the database that it talks to, ``parent`` the
    name of the span above it, empty for the root.
    """

    service: str
    kind: str
    name: str
    parent: str
    system: str = ""
    failed: bool = False
    at_least: int = 1

    def __str__(self) -> str:
        where = f"under {self.parent!r}" if self.parent else "as the root"
        what = f"{self.kind} span {self.name!r}" + (f" ({self.system})" if self.system else "")
        return f"{what} of {self.service} {where}"


TRACES: Final[Mapping[Visit, Sequence[Expected]]] = {
    PRODUCTS: (
        Expected("shop", "server", "GET /products", ""),
        Expected("shop", "client", "GET", "GET /products", system="redis"),
        Expected("shop", "client", "SELECT", "GET /products", system="postgresql", at_least=41),
        Expected("shop", "client", "SET", "GET /products", system="redis"),
    ),
    CHECKOUT: (
        Expected("shop", "server", _CHECKOUT_ROUTE, ""),
        Expected("shop", "internal", "payment.process", _CHECKOUT_ROUTE),
        Expected("shop", "client", "SET", "payment.process", system="redis"),
        Expected("shop", "client", "SELECT", "payment.process", system="postgresql"),
        Expected("shop", "client", "POST", "payment.process"),
        Expected("bank", "server", "POST /charge", "POST"),
        Expected("shop", "client", "INSERT", "payment.process", system="postgresql"),
    ),
    ABROAD: (
        Expected("shop", "server", _CHECKOUT_ROUTE, "", failed=True),
        Expected("shop", "internal", "payment.process", _CHECKOUT_ROUTE, failed=True),
        Expected("shop", "client", "SET", "payment.process", system="redis"),
        Expected("shop", "client", "SELECT", "payment.process", system="postgresql"),
        Expected("shop", "client", "POST", "payment.process", failed=True),
        Expected("bank", "server", "POST /charge", "POST"),
    ),
}


def is_of(trace: Trace, answer: Answer) -> bool:
    """Tell whether a trace is that of a request: its entry span has captured the request's id."""
    return any(trace.entry.attributes.get(key) == [answer.request_id] for key in _CAPTURED)


def missing(visit: Visit, answer: Answer, trace: Trace | None) -> list[str]:
    """Say, one sentence each, what of a visit's trace is missing or wrong; nothing if all is there."""
    problems = []
    if answer.status != visit.status:
        problems.append(f"the shop answered {answer.status or 'nothing'}, not {visit.status}")
    if trace is None:
        return [*problems, f"no trace arrived (none has {_CAPTURED[0]}={answer.request_id})"]
    return problems + [problem for expected in TRACES[visit] if (problem := _problem(expected, trace))]


def _problem(expected: Expected, trace: Trace) -> str:
    found = [span for span in trace.spans if _fits(expected, span)]
    names = {span.span_id: span.name for span in trace.spans}
    placed = [span for span in found if _is_named(names.get(span.parent_id, span.parent_id), expected.parent)]
    right = [span for span in placed if span.is_error == expected.failed]
    if len(right) >= expected.at_least:
        return ""
    if not found:
        return f"missing: {expected}"
    if not placed:
        parents = {names.get(span.parent_id, span.parent_id or "nothing") for span in found}
        return f"misplaced: {expected}, found under {', '.join(map(repr, sorted(parents)))}"
    if not right:
        return f"{expected} is {'not ' if expected.failed else ''}marked as an error"
    return f"missing: {expected}, {len(right)} instead of {expected.at_least}"


def _fits(expected: Expected, span: Span) -> bool:
    return (
        span.service == expected.service
        and span.kind == expected.kind
        and system(span) == expected.system
        and _is_named(span.name, expected.name)
    )


def _is_named(name: str, expected: str) -> bool:
    """Compare names; instrumentations differ in what they put behind the first word of a client's."""
    return name == expected or (" " not in expected and bool(expected) and name.split(" ")[0] == expected)
