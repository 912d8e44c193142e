# SPDX-License-Identifier: Apache-2.0
"""What ``@traced`` can be put on, how it is written, and what it refuses."""

from __future__ import annotations

import functools
import inspect
from abc import ABC, abstractmethod

import pytest
from opentelemetry.trace import SpanKind

from tellwhy import diagnostics
from tellwhy.errors import DecorationError, TellwhyError
from tellwhy.manual import SpanAttr, span, traced, untraced


def plain(a, b=2):
    """Add."""
    return a + b


def test_ways_to_write_it(made):
    """Bare, called, named, with None, and as a plain call: all work (case 1)."""
    for decorator in (traced, traced(), traced("n"), traced(None)):
        assert decorator(plain)(1) == 3
    assert traced(plain, kind="client")(1, b=1) == 2

    assert made.names == ["plain", "plain", "n", "plain", "plain"]


@pytest.mark.parametrize("wrong", [42, 4.2, [], {"name": "x"}, object()])
def test_what_is_no_name_and_no_function(wrong):
    """A first argument that is neither name nor callable is a TypeError that says what to write (case 1)."""
    with pytest.raises(TypeError, match="span's name") as caught:
        traced(wrong)
    assert isinstance(caught.value, DecorationError)
    assert isinstance(caught.value, TellwhyError)


def test_coroutine_object_is_refused():
    """Decorating the result of a call in place of the function is refused."""

    async def work(): ...

    coroutine = work()
    with pytest.raises(DecorationError, match="put it on a function"):
        traced(coroutine)
    coroutine.close()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kind": "clint"}, "'client'"),
        ({"kind": 3}, "SpanKind"),
        ({"expected": "KeyError"}, "tuple of exception classes"),
        ({"expected": (KeyError, 3)}, "tuple of exception classes"),
        ({"capture": "order_id"}, r"capture=\('order_id',\)"),
        ({"capture": True}, 'capture="all"'),
        ({"capture": [1]}, "sequence of names"),
        ({"exclude": "a"}, r"exclude=\('a',\)"),
        ({"attributes": 7}, "mapping"),
        ({"attributes": {1: 2}}, "mapping"),
        ({"result": True}, "lambda"),
        ({"when": 1}, "lambda"),
        ({"links": []}, "lambda"),
        ({"min_duration": -1}, "not negative"),
        ({"min_duration": "1s"}, "seconds or a timedelta"),
        ({"min_duration": float("nan")}, "seconds or a timedelta"),
        ({"methods": "all"}, "for classes"),
        ({"capture": ("c",)}, "no such parameter, only: a, b"),
        ({"exclude": ("c",)}, "no such parameter"),
        ({"attributes": {"x": lambda order: order}}, "'order'"),
        ({"when": lambda order: order}, "'order'"),
        ({"links": lambda order: order}, "'order'"),
    ],
)
def test_misuse_fails_at_decoration(options, said):
    """Every wrong option is told where it is written, with what is right."""
    with pytest.raises(DecorationError, match=said):
        traced(**options)(plain)


def test_unknown_parameter_is_a_value_error_too():
    """A parameter that does not exist can be caught as ValueError."""
    with pytest.raises(ValueError, match="no such parameter"):
        traced(capture=("nope",))(plain)


def test_unknown_option_is_a_type_error():
    """A misspelt option is Python's own TypeError."""
    with pytest.raises(TypeError, match="atributes"):
        traced(atributes={})


def test_function_looks_as_before(made):
    """Name, documentation, signature, annotations and the original are kept (case 40)."""

    def place(order_id: int, *, card: str = "x") -> bool:
        """Place it."""

    place.extra = 5
    made_of = traced(place)

    assert made_of.__wrapped__ is place
    assert made_of.__name__ == "place"
    assert made_of.__qualname__ == place.__qualname__
    assert made_of.__doc__ == "Place it."
    assert made_of.__module__ == __name__
    assert made_of.__annotations__ == place.__annotations__
    assert inspect.signature(made_of) == inspect.signature(place)
    assert made_of.extra == 5


def test_code_attributes(made):
    """A span says where its function stands."""
    traced(plain)(1)

    assert made["plain"].attributes["code.function.name"] == f"{__name__}.plain"
    assert made["plain"].attributes["code.file.path"] == __file__
    assert made["plain"].attributes["code.line.number"] == plain.__code__.co_firstlineno


@pytest.mark.parametrize("kind", ["client", "server", "producer", "consumer", "internal"])
def test_kinds(made, kind):
    """A kind is a word or OpenTelemetry's enum."""
    traced("word", kind=kind)(plain)(1)
    traced("enum", kind=SpanKind[kind.upper()])(plain)(1)
    with span("block", kind=kind):
        pass

    assert {one.kind for one in made.spans} == {SpanKind[kind.upper()]}


