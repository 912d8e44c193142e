# SPDX-License-Identifier: Apache-2.0
"""The pages on the manual API say what is true: their code runs, and no option is missing from them."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from pathlib import Path
from typing import Any

import tellwhy
from tellwhy.manual import SpanAttr
from tellwhy.manual.decorator import traced
from tellwhy.manual.options import Options

DOCS = Path(__file__).parents[2] / "docs"
HOW_TO = (DOCS / "how-to" / "trace-your-own-code.md").read_text(encoding="utf-8")
REFERENCE = (DOCS / "reference" / "traced.md").read_text(encoding="utf-8")


def code_of(page: str) -> str:
    return "\n\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))


def test_the_how_to_runs(spans: Any) -> None:
    """Its code, top to bottom, makes the spans that it speaks of."""
    names: dict[str, Any] = {"__name__": "page"}
    exec(code_of(HOW_TO), names)

    assert asyncio.run(names["place"]("ada", ["socks"])) == "placed for 9.99"
    names["charge"](7, 9.99, "4111 1111 1111 1111")
    names["pay"](["socks", "hat"], "EUR")
    names["checkout"]([])
    names["ship"](7)
    try:
        names["reserve"]("unicorn")
    except names["OutOfStock"]:
        pass
    names["index"]([])
    names["cached"]("a")
    names["Warehouse"]().pick("socks")
    names["Warehouse"]().ping()
    names["nightly"]()
    with names["transaction"]():
        pass

    assert spans.tree("order.id", "amount", "currency", "order.lines", "payment.status", "cart.size", "tenant") == (
        inspect.cleandoc(
            """
            order.place
              quote
            charge order.id=7 amount=9.99
            pay currency=EUR order.lines=2 payment.status=settled
            checkout cart.size=0 tenant=acme !empty cart
            label.print
            reserve
            Warehouse.pick
            report.nightly
            transaction
            """
        )
    )
    assert not any("4111" in str(span.attributes) for span in spans)


def test_every_option_is_in_the_reference() -> None:
    """Each option of ``traced``, ``SpanAttr`` and ``span``, and each name of the manual API, has its row."""
    rows = set(re.findall(r"^\| `([a-z_]+)", REFERENCE, re.MULTILINE))
    options = set(inspect.signature(Options).parameters)
    assert options <= rows
    assert set(inspect.signature(SpanAttr).parameters) <= rows
    for name in ("span", "annotate", "annotate_root", "event", "fail", "suppressed", "untraced", "current_trace_id"):
        assert name in rows
        assert hasattr(tellwhy, name)
    for name in inspect.signature(tellwhy.span).parameters:
        assert name in REFERENCE


def test_defaults_in_the_reference_are_the_codes() -> None:
    """Where the table gives a default, it is that of the overload."""
    tree = ast.parse(inspect.getsource(inspect.getmodule(traced)))  # type: ignore[arg-type]
    overloads = [one for one in tree.body if isinstance(one, ast.FunctionDef) and one.name == "traced"]
    arguments = overloads[1].args
    told = dict(re.findall(r"^\| `([a-z_]+)`(?: \(positional\))? \| ([^|]+) \|", REFERENCE, re.MULTILINE))
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        value = ast.literal_eval(default)  # type: ignore[arg-type]
        shown = "none" if value in (None, ()) else f'`"{value}"`' if isinstance(value, str) else f"`{value}`"
        assert told[argument.arg] == shown
