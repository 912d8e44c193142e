# SPDX-License-Identifier: Apache-2.0
"""Is something done before the first call of a function, and is the function itself again after that?"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tellwhy.patchers.first_call import before_first_call, forget_all


class Handler:
    """Something with a method that is called more than once."""

    def load(self, number: int, *, twice: bool = False) -> int:
        """Return a number, or its double."""
        return number * 2 if twice else number


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    """The class is as written before each test and after it."""
    original = Handler.load
    yield
    forget_all()
    assert Handler.load is original


def test_action_comes_before_the_first_call_only() -> None:
    """It runs once, before the function, whose arguments and result pass through; then nothing of it is left."""
    original = Handler.load
    seen: list[str] = []

    before_first_call(Handler, "load", lambda: seen.append("action"))
    assert seen == []
    assert Handler().load(3, twice=True) == 6
    assert seen == ["action"]
    assert Handler.load is original
    assert Handler().load(3) == 3
    assert seen == ["action"]


def test_function_looks_like_itself_meanwhile() -> None:
    """Name and docstring are the function's own."""
    before_first_call(Handler, "load", lambda: None)

    assert (Handler.load.__name__, Handler.load.__doc__) == ("load", "Return a number, or its double.")


def test_forgotten() -> None:
    """After ``forget_all`` the function is itself and nothing waits, also for who kept the wrapped one."""
    seen: list[str] = []
    before_first_call(Handler, "load", lambda: seen.append("action"))
    kept = Handler.load

    forget_all()

    assert kept(Handler(), 1) == 1
    assert seen == []


def test_wrapped_by_somebody_else_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrapper that somebody put around it stays, and the action still runs once."""
    seen: list[str] = []
    before_first_call(Handler, "load", lambda: seen.append("action"))
    inner = Handler.load
    with monkeypatch.context() as patch:
        patch.setattr(Handler, "load", lambda self, number: inner(self, number) + 100)

        assert Handler().load(1) == 101
        assert Handler().load(1) == 101
    forget_all()
    Handler.load = inner.__wrapped__  # type: ignore[attr-defined, method-assign]

    assert seen == ["action"]
