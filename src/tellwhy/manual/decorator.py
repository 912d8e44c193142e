# SPDX-License-Identifier: Apache-2.0
"""``@traced``: the decorator that makes a span of each call. What it promises stands here."""

from __future__ import annotations

from tellwhy.manual.decorate import decorate
from tellwhy.manual.functions import mark_untraced
from tellwhy.manual.options import Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta
    from typing import Any, Literal, TypeVar, overload

    from tellwhy.manual.options import Attributes, Capture, Expected, Kind, Links, Result

    # Whatever comes in goes out, as far as types are concerned: ParamSpec would lose
    # overloads, generic methods, ``self`` and class objects.
    F = TypeVar("F", bound=Callable[..., Any] | classmethod[Any, Any, Any] | staticmethod[..., Any] | property)
else:

    def overload(function):
        return function


@overload
def traced(target: F, /) -> F: ...


@overload
def traced(  # noqa: F811 - ruff does not know our overload
    name: str | None = None,
    /,
    *,
    attributes: Attributes | None = None,
    capture: Capture = "annotated",
    exclude: Sequence[str] = (),
    result: Result = False,
    kind: Kind = "internal",
    expected: Expected = (),
    record_exception: bool = True,
    new_trace: bool = False,
    links: Links | None = None,
    when: Callable[..., bool] | None = None,
    min_duration: timedelta | float | None = None,
    methods: Literal["public", "all"] | Sequence[str] = "public",
) -> Callable[[F], F]: ...


def traced(target: Any = None, /, **options: Any) -> Any:  # noqa: F811, D417 - the overloads name the arguments
    """
    Make a span of each call: ``@traced``, ``@traced("order.place", kind="client")``, ``traced(function)``.

    For functions, async functions, generators and async generators (current only
    while their bodies run), methods, static and class methods in either order,
    properties, classes, partials and callable objects. The function stays what it
    was: signature, type, return value, exceptions. Before and without
    ``setup_tracing()`` a call costs a fifth of a microsecond more than it did.

    Args:

        name: The span's name, of few values; ``Class.method`` or ``function`` by default.

        attributes: Constants, or callables whose parameter names are taken from the
            call: ``{"order.id": lambda order: order.id}``. One that raises is left out.

        capture: Which arguments become attributes: those annotated with ``SpanAttr``
            (default), those named here in addition, ``"all"``, or False for none.

        exclude: Parameters that are not captured in any case.

        result: What of the return value: a callable that gives a mapping or a scalar.

        kind: ``internal``, ``client``, ``server``, ``producer``, ``consumer``, or a ``SpanKind``.

        expected: Exceptions that are no error: the span's status stays unset.

        record_exception: Whether an error's message and stack are recorded; its type always is.

        new_trace: Start a trace of its own, with a link back to the caller's span.

        links: A callable, with parameters of the call, that gives OpenTelemetry's ``Link`` objects.

        when: A callable, with parameters of the call: no span for calls for which it is false.

        min_duration: Drop a span without children that was shorter, in seconds or a timedelta.

        methods: On a class: ``"public"``, ``"all"`` but the double-underscored, or names.

    Raises:

        DecorationError: At decoration, where it cannot work; the message says what to write.
    """
    if target is None or isinstance(target, str):
        checked = Options(target, **options)
        return lambda function: decorate(function, checked)
    return decorate(target, Options(None, **options))


def untraced(function: F) -> F:
    """Leave this method alone in a traced class: ``@untraced``."""
    marked: F = mark_untraced(function)
    return marked
