# SPDX-License-Identifier: Apache-2.0
"""
What an exception makes of a span: an error, something expected, or a cancellation.

| exception                              | status | on the span                                   |
|----------------------------------------|--------|-----------------------------------------------|
| in ``expected``                        | unset  | ``error.type``                                |
| cancellation (asyncio, trio, gevent …) | unset  | ``cancelled=true``                            |
| GeneratorExit                          | unset  |                                               |
| KeyboardInterrupt                      | unset  | ``error.type``                                |
| SystemExit(0), SystemExit(None)        | unset  |                                               |
| any other                              | error  | ``error.type``, the exception with its stack  |

An exception that passes through several spans of a trace is told in full once,
by the innermost; the others have the short form, without the stack.
"""

from __future__ import annotations

import sys

from opentelemetry.trace import StatusCode

from tellwhy.manual import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from traceback import TracebackException
    from typing import Any, Final

    from opentelemetry.trace import Span

UNPRINTABLE: Final = "<unprintable>"
_MAX_MEMBERS: Final = 10  # types of an exception group that are listed
_MAX_TOLD: Final = 256  # exceptions that are remembered as told
_OUR_FOLDER: Final = __file__.rpartition("outcome")[0]

# Cancellations of loops that may be loaded; an exception of a module that is not cannot have been raised.
_CANCELLATIONS: Final = (
    ("asyncio.exceptions", "CancelledError"),
    ("concurrent.futures._base", "CancelledError"),
    ("trio", "Cancelled"),
    ("gevent", "GreenletExit"),
)

_told: dict[tuple[int, int, str, int], None] = {}


def record(span: Span, error: BaseException, expected: Any = (), *, record_exception: bool = True) -> None:
    """Write on a recording span what came out of its work."""
    if isinstance(error, GeneratorExit):
        return
    if _is_cancellation(error):
        span.set_attribute("cancelled", True)
    elif isinstance(error, (expected, KeyboardInterrupt)):
        span.set_attribute("error.type", type_name(type(error)))
    elif not (isinstance(error, SystemExit) and (error.code is None or error.code == 0)):
        failed(span, error, record_exception=record_exception)


def failed(span: Span, error: BaseException, *, record_exception: bool = True) -> None:
    """Mark a recording span as failed by an exception, told in full if it is new to the trace."""
    name, message = type_name(type(error)), _message(error)
    span.set_status(StatusCode.ERROR, f"{name}: {message}" if message else name)
    span.set_attribute("error.type", name)
    if record_exception:
        attributes: dict[str, Any] = {"exception.type": name, "exception.message": message}
        if _first_in_trace(error, name, message, span.get_span_context().trace_id):
            attributes["exception.stacktrace"] = _stack(error)
            attributes |= _members(error)
        span.add_event("exception", attributes)


def failed_because(span: Span, message: str) -> None:
    """Mark a recording span as failed without an exception."""
    span.set_status(StatusCode.ERROR, values.scrubbed(message))


def type_name(kind: type[BaseException]) -> str:
    """Return the canonical name of an exception class: with its module, unless it is a builtin."""
    module = kind.__module__
    return kind.__qualname__ if module in ("builtins", None) else f"{module}.{kind.__qualname__}"


def _is_cancellation(error: BaseException) -> bool:
    for module_name, class_name in _CANCELLATIONS:
        kind = getattr(sys.modules.get(module_name), class_name, None)
        if kind is not None and isinstance(error, kind):
            return True
    return False


def _message(error: BaseException) -> str:
    try:
        return values.scrubbed(str(error))
    except Exception:  # an exception whose __str__ raises is still an exception
        return UNPRINTABLE


def _first_in_trace(error: BaseException, name: str, message: str, trace_id: int) -> bool:
    """Tell whether the exception is new to this trace, and remember that it was seen there."""
    # Not on the exception itself: what is put into its dictionary changes how it is
    # pickled (psycopg2's then loses ``pgcode``). Nor is it kept alive: an id that is
    # given again within one trace, to the same type with the same message, is told short.
    key = (trace_id, id(error), name, hash(message))
    if key in _told:
        return False
    if len(_told) >= _MAX_TOLD:
        _told.clear()
    _told[key] = None
    return True


def _members(error: BaseException) -> dict[str, Any]:
    members = getattr(error, "exceptions", None)
    if not isinstance(members, tuple) or not members:
        return {}
    return {"exception.group.members": [type_name(type(member)) for member in members[:_MAX_MEMBERS]]}


def _stack(error: BaseException) -> str:
    """Return the stack as Python prints it, causes included, without the frames of tellwhy."""
    from traceback import StackSummary, TracebackException

    try:
        whole = TracebackException(type(error), error, error.__traceback__, compact=True)
        for part in _parts(whole):
            part.stack = StackSummary.from_list(
                [frame for frame in part.stack if not frame.filename.startswith(_OUR_FOLDER)]
            )
        return values.scrubbed("".join(whole.format()))
    except Exception:  # an exception whose parts raise when they are looked at
        return type_name(type(error))


def _parts(whole: TracebackException) -> Iterator[TracebackException]:
    """Give the exception, those that caused it and the members of a group, each once."""
    waiting, seen = [whole], set()
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        waiting += [one for one in (part.__cause__, part.__context__) if one is not None]
        waiting += getattr(part, "exceptions", None) or []
