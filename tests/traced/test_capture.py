# SPDX-License-Identifier: Apache-2.0
"""Which arguments and results become attributes, and as what."""

from __future__ import annotations

import datetime
import decimal
import enum
import functools
import pathlib
import uuid
from collections import deque
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tellwhy.manual import SpanAttr, annotate, counts, span, traced, values

if TYPE_CHECKING:
    from nowhere import Missing

OrderId = Annotated[int, SpanAttr("order.id")]


def captured(span):
    return {key: value for key, value in span.attributes.items() if not key.startswith("code.")}


def test_only_what_is_annotated_is_captured(made):
    """By default nothing but annotated parameters is captured (rule 3)."""

    @traced
    def place(
        order: OrderId,
        card: str,
        amount: Annotated[float, SpanAttr()] = 9.5,
        *,
        to: Annotated[str, SpanAttr("ship.to")],
    ): ...

    place(7, "4111", to="Rome")
    assert captured(made["place"]) == {"order.id": 7, "amount": 9.5, "ship.to": "Rome"}


def test_annotation_in_every_place(made):
    """Optional annotations, bare ``SpanAttr`` and aliases behind strings are understood (case 35)."""

    @traced
    def place(a: Annotated[int, SpanAttr], b: OrderId | None, c: Annotated[int, SpanAttr("c")] | None = None): ...

    place(1, 2, c=3)
    assert captured(made["place"]) == {"a": 1, "order.id": 2, "c": 3}


def test_unresolvable_annotation_costs_only_itself(made, said):
    """A name that exists for type checkers only skips its parameter, with one debug line (case 35)."""

    @traced
    def place(order: OrderId, who: Annotated[Missing, SpanAttr("who")]): ...

    place(1, 2)
    place(3, 4)
    assert [captured(one) for one in made.spans] == [{"order.id": 1}, {"order.id": 3}]
    assert len([line for line in said if "who" in line]) == 1
    where = f"{__name__}.{place.__qualname__}.who"
    assert "Missing" in counts.unresolved[where]


def test_capture_by_name_all_and_none(made):
    """``capture`` names parameters, takes all, or none; ``exclude`` always wins (rule 3)."""

    def place(self, order: OrderId, card, note=None, *items, **more): ...

    for options, expected in (
        ({"capture": ("card",)}, {"order.id": 1, "card": "x"}),
        ({"capture": "all"}, {"order.id": 1, "card": "x", "items.count": 1, "more.keys": ("k",)}),
        ({"capture": "all", "exclude": ("card", "items")}, {"order.id": 1, "more.keys": ("k",)}),
        ({"capture": False}, {}),
        ({"exclude": ["order"]}, {}),
    ):
        made.spans.clear()
        traced("place", **options)(place)(object(), 1, "x", None, 9, k=1)
        assert captured(made["place"]) == expected


