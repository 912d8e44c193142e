# SPDX-License-Identifier: Apache-2.0
"""What may be asked of ``@traced``, and is it asked rightly: all misuse fails here, at decoration."""

from __future__ import annotations

from tellwhy.errors import DecorationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta
    from typing import Any, Final, Literal

    from opentelemetry.trace import Link, SpanKind

    Scalar = str | bool | int | float
    AttrValue = Scalar | Sequence[str] | Sequence[bool] | Sequence[int] | Sequence[float]
    Kind = SpanKind | Literal["internal", "client", "server", "producer", "consumer"]
    Expected = type[BaseException] | tuple[type[BaseException], ...]
    Attributes = Mapping[str, AttrValue | Callable[..., AttrValue | None]]
    Result = Callable[[Any], Mapping[str, AttrValue | None] | AttrValue | None] | Literal[False]
    Capture = Literal[False, "annotated", "all"] | Sequence[str]
    Links = Callable[..., Sequence[Link]]

KINDS: Final = ("internal", "client", "server", "producer", "consumer")


class UnknownNameError(DecorationError, ValueError):
    """A parameter that the decorated function does not have is named."""


class SpanAttr:
    """
    Marks a parameter whose value becomes an attribute of the span.

    ``def place(order_id: Annotated[str, SpanAttr("order.id")], card: str)``: nothing
    but what is marked is captured, unless ``@traced(capture=...)`` asks for more.

    Args:

        key: The attribute's name; the parameter's own name by default.

        get: What is taken from the value: a callable, or a path of attribute names
            such as ``"customer.id"``. If it raises, the attribute is left out.

        redact: Record that there was a value, as ``[redacted]``, and not which.
    """

    __slots__ = ("get", "key", "redact")

    def __init__(
        self,
        key: str | None = None,
        *,
        get: Callable[[Any], AttrValue | None] | str | None = None,
        redact: bool = False,
    ) -> None:
        self.key = key
        self.get = get
        self.redact = redact

    def __repr__(self) -> str:
        return f"SpanAttr({self.key!r}, get={self.get!r}, redact={self.redact!r})"


class Options:
    """The keywords of one ``@traced``, checked; what they mean stands at ``traced`` itself."""

    __slots__ = (
        "attributes",
        "capture",
        "exclude",
        "expected",
        "kind",
        "links",
        "methods",
        "min_duration_ns",
        "name",
        "new_trace",
        "record_exception",
        "result",
        "when",
    )

    def __init__(
        self,
        name: str | None = None,
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
        methods: Literal["public", "all"] | Sequence[str] | None = None,
    ) -> None:
        self.name = name
        self.attributes = _checked_attributes(attributes)
        self.capture = _checked_capture(capture)
        self.exclude = _names("exclude", exclude)
        self.result = _callable_or("result", result, False, "result=lambda order: order.status")
        self.kind = checked_kind(kind)
        self.expected = checked_expected(expected)
        self.record_exception = record_exception
        self.new_trace = new_trace
        self.links = _callable_or("links", links, None, "links=lambda message: [Link(message.context)]")
        self.when = _callable_or("when", when, None, "when=lambda order: order.total > 100")
        self.min_duration_ns = _nanoseconds(min_duration)
        self.methods = methods if methods in (None, "public", "all") else _names("methods", methods)

    def named(self) -> tuple[str, ...]:
        """Return the parameters that ``capture`` names one by one."""
        return self.capture if isinstance(self.capture, tuple) else ()

    def for_method(self, name: str, parameters: Sequence[str]) -> Options:
        """Return a copy for one method of a traced class: its own name, and what it has of the parameters."""
        copy = Options.__new__(Options)
        for slot in Options.__slots__:
            setattr(copy, slot, getattr(self, slot))
        copy.name = name
        copy.methods = None
        copy.exclude = tuple(name for name in self.exclude if name in parameters)
        if isinstance(self.capture, tuple):
            copy.capture = tuple(name for name in self.capture if name in parameters)
        return copy


def checked_kind(kind: Any) -> Any:
    """Return the kind if it is one of the five words or a ``SpanKind``; raise DecorationError if not."""
    if kind in KINDS or type(kind).__name__ == "SpanKind":
        return kind
    raise DecorationError(f"kind={kind!r}: expected a SpanKind or one of {', '.join(map(repr, KINDS))}")


def checked_expected(expected: Any) -> Any:
    """Return the exception class, or tuple of them; raise DecorationError for anything else."""
    for one in expected if isinstance(expected, tuple) else (expected,):
        if not (isinstance(one, type) and issubclass(one, BaseException)):
            raise DecorationError(f"expected={expected!r}: write a tuple of exception classes, (KeyError,)")
    return expected


def _checked_attributes(attributes: Any) -> dict[str, Any]:
    if attributes is None:
        return {}
    try:
        checked = dict(attributes)
    except (TypeError, ValueError):
        checked = None
    if checked is None or not all(isinstance(key, str) for key in checked):
        raise DecorationError(f'attributes={attributes!r}: write a mapping of names to values, {{"order.type": "web"}}')
    return checked


def _checked_capture(capture: Any) -> Any:
    if capture is False or capture in ("annotated", "all"):
        return capture
    if capture is True:
        raise DecorationError('capture=True: write capture="all", or name the parameters: capture=("order_id",)')
    return _names("capture", capture)


def _names(keyword: str, names: Any) -> tuple[str, ...]:
    if isinstance(names, str):
        raise DecorationError(f"{keyword}={names!r}: write a sequence of names, {keyword}=({names!r},)")
    try:
        checked = tuple(names)
    except TypeError:
        checked = None
    if checked is None or not all(isinstance(name, str) for name in checked):
        raise DecorationError(f'{keyword}={names!r}: write a sequence of names, {keyword}=("order_id",)')
    return checked


def _callable_or(keyword: str, value: Any, absent: object, example: str) -> Any:
    if value is absent or callable(value):
        return value
    raise DecorationError(f"{keyword}={value!r}: expected a callable, such as {example}")


def _nanoseconds(duration: Any) -> int:
    if duration is None:
        return 0
    seconds = duration.total_seconds() if hasattr(duration, "total_seconds") else duration
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds < 1e9:
        raise DecorationError(f"min_duration={duration!r}: expected seconds or a timedelta, not negative")
    return int(seconds * 1e9)
