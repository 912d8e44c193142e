# SPDX-License-Identifier: Apache-2.0
"""``@traced`` on a class."""

from __future__ import annotations

import dataclasses
import enum
from typing import NamedTuple, Protocol, runtime_checkable

import pytest

from tellwhy.errors import DecorationError
from tellwhy.manual import traced, untraced


class Base:
    def inherited(self):
        return 1


def test_class_is_the_same_and_its_public_methods_are_traced(made):
    """The class stays the same object; public functions, static and class methods make spans (case 27)."""

    class Shop(Base):
        def __init__(self):
            self.ready = True

        def open(self):
            return self._door()

        def _door(self):
            return "door"

        @staticmethod
        def rate():
            return 0.2

        @classmethod
        def make(cls):
            return cls()

        @property
        def name(self):
            return "shop"

        @untraced
        def health(self):
            return "ok"

        @untraced
        @staticmethod
        def ping():
            return "pong"

        class Inner:
            def method(self): ...

    original = Shop
    assert traced(Shop) is original
    shop = Shop.make()
    assert isinstance(shop, Shop)
    assert (shop.open(), shop.rate(), Shop.rate(), shop.name, shop.health(), shop.ping(), shop.inherited()) == (
        ("door", 0.2, 0.2, "shop", "ok", "pong", 1)
    )
    Shop.Inner().method()
    assert made.names == ["Shop.make", "Shop.open", "Shop.rate", "Shop.rate"]
    assert "inherited" not in vars(Shop)


def test_all_methods_and_named_methods(made):
    """``methods="all"`` includes the private ones, never the double-underscored; names choose (case 27)."""

    def make():
        class Shop:
            def __init__(self): ...
            def open(self): ...
            def _door(self): ...
            def __lock(self): ...
            def use(self):
                self.open()
                self._door()
                self.__lock()

        return Shop

    traced(methods="all")(make())().use()
    assert made.names == ["Shop.open", "Shop._door", "Shop._Shop__lock", "Shop.use"]
    made.spans.clear()
    traced("s", methods=("_door",))(make())().use()
    assert made.names == ["s._door"]
    with pytest.raises(DecorationError, match="no such method of its own, only: __init__, open"):
        traced(methods=("dor",))(make())


def test_options_hold_for_every_method(made):
    """Options of the class are those of its methods; captured names must exist somewhere."""

    def make():
        class Shop:
            def open(self, key): ...
            def close(self): ...

        return Shop

    shop = traced(capture=("key",), kind="server")(make())()
    shop.open(7)
    shop.close()
    assert made["Shop.open"].attributes["key"] == 7
    assert {one.kind.name for one in made.spans} == {"SERVER"}
    with pytest.raises(DecorationError, match="no traced method has such a parameter"):
        traced(exclude=("nope",))(make())


def test_traced_method_in_a_traced_class(made, said):
    """The method's own ``@traced`` counts, one span is made, and it is said once (case 30)."""

    @traced(kind="server")
    class Shop:
        @traced("shop.open", kind="client")
        def open(self): ...

        def close(self): ...

    Shop().open()
    Shop().close()
    assert made.names == ["shop.open", "Shop.close"]
    assert made["shop.open"].kind.name == "CLIENT"
    assert [line for line in said if "of their own" in line] == [
        "tellwhy: Shop: open have a @traced of their own, and that counts"
    ]


def test_subclass_of_a_traced_class(made):
    """A subclass of a traced class is not traced itself; what it inherits is (case 32)."""

    @traced
    class Shop:
        def open(self): ...

    class Kiosk(Shop):
        def close(self): ...

    Kiosk().open()
    Kiosk().close()
    assert made.names == ["Shop.open"]


def test_dataclass(made):
    """A dataclass in either order: methods traced, the generated ones not (case 28)."""

    @traced(methods="all")
    @dataclasses.dataclass(order=True)
    class Order:
        number: int

        def total(self):
            return self.number

    @dataclasses.dataclass(frozen=True)
    @traced
    class Fixed:
        number: int

        def total(self):
            return self.number

    assert (Order(2).total(), Order(1) < Order(2), repr(Order(3))[-16:]) == (2, True, ".Order(number=3)")
    assert Fixed(5).total() == 5
    assert made.names == ["Order.total", "Fixed.total"]


def test_enum(made):
    """Members of an Enum stay members; its methods are traced (case 28)."""

    @traced(methods="all")
    class Color(enum.Enum):
        RED = 1

        def shout(self):
            return self.name

        def _generate_next_value_(name, start, count, last):
            return name

    assert Color.RED.shout() == "RED"
    assert [*Color] == [Color(1)]
    assert made.names == ["Color.shout"]


def test_pydantic_model(made):
    """A Pydantic model's fields, validators and private machinery are untouched (case 28)."""
    pydantic = pytest.importorskip("pydantic")

    @traced(methods="all")
    class Order(pydantic.BaseModel):
        number: int
        _cache: dict = pydantic.PrivateAttr(default_factory=dict)

        @pydantic.field_validator("number")
        @classmethod
        def positive(cls, value):
            assert value > 0
            return value

        @pydantic.field_serializer("number")
        def as_text(self, value):
            return str(value)

        def total(self):
            return self.number * 2

    assert Order(number=3).total() == 6
    assert Order(number=3).model_dump() == {"number": "3"}
    assert Order(number=1).as_text(2) == "2"
    with pytest.raises(pydantic.ValidationError):
        Order(number=-1)
    assert set(Order.model_fields) == {"number"}
    assert made.names == ["Order.total"]


def test_protocol_and_named_tuple(made):
    """Protocols keep their check, named tuples their own methods (case 28)."""

    @traced
    @runtime_checkable
    class Closes(Protocol):
        def close(self): ...

    @traced(methods="all")
    class Point(NamedTuple):
        x: int

        def double(self):
            return self.x * 2

    class Door:
        def close(self): ...

    assert isinstance(Door(), Closes)
    assert not isinstance(3, Closes)
    assert (Point(2).double(), Point(2)._replace(x=3), Point._make([4])) == (4, Point(3), Point(4))
    assert made.names == ["Point.double"]