def test_partial_and_callable_object(made):
    """Partials and callable objects are traced under their function's or class's name (case 24)."""

    class Adder:
        def __call__(self, a, b):
            return a + b

    adder = traced(Adder())
    partial = traced(functools.partial(plain, b=5))

    assert (adder(1, 2), partial(1)) == (3, 6)
    assert made.names == ["Adder", "plain"]
    assert inspect.signature(partial) == inspect.signature(functools.partial(plain, b=5))


def test_builtin(made):
    """A builtin can be traced."""
    assert traced(len)([1, 2]) == 2
    assert made.names == ["len"]


def test_cached_function_keeps_its_methods(made):
    """``@traced`` above ``@lru_cache`` keeps ``cache_info`` and ``cache_clear``."""

    @traced
    @functools.lru_cache
    def square(number):
        return number * number

    assert [square(3), square(3)] == [9, 9]
    assert square.cache_info().hits == 1
    square.cache_clear()
    assert square.cache_info().hits == 0
    assert made.names == ["square", "square"]


class Methods:
    @traced
    def method(self, a=1):
        return (type(self).__name__, a)

    @traced
    @staticmethod
    def static_below(a=1):
        return a

    @staticmethod
    @traced
    def static_above(a=1):
        return a

    @traced
    @classmethod
    def class_below(cls, a=1):
        return (cls.__name__, a)

    @classmethod
    @traced
    def class_above(cls, a=1):
        return (cls.__name__, a)

    @traced
    @property
    def value(self):
        """The value."""
        return 7

    @value.setter
    def value(self, new):
        self.new = new

    @functools.cached_property
    @traced
    def cached(self):
        return object()


class Child(Methods):
    @traced
    def method(self, a=1):
        return super().method(a)


def test_methods_in_either_order(made):
    """Static and class methods work in both orders, through class and instance (case 25)."""
    for owner in (Methods, Methods()):
        assert owner.static_below(3) == owner.static_above(3) == 3
        assert owner.class_below(4) == owner.class_above(4) == ("Methods", 4)
    assert Child.class_below() == ("Child", 1)
    assert Methods().method(2) == ("Methods", 2)
    assert set(made.names) == {
        "Methods.static_below",
        "Methods.static_above",
        "Methods.class_below",
        "Methods.class_above",
        "Methods.method",
    }
    assert isinstance(vars(Methods)["static_below"], staticmethod)
    assert isinstance(vars(Methods)["class_below"], classmethod)


def test_properties(made):
    """A property stays one, its getter traced; ``cached_property`` is right above (case 26)."""
    methods = Methods()
    methods.value = 3

    assert (methods.value, methods.new) == (7, 3)
    assert Methods.value.__doc__ == "The value."
    assert methods.cached is methods.cached
    assert made.names == ["Methods.value", "Methods.cached"]


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (functools.cached_property(plain), "@cached_property above @traced"),
        (functools.singledispatch(plain), "write it below"),
        (functools.singledispatchmethod(plain), "@singledispatchmethod above @traced"),
        (functools.partialmethod(plain), "partialmethod"),
        (property(None), "without getter"),
    ],
)
def test_wrong_order_is_refused_with_the_right_one(target, said):
    """What a wrapper would break is refused, and the message says the right order (case 26)."""
    with pytest.raises(DecorationError, match=said):
        traced(target)


def test_dispatcher_works_above(made):
    """``singledispatch`` above ``@traced`` works (case 26)."""

    @functools.singledispatch
    @traced
    def show(value):
        return "any"

    @show.register
    @traced
    def _(value: int):
        return "int"

    assert (show("x"), show(1)) == ("any", "int")


def test_abstract_method_stays_abstract():
    """A traced abstract method is still abstract (case 29)."""

    class Shop(ABC):
        @traced
        @abstractmethod
        def open(self): ...

        @abstractmethod
        @traced
        def close(self): ...

    assert Shop.__abstractmethods__ == {"open", "close"}
    with pytest.raises(TypeError, match="abstract"):
        Shop()


def test_decorated_twice(made, said):
    """Twice decorated is traced once, by the inner options, and said once (case 30)."""
    twice = traced("outer")(traced("inner")(plain))

    assert twice(1) == 3
    assert made.names == ["inner"]
    assert [line for line in said if "twice" in line] == ["tellwhy: plain is traced twice: the inner @traced counts"]


def test_warnings_can_be_silenced(said):
    """What is said at decoration is tellwhy's own voice: ``TELLWHY_DIAGNOSTICS=quiet`` silences it (rule 10)."""
    diagnostics.configure("quiet")
    traced(traced(plain))
    assert said == []


