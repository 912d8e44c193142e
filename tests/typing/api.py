# SPDX-License-Identifier: Apache-2.0
"""
Compile-only: what type checkers must make of tellwhy's public names. Checked by mypy and pyright, never run
(case 51).
"""

# pyright: strict, reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnusedFunction=false

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from datetime import timedelta
from typing import Annotated, Any, Generic, TypeVar, overload

from opentelemetry.trace import Link, Span, SpanKind
from typing_extensions import assert_type

import tellwhy
from tellwhy import SpanAttr, annotate, annotate_root, event, fail, span, suppressed, traced, untraced
from tellwhy.testing import CapturedSpan, FixedClock, FixedIds, Spans, capture_spans

T = TypeVar("T")


# -- @traced changes no type ------------------------------------------------------


@traced
def bare(a: int, *, b: str = "") -> bool:
    return bool(a) and bool(b)


@traced("named", kind="client", expected=(KeyError,), attributes={"a": 1, "b": lambda a: a}, capture=("a",))
def named(a: int, *, b: str = "") -> bool:
    return bool(a) and bool(b)


@traced()
async def coroutine(order_id: Annotated[str, SpanAttr("order.id")]) -> int:
    return len(order_id)


@traced
def generator(n: int) -> Generator[int, str, bool]:
    got = yield n
    return bool(got)


@traced(None, min_duration=timedelta(seconds=1), when=lambda n: n > 1, links=lambda n: [Link(n)])
async def async_generator(n: int) -> AsyncIterator[int]:
    yield n


@overload
def either(value: int) -> int: ...
@overload
def either(value: str) -> str: ...
@traced
def either(value: int | str) -> int | str:
    return value


@traced(result=lambda value: {"size": value}, new_trace=True, kind=SpanKind.SERVER, record_exception=False)
def generic(value: T, other: list[T]) -> dict[str, T]:
    return {"a": value, "b": other[0]}


@contextlib.contextmanager
@traced
def opened() -> Generator[float, None, None]:
    yield 1.0


@traced
class Shop(Generic[T]):
    def __init__(self, item: T) -> None:
        self.item = item

    @traced
    def method(self, a: int) -> T:
        return self.item

    @traced("x")
    @classmethod
    def make(cls, item: T) -> Shop[T]:
        return cls(item)

    @traced
    @staticmethod
    def static(a: int) -> str:
        return str(a)

    @classmethod
    @traced
    def make_above(cls, item: T) -> Shop[T]:
        return cls(item)

    @property
    @traced
    def name(self) -> str:
        return ""

    @untraced
    def health(self) -> bool:
        return True


@traced(methods=("get",))
class Client:
    def get(self) -> bytes:
        return b""


async def functions() -> None:
    assert_type(bare(1, b="x"), bool)
    assert_type(named(1), bool)
    assert_type(await coroutine("x"), int)
    coroutine_function: Callable[[str], Coroutine[Any, Any, int]] = coroutine
    assert_type(await coroutine_function("x"), int)
    assert_type(generator(1), Generator[int, str, bool])
    assert_type(async_generator(1), AsyncIterator[int])
    assert_type(either(1), int)
    assert_type(either("x"), str)
    assert_type(generic(1, [2]), dict[str, int])
    assert_type(generic("a", ["b"]), dict[str, str])
    with opened() as number:
        assert_type(number, float)
    bare("x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    bare()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    either(1.5)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


def classes() -> None:
    shop = Shop(3)
    assert_type(shop, Shop[int])
    assert_type(shop.method(1), int)
    assert_type(Shop[str].make("x"), Shop[str])
    assert_type(Shop[str].make_above("x"), Shop[str])
    assert_type(Shop.static(1), str)
    assert_type(shop.static(1), str)
    assert_type(shop.name, str)
    assert_type(shop.health(), bool)
    assert_type(Client().get(), bytes)
    as_type: type[Client] = Client
    as_type()
    shop.method("x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def called() -> None:
    function: Callable[[int], str] = traced(str)
    assert_type(traced(len)([1]), int)
    assert_type(traced("n")(len)([1]), int)
    function(1)
    traced("n", kind="clint")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    traced(42)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    traced(nme="n")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


# -- the rest of the manual API ----------------------------------------------------


async def manual(error: ValueError) -> None:
    with span("x", kind="client", expected=KeyError, currency="EUR", amount=1.5, tags=["a", "b"]) as one:
        assert_type(one, Span)
    async with span("x", new_trace=True) as two:
        assert_type(two, Span)
    annotate({"payment.status": "settled", "gone": None}, order_id=7)
    annotate_root({"tenant": "acme"})
    event("cache.miss", key_pattern="user:*")
    fail("declined")
    fail(error)
    with suppressed() as nothing:
        assert_type(nothing, None)
    assert_type(tellwhy.current_trace_id(), str | None)
    assert_type(tellwhy.current_span_id(), str | None)
    SpanAttr("key", get=len)
    SpanAttr(get="customer.id", redact=True)


def testing() -> None:
    with capture_spans(ids=FixedIds(), clock=FixedClock(start=1.0)) as spans:
        assert_type(spans, Spans)
    assert_type(spans["x"], CapturedSpan)
    assert_type(spans[0], CapturedSpan)
    assert_type([one.name for one in spans], list[str])
    assert_type(spans["x"].attributes, dict[str, Any])
    assert_type(spans.tree("a", "b"), str)
    spans.assert_at_most(3, spans.sql)
    spans.assert_at_most(3, "SELECT *")
