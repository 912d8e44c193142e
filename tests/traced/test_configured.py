# SPDX-License-Identifier: Apache-2.0
"""Functions traced by configuration, without a line in them."""

from __future__ import annotations

import asyncio
import fnmatch
import inspect
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellwhy.manual import configured, traced, untraced
from tellwhy.manual.patterns import Pattern, matches

SOURCE = """
from os.path import join

def quote(item): return len(item)
def helper(): return quote("abc")
async def fetch(): ...
def _private(): ...

class Invoice:
    def __init__(self): self.number = 1
    def total(self): return self.number
    @staticmethod
    def rate(): return 2
    @classmethod
    def make(cls): return cls()
    @property
    def tax(self): return 0.2

LIMIT = 5
"""


@pytest.fixture
def module():
    made = types.ModuleType("shop.billing")
    exec(SOURCE, made.__dict__)
    return made


def trace_module(module, patterns):
    return configured.trace_module(module, [Pattern(pattern) for pattern in patterns])


@pytest.mark.parametrize(
    ("pattern", "modules", "others"),
    [
        ("shop.pricing:quote", ["shop.pricing"], ["shop", "shop.pricing.tax", "my.shop.pricing"]),
        ("shop.pricing.quote", ["shop.pricing"], ["shop.pricing.quote"]),
        ("shop.billing:*", ["shop.billing"], ["shop.billing.tax"]),
        ("shop.billing.*", ["shop.billing", "shop.billing.tax", "shop.billing.tax.eu"], ["shop.billings", "shop"]),
        ("shop.*:handle_*", ["shop.web", "shop.web.admin"], ["shop", "shops.web"]),
        ("*_jobs:run", ["night_jobs", "shop.day_jobs"], ["jobs", "night_jobs.x"]),
        ("app:main", ["app"], ["application"]),
    ],
)
def test_modules_to_wait_for(pattern, modules, others):
    """A pattern names one module, or with a star several, at any depth."""
    assert [name for name in modules + others if Pattern(pattern).is_in(name)] == modules


@pytest.mark.parametrize(
    "wrong",
    ["quote", "shop:", ":quote", "", "shop.pricing:quote:x", "shop pricing:quote", "shop..x:y", "shop:Inv oice.x"],
)
def test_what_is_no_pattern_is_said_once(said, wrong):
    """A pattern that cannot name a function is one line at the start; the others hold."""
    configured.trace_functions([wrong])
    (line,) = said
    assert f"TELLWHY_TRACE={wrong!r}: expected module:function" in line


@given(st.text(alphabet="ab.*", max_size=8), st.text(alphabet="ab.", max_size=10))
def test_stars_match_as_in_a_shell(pattern, name):
    """The same as ``fnmatch``, whatever the pattern."""
    assert matches(pattern, name) == fnmatch.fnmatchcase(name, pattern)


def test_one_function(made, module):
    """A named function is traced, also where its own module calls it."""
    assert trace_module(module, ["shop.billing:quote", "other:helper"]) == ["quote"]
    assert module.helper() == 3
    assert made.names == ["quote"]


def test_methods_of_all_kinds(made, module):
    """Methods, static and class methods and properties can be named."""
    paths = ["Invoice.total", "Invoice.rate", "Invoice.make", "Invoice.tax"]
    assert trace_module(module, [f"shop.billing:{path}" for path in paths]) == paths
    invoice = module.Invoice.make()
    assert (invoice.total(), invoice.rate(), module.Invoice.rate(), invoice.tax) == (1, 2, 2, 0.2)
    assert made.names == ["Invoice.make", "Invoice.total", "Invoice.rate", "Invoice.rate", "Invoice.tax"]


@pytest.mark.parametrize("pattern", ["shop.billing:*", "shop.billing.*"])
def test_all_of_a_module(made, module, pattern):
    """The star means public functions and classes of the module's own; a second time changes nothing."""
    join = module.join
    assert trace_module(module, [pattern]) == ["quote", "helper", "fetch", "Invoice"]
    trace_module(module, [pattern])
    assert module.helper() == 3
    assert module.Invoice().total() == 1
    assert made.names == ["quote", "helper", "Invoice.total"]
    assert module.join is join


def test_marked_functions_are_left_alone(made, module):
    """What is traced or untraced already stays as it is."""
    module.quote = traced("mine")(module.quote)
    module.helper = untraced(module.helper)
    assert trace_module(module, ["shop.billing:quote", "shop.billing:helper"]) == []
    module.helper()
    assert made.names == ["mine"]


@pytest.mark.parametrize("wrong", ["nope", "Invoice.nope", "LIMIT", "nope.deep.er"])
def test_what_cannot_be_traced_is_said(module, said, wrong):
    """A wrong name is warned about; the others are traced all the same."""
    assert trace_module(module, [f"shop.billing:{wrong}", "shop.billing:quote"]) == ["quote"]
    assert len([line for line in said if f"TELLWHY_TRACE='shop.billing:{wrong}': " in line]) == 1


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("shop.billing:q*", ["quote"]),
        ("shop.billing:*e*", ["quote", "helper", "fetch", "Invoice"]),
        ("shop.billing:Invoice.*", ["Invoice.total", "Invoice.rate", "Invoice.make"]),
        ("shop.billing:*.total", ["Invoice.total"]),
        ("shop.billing:I*.t*", ["Invoice.total"]),
        ("shop.billing:_*", ["_private"]),
        ("shop.billing:nothing_*", []),
    ],
)
def test_stars_in_names(module, said, pattern, names):
    """A star stands for public functions, classes and methods of the module's own; nothing found is no error yet."""
    assert trace_module(module, [pattern]) == names
    assert said == []


def test_coroutines_stay_coroutines(made, module):
    """An async function is traced as one."""
    assert trace_module(module, ["shop.billing:fetch"]) == ["fetch"]
    assert inspect.iscoroutinefunction(module.fetch)
    asyncio.run(module.fetch())
    assert made.names == ["fetch"]


def test_what_is_traced_by_hand_stays_so_without_a_word(made, said, module):
    """A class some of whose methods are traced by hand: the others are traced, and nothing is said."""
    module.Invoice.total = traced("mine")(module.Invoice.total)
    trace_module(module, ["shop.billing:*", "shop.billing:Invoice", "shop.billing:Invoice.total"])
    module.Invoice().total()
    module.Invoice.rate()
    assert made.names == ["mine", "Invoice.rate"]
    assert said == []