def test_wrapper_of_another_is_not_taken_for_ours(made):
    """A decorator between two ``@traced``, such as a retry, gives a span each."""

    def retry(function):
        @functools.wraps(function)
        def again(*args):
            function(*args)
            return function(*args)

        return again

    assert traced("all")(retry(traced("each")(plain)))(1) == 3
    assert made.names == ["each", "each", "all"]


def test_recursion_makes_a_span_each(made):
    """A recursive function has a span for each call (case 31)."""

    @traced
    def count(down):
        return 0 if down == 0 else 1 + count(down - 1)

    assert count(4) == 4
    assert made.names == ["count"] * 5


def test_super_has_its_own_name(made):
    """An override and the method it calls are told apart (case 32)."""
    assert Child().method() == ("Child", 1)
    assert made.names == ["Methods.method", "Child.method"]
    assert made.parent_of(made["Methods.method"]) == "Child.method"


def test_wrong_arguments_are_pythons_own_error(made):
    """Wrong arguments raise the very TypeError that the function itself raises (case 33)."""

    def place(order_id, *, card): ...

    for arguments in ((), (1,), (1, 2)):
        with pytest.raises(TypeError) as plainly:
            place(*arguments)
        with pytest.raises(TypeError) as traced_one:
            traced(capture="all", attributes={"x": lambda order_id: order_id})(place)(*arguments)
        assert str(traced_one.value) == str(plainly.value)
    assert {one.attributes["error.type"] for one in made.spans} == {"TypeError"}


def test_parameter_names_do_not_clash(made):
    """Any name may be a parameter's, and every kind of parameter works (case 34)."""

    @traced(capture="all")
    def odd(name, span, /, self, fn, args, site, *items, kwargs, len, put, **more):
        return (name, span, self, fn, args, site, items, kwargs, len, put, more)

    assert odd(1, 2, 3, fn=4, args=5, site=6, kwargs=7, len=8, put=9, name="n", scope=10) == (
        (1, 2, 3, 4, 5, 6, (), 7, 8, 9, {"name": "n", "scope": 10})
    )
    captured = {key: value for key, value in made["odd"].attributes.items() if not key.startswith("code.")}
    assert captured == {
        "name": 1,
        "span": 2,
        "fn": 4,
        "args": 5,
        "site": 6,
        "items.count": 0,
        "kwargs": 7,
        "len": 8,
        "put": 9,
        "more.keys": ("name", "scope"),
    }


def test_registered_objects_are_left_alone(made, said):
    """Above a Celery task or click command: not traced, nothing broken, and said where it belongs (case 40)."""
    import celery
    import click

    @click.command()
    def command(): ...

    @celery.Celery("x").task
    def task(): ...

    @pytest.fixture
    def fixture(): ...

    for registered in (command, task, fixture):
        assert traced(registered) is registered
    assert ["@traced below it" in line for line in said] == [True, True, True]


def test_function_with_an_attribute_of_a_framework_is_a_function(made):
    """A plain function that a framework put an attribute on, as RQ does, is traced."""

    def job(): ...

    job.delay = print
    traced(job)()
    assert made.names == ["job"]


def test_frameworks_see_the_function(made):
    """Flask, FastAPI, click, Celery and pytest work with traced functions as with plain ones (case 40)."""
    import celery
    import click.testing
    import flask
    from fastapi import Depends, FastAPI
    from starlette.routing import Route

    app = flask.Flask("x")

    @app.get("/orders/<int:number>")
    @traced
    def order(number):
        return {"number": number}

    assert app.test_client().get("/orders/3").json == {"number": 3}
    assert app.view_functions["order"] is order

    api = FastAPI()

    @traced
    def database():
        yield "connection"

    @api.get("/items/{number}")
    @traced
    async def item(number: int, connection: str = Depends(database)): ...

    route = next(route for route in api.routes if isinstance(route, Route) and route.path == "/items/{number}")
    assert [parameter.name for parameter in route.dependant.path_params] == ["number"]
    assert route.dependant.dependencies[0].call is database

    @click.command()
    @click.argument("name")
    @traced
    def greet(name):
        click.echo(name)

    assert click.testing.CliRunner().invoke(greet, ["you"]).output == "you\n"

    @celery.Celery("y").task
    @traced
    def double(number):
        return number * 2

    assert double(4) == 8
    assert double.name.endswith(".double")


def test_untraced_marks_and_returns_the_same():
    """``@untraced`` gives back the very function, method or descriptor."""

    def work(): ...

    static = staticmethod(work)
    assert untraced(work) is work
    assert untraced(static) is static
    with pytest.raises(DecorationError, match="put it on a function"):
        untraced(len)


def test_spanattr_shows_itself():
    """A ``SpanAttr`` can be read in an error message."""
    assert repr(SpanAttr("order.id", redact=True)) == "SpanAttr('order.id', get=None, redact=True)"
