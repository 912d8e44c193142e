# SPDX-License-Identifier: Apache-2.0
"""Functions traced by configuration, without a line in them."""

from __future__ import annotations

import types

import pytest

from tellwhy.manual import traced, untraced
from tellwhy.manual.configured import module_names, trace_module

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


def test_modules_to_wait_for():
    """The modules are what stands before the colon, or before the last dot."""
    patterns = ["shop.pricing:quote", "shop.billing.*", "shop.billing:Invoice.total", "app:main"]
    assert module_names(patterns) == ["shop.pricing", "shop.billing", "app"]


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
    assert len([line for line in said if f"trace: shop.billing:{wrong}: " in line]) == 1
