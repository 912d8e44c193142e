# SPDX-License-Identifier: Apache-2.0
"""How is an exception told? Type with module, message, stack trace, as the semantic conventions ask."""

from __future__ import annotations

import traceback

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tellwhy.engine.values import Attributes


def exception_attributes(exception: BaseException, escaped: bool) -> Attributes:
    """Return the attributes of an ``exception`` event; an exception that cannot be printed has them too."""
    try:
        stacktrace = "".join(traceback.format_exception(exception))
    except Exception as error:
        stacktrace = f"<no stack trace: {type(error).__name__}>"
    return {
        "exception.type": type_of(exception),
        "exception.message": message_of(exception),
        "exception.stacktrace": stacktrace,
        "exception.escaped": str(escaped),
    }


def type_of(exception: BaseException) -> str:
    """Return the exception's type with its module, without ``builtins``."""
    kind = type(exception)
    module = kind.__module__
    return f"{module}.{kind.__qualname__}" if module and module != "builtins" else kind.__qualname__


def message_of(exception: BaseException) -> str:
    """Return ``str(exception)``; ``<unprintable>`` if that fails."""
    try:
        return str(exception)
    except Exception:
        return "<unprintable>"
