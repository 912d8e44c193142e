# SPDX-License-Identifier: Apache-2.0
"""Something is done before a function is called for the first time: for what may not happen at import yet."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_waiting: list[Callable[[], None]] = []


def before_first_call(owner: Any, name: str, action: Callable[[], object]) -> None:
    """
    Call the action right before the first call of ``owner.name``, which is itself again from then on.

    Args:

        owner: The class or module that the function is in.

        name: The function's name in it.

        action: What is done; it must not raise.
    """
    from functools import wraps  # costs 2 ms, where no library has loaded it yet

    original = getattr(owner, name)

    def restore() -> None:
        if restore in _waiting:
            _waiting.remove(restore)
            if getattr(owner, name) is first:  # somebody else may have wrapped it meanwhile
                setattr(owner, name, original)

    @wraps(original)
    def first(*args: Any, **kwargs: Any) -> Any:
        if restore in _waiting:
            restore()
            action()
        return original(*args, **kwargs)

    setattr(owner, name, first)
    _waiting.append(restore)


def forget_all() -> None:
    """Leave every function that was not called yet as it was found."""
    while _waiting:
        _waiting[-1]()