def test_defaults_and_positional_only(made):
    """A default that applies is captured like an argument."""

    @traced(capture="all")
    def place(a, /, b=2, *, c=3): ...

    place(1)
    place(1, c=5)
    assert [captured(one) for one in made.spans] == [{"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 2, "c": 5}]


def test_partial_method_and_object(made):
    """Capture works on partials, bound methods, callable objects and below other decorators."""

    class Shop:
        def place(self, order: OrderId, card): ...

        def __call__(self, order: OrderId): ...

    def keeping(function):
        @functools.wraps(function)
        def kept(*args, **kwargs):
            return function(*args, **kwargs)

        return kept

    traced("a")(functools.partial(Shop().place, card=1))(7)
    traced("b")(Shop().place)(8, card=1)
    traced("c")(Shop())(9)
    traced("d")(keeping(Shop().place))(10, 1)
    assert [captured(one) for one in made.spans] == [{"order.id": number} for number in (7, 8, 9, 10)]


def test_get_and_redact(made):
    """``get`` takes a part of the value by callable or path; ``redact`` records only that there was one."""

    class Customer:
        id = 5

    class Order:
        customer = Customer()
        guest = None

    @traced
    def place(
        order: Annotated[Any, SpanAttr("customer", get="customer.id")],
        size: Annotated[list, SpanAttr("size", get=len)],
        card: Annotated[Any, SpanAttr("card", redact=True)] = None,
        broken: Annotated[Any, SpanAttr("broken", get="no.such")] = 1,
    ): ...

    before = counts.attributes_failed
    place(Order(), [1, 2], "4111")
    place(Order(), [])
    assert [captured(one) for one in made.spans] == [
        {"customer": 5, "size": 2, "card": "[redacted]"},
        {"customer": 5, "size": 0},
    ]
    assert counts.attributes_failed == before + 2


def test_constant_and_computed_attributes(made):
    """``attributes`` are constants or callables that pick the call's parameters by name."""

    @traced(
        attributes={
            "type": "web",
            "id": lambda order: order["id"],
            "sum": lambda order, amount: order["id"] + amount,
            "defaulted": lambda order, missing="d": missing,
            "none": lambda: None,
        }
    )
    def place(order, /, amount=2): ...

    place({"id": 5})
    assert captured(made["place"]) == {"type": "web", "id": 5, "sum": 7, "defaulted": "d"}


def test_failing_callables_do_no_harm(made, said):
    """A callable that raises leaves its attribute out, is counted, and the call goes on (case 36)."""
    before = counts.attributes_failed

    @traced(
        attributes={"bad": lambda order: order.nope, "good": lambda order: order},
        result=lambda value: 1 / 0,
        links=lambda order: order.nope,
        when=lambda order: order.nope,
    )
    def place(order):
        return order

    assert place(3) == 3
    assert captured(made["place"]) == {"good": 3}
    assert counts.attributes_failed == before + 4
    assert counts.stats()["attributes_failed"] == before + 4


def test_result(made):
    """``result`` turns what is returned into one attribute or several (rule 10)."""
    traced("one", result=lambda value: value * 2)(lambda: 4)()
    traced("many", result=lambda value: {"a": value, "b": None, "c": "x" * 300})(lambda: 4)()
    traced("none", result=lambda value: None)(lambda: 4)()

    assert captured(made["one"]) == {"result": 8}
    assert captured(made["many"]) == {"a": 4, "c": "x" * 256}
    assert captured(made["none"]) == {}


def test_value_is_taken_before_the_body_changes_it(made):
    """An argument that the body changes is captured as it came (case 37)."""

    @traced(capture="all")
    def place(items):
        items.append("changed")

    place(["a"])
    assert captured(made["place"]) == {"items": ("a",)}


class Color(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Word(str, enum.Enum):
    HI = "hi"


class Text(str):
    def __str__(self):
        raise RuntimeError("never called")

    __repr__ = __str__


class Number(int):
    __repr__ = Text.__str__
    __str__ = Text.__str__


class Pair(NamedTuple):
    a: int
    b: int


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", "text"),
        (True, True),
        (3, 3),
        (1.5, 1.5),
        (None, None),
        (Color.RED, "red"),
        (Level.HIGH, 3),
        (Word.HI, "hi"),
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (decimal.Decimal("1.10"), "1.10"),
        (datetime.date(2024, 2, 3), "2024-02-03"),
        (datetime.datetime(2024, 2, 3, 4), "2024-02-03T04:00:00"),
        (datetime.timedelta(seconds=5), "0:00:05"),
        (pathlib.PurePosixPath("/etc"), "/etc"),
        (b"12345", "<5 bytes>"),
        (bytearray(2), "<2 bytes>"),
        (["a", "b"], ("a", "b")),
        ((1, 2), (1, 2)),
        ([], ()),
        ([Color.RED], ("red",)),
        ([1, "a"], "list"),
        ([[1], [2]], "list"),
        ([None], "list"),
        (Pair(1, 2), "Pair"),
        ({"a": 1}, "dict"),
        ({1, 2}, "set"),
        (deque([1]), "deque"),
        (Text("t"), "t"),
        (Number(4), 4),
        (object(), "object"),
        ("x" * 300, "x" * 256),
        ([1] * 200, (1,) * 128),
        (10**30, 10**30),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_values_become(value, expected):
    """Scalars and flat sequences stay; what has one meaning is text; the rest is its type's name (rule 4)."""
    shown = values.clean("key", value)

    assert shown == expected
    assert type(shown) is type(expected)


def test_hand_written_strings_are_not_cut(made):
    """``annotate`` and ``span`` cut nothing off: the span's own limits do."""
    with span("work", long="x" * 300):
        annotate(longer="y" * 400)

    assert {key: len(value) for key, value in made["work"].attributes.items()} == {"long": 300, "longer": 400}


class Touchy:
    """Something that must not be touched: a queryset, a numpy array, a lazy proxy."""

    touched = 0

    def _touch(self, *args, **kwargs):
        Touchy.touched += 1
        raise RuntimeError("touched")

    __iter__ = __len__ = __repr__ = __str__ = __bool__ = __eq__ = __hash__ = __getitem__ = _touch
    __getattr__ = __contains__ = __int__ = __float__ = __index__ = _touch
    __class__ = property(_touch)


def test_unknown_objects_are_never_touched(made):
    """No method of an unknown object is called, not even by way of ``isinstance`` (case 39)."""
    traced("a", capture="all")(lambda thing, things: None)(Touchy(), [Touchy()])
    with span("b", thing=Touchy()):
        annotate(other=Touchy())

    assert captured(made["a"]) == {"thing": "Touchy", "things": ("Touchy",)}
    assert captured(made["b"]) == {"thing": "Touchy", "other": "Touchy"}
    assert Touchy.touched == 0


def test_long_text_is_cut_before_it_is_worked_on(made):
    """A huge string costs no more than a long one (case 39)."""
    traced("a", capture="all")(lambda text: None)("x" * 50_000_000)

    assert len(made["a"].attributes["text"]) == 256


PARAMETERS = st.text("abc_é", min_size=1, max_size=3).filter(str.isidentifier)


@settings(max_examples=150, deadline=None)
@given(
    names=st.lists(PARAMETERS, min_size=1, max_size=6, unique=True),
    positional_only=st.integers(0, 6),
    first_keyword=st.integers(0, 6),
    defaults=st.integers(0, 6),
    variadic=st.tuples(st.booleans(), st.booleans()),
    args=st.lists(st.integers(), max_size=6),
    kwargs=st.dictionaries(PARAMETERS, st.integers(), max_size=4),
)
def test_any_signature_binds_as_python_binds_it(
    names, positional_only, first_keyword, defaults, variadic, args, kwargs
):
    """For any signature and call, what is captured is what the function sees, or Python's own error comes."""
    from tellwhy.testing import capture_spans

    keyword_only = names[first_keyword:]
    positional = names[:first_keyword]
    parts = [f"{name}={i}" if i >= len(positional) - defaults else name for i, name in enumerate(positional)]
    if 0 < positional_only <= len(parts):
        parts.insert(positional_only, "/")
    parts += ["*args_"] if variadic[0] else ["*"] if keyword_only else []
    parts += keyword_only
    parts += ["**kwargs_"] if variadic[1] else []
    scope: dict[str, Any] = {}
    exec(f"def function({', '.join(parts)}): return {{**locals()}}", scope)
    function = scope["function"]

    def outcome(call):
        try:
            return call(*args, **kwargs)
        except TypeError as error:
            return str(error)

    with capture_spans() as spans:
        seen = outcome(traced("f", capture="all")(function))
    assert seen == outcome(function)
    if isinstance(seen, dict):
        got = {key: value for key, value in spans["f"].attributes.items() if not key.startswith("code.")}
        expected = {name: seen[name] for name in names}
        if variadic[0]:
            expected["args_.count"] = len(seen["args_"])
        if seen.get("kwargs_"):
            expected["kwargs_.keys"] = tuple(seen["kwargs_"])
        assert got == expected


@settings(max_examples=200, deadline=None)
@given(
    value=st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text()
        | st.binary()
        | st.dates()
        | st.decimals()
        | st.uuids()
        | st.characters(categories=["Cs"]),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner) | st.sets(st.integers())
        ),
        max_leaves=20,
    )
)
def test_any_value_becomes_an_attribute_or_nothing(value):
    """Whatever the value, what is shown is a short scalar or a flat sequence of one type."""
    shown = values.clean("key", value)

    if isinstance(shown, tuple):
        assert len({type(item) for item in shown}) <= 1
        assert len(shown) <= values.MAX_ITEMS
    items = shown if isinstance(shown, tuple) else (shown,)
    assert all(type(item) in (str, int, float, bool, type(None)) for item in items)
    assert all(len(item) <= values.MAX_TEXT for item in items if type(item) is str)
