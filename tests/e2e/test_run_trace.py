# SPDX-License-Identifier: Apache-2.0
"""``TELLWHY_TRACE`` and ``trace = […]``: a program's own functions are traced without a line in them."""

from __future__ import annotations

import pytest

from support.otlp import OtlpReceiver
from support.program import Place, lines_of_ours

FILES = {
    "shop/__init__.py": "from shop.pricing import quote\n",
    "shop/pricing.py": "def quote(item):\n    return len(item)\n\nclass Basket:\n"
    "    def add(self, item): return quote(item)\n    def _weigh(self): ...\n",
    "shop/orders/__init__.py": "",
    "shop/orders/late.py": "import asyncio\n\nasync def handle_order(number):\n    await asyncio.sleep(0)\n"
    "    return number\n\ndef handle_return(number): return -number\n\ndef other(): ...\n",
    "app.py": "import asyncio\nimport shop\nfrom shop.pricing import Basket\n\ndef main():\n    Basket().add('hat')\n"
    "    import shop.orders.late as late\n    asyncio.run(late.handle_order(7)); late.handle_return(7); late.other()\n"
    "    print(shop.quote('hat'))\n\nmain()\n",
}


@pytest.fixture
def shop(place: Place) -> Place:
    for name, text in FILES.items():
        place.write(name, text)
    return place


def _names(receiver: OtlpReceiver) -> list[str]:
    return sorted(span.name for span in receiver.spans())


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        ("shop.pricing:quote", ["quote", "quote"]),
        ("shop.pricing:Basket.add", ["Basket.add"]),
        ("shop.pricing:Basket", ["Basket.add"]),
        ("shop.pricing.*", ["Basket.add", "quote", "quote"]),
        ("shop.orders.late:handle_order", ["handle_order"]),
        ("shop.orders.*", ["handle_order", "handle_return", "other"]),
        ("shop.*:handle_*", ["handle_order", "handle_return"]),
        ("shop.pricing:quote,shop.*:handle_o*", ["handle_order", "quote", "quote"]),
    ],
)
def test_functions_named_in_the_environment(
    shop: Place, receiver: OtlpReceiver, patterns: str, names: list[str]
) -> None:
    """Functions, methods, classes, coroutines and stars, in modules that are imported early or late."""
    done = shop.wrapped("python", "app.py", TELLWHY_TRACE=patterns)
    assert (done.returncode, done.stdout) == (0, "3\n"), done.stderr
    assert _names(receiver) == names
    assert len(lines_of_ours(done.stderr)) == 1


def test_functions_named_in_pyproject(shop: Place, receiver: OtlpReceiver) -> None:
    """In ``[tool.tellwhy]``, and under ``setup_tracing()`` as under the wrapper."""
    shop.write("pyproject.toml", '[tool.tellwhy]\ntrace = ["shop.pricing:quote", "shop.orders.*"]\n')
    shop.write("mine.py", "import tellwhy; tellwhy.setup_tracing()\nimport app\n")
    done = shop.run("python", "mine.py")
    assert done.returncode == 0, done.stderr
    assert _names(receiver) == ["handle_order", "handle_return", "other", "quote", "quote"]


def test_setup_after_the_import(shop: Place, receiver: OtlpReceiver) -> None:
    """Modules that are there already are traced at once."""
    shop.write(
        "mine.py",
        "import shop.pricing, tellwhy\ntellwhy.setup_tracing(trace=['shop.pricing:*'])\n"
        "print(shop.pricing.Basket().add('hat'))\n",
    )
    done = shop.run("python", "mine.py")
    assert done.stdout == "3\n", done.stderr
    assert _names(receiver) == ["Basket.add", "quote"]


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (
            "shop",
            "TELLWHY_TRACE='shop': expected module:function, module:Class.method or module:*; nothing is traced by it",
        ),
        ("shop.pricing:qoute", "TELLWHY_TRACE='shop.pricing:qoute': there is no qoute; not traced"),
        ("shop.pricing:Basket.sub", "TELLWHY_TRACE='shop.pricing:Basket.sub': there is no Basket.sub; not traced"),
        (
            "shop.prcing:quote",
            "TELLWHY_TRACE='shop.prcing:quote': there is no module shop.prcing; nothing was traced by it",
        ),
        (
            "shop.pricing:q_*",
            "TELLWHY_TRACE='shop.pricing:q_*': there is no such function in shop.pricing; nothing was traced by it",
        ),
        (
            "app:main",
            "TELLWHY_TRACE='app:main': app is the program that runs, not a module that it imports: "
            "write @traced there; nothing was traced by it",
        ),
    ],
)
def test_what_is_wrong_is_one_line(shop: Place, receiver: OtlpReceiver, pattern: str, line: str) -> None:
    """Whatever names nothing is said once, and everything else goes on."""
    done = shop.wrapped("python", "app.py", TELLWHY_TRACE=f"{pattern},shop.orders.late:other")
    assert (done.returncode, done.stdout) == (0, "3\n"), done.stderr
    assert lines_of_ours(done.stderr)[1:] == [line]
    assert _names(receiver) == ["other"]


def test_a_module_that_is_not_needed_is_no_mistake(shop: Place, receiver: OtlpReceiver) -> None:
    """A pattern for a module that exists and that this program does not import says nothing."""
    shop.write("shop/unused.py", "def run(): ...\n")
    done = shop.wrapped("python", "app.py", TELLWHY_TRACE="shop.unused:run,elsewhere.*,shop.pricing:quote")
    assert len(lines_of_ours(done.stderr)) == 1
    assert _names(receiver) == ["quote", "quote"]


@pytest.mark.parametrize("pattern", ["shop.jobs:run", "shop.*"])
def test_a_module_that_is_run_is_itself(shop: Place, pattern: str) -> None:
    """``python -m``: its loader and spec are as without tracing, and one line says why nothing is traced."""
    shop.write(
        "shop/jobs.py", "def run(): print(__name__, __spec__.name, type(__loader__), type(__spec__.loader))\nrun()\n"
    )
    bare = shop.run("python", "-m", "shop.jobs")
    done = shop.wrapped("python", "-m", "shop.jobs", TELLWHY_TRACE=pattern)
    assert (done.returncode, done.stdout) == (bare.returncode, bare.stdout)
    said = [line for line in lines_of_ours(done.stderr) if "shop.jobs is the program that runs" in line]
    assert len(said) == (pattern == "shop.jobs:run"), "the other one names functions of shop.pricing"
