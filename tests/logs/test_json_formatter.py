"""One record, one line of strict JSON: the names of each preset, and whatever is logged."""

from __future__ import annotations

import datetime
import decimal
import enum
import io
import json
import logging
import logging.config
import logging.handlers
import queue
import sys
import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.trace import Tracer

from tellwhy.logs import JsonFormatter, correlation
from tellwhy.logs.jsonable import MAX_DEPTH, MAX_ITEMS, MAX_LENGTH, jsonable
from tellwhy.logs.layouts import severity_number


def parsed(line: str) -> dict[str, Any]:
    """Read a line as the strictest reader would: ASCII, one line, no constants, no name twice."""
    assert line.isascii()
    assert len(line.splitlines()) == 1

    def no_constant(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    def no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(pairs) == len({name for name, _ in pairs}), pairs
        return dict(pairs)

    value = json.loads(line, parse_constant=no_constant, object_pairs_hook=no_name_twice)
    json.dumps(value, ensure_ascii=False).encode()  # raises for lone surrogates
    assert isinstance(value, dict)
    return value


def record(message: object = "hello %s", *args: object, **attributes: object) -> logging.LogRecord:
    made = logging.LogRecord("shop.cart", logging.WARNING, "/srv/cart.py", 7, message, args, None)
    made.created = 1_700_000_000.123456
    made.__dict__.update(attributes)
    return made


def raised() -> Any:
    try:
        try:
            raise ValueError("inner")
        except ValueError as error:
            raise decimal.InvalidOperation("outer") from error
    except decimal.InvalidOperation:
        return sys.exc_info()


# -- names and shape


IDS = {"trace_id": "a" * 32, "span_id": "b" * 16, "trace_flags": "01", "otelServiceName": "shop"}


def test_default_preset() -> None:
    """Flat names, in this order, with the ids as OpenTelemetry asks for in JSON logs."""
    line = JsonFormatter().format(record("hello %s", "you", user="ann", exc_info=raised(), **IDS))
    exception = parsed(line).pop("exception")

    assert [
        ("timestamp", "2023-11-14T22:13:20.123456Z"),
        ("level", "WARNING"),
        ("message", "hello you"),
        ("logger", "shop.cart"),
        ("trace_id", "a" * 32),
        ("span_id", "b" * 16),
        ("trace_flags", "01"),
        ("service.name", "shop"),
        ("exception", exception),
        ("user", "ann"),
    ] == list(parsed(line).items())
    assert (exception["type"], exception["message"]) == ("decimal.InvalidOperation", "outer")
    assert exception["stacktrace"].startswith("Traceback (most recent call last):\n")
    assert "ValueError: inner" in exception["stacktrace"]


def test_ecs_preset() -> None:
    """Elastic Common Schema's names; extras beside them."""
    line = parsed(JsonFormatter(preset="ecs").format(record("x", user="ann", exc_info=raised(), **IDS)))

    assert line.pop("error.stack_trace").startswith("Traceback")
    assert line == {
        "@timestamp": "2023-11-14T22:13:20.123456Z",
        "log.level": "WARNING",
        "message": "x",
        "ecs.version": "8.11.0",
        "log.logger": "shop.cart",
        "trace.id": "a" * 32,
        "span.id": "b" * 16,
        "service.name": "shop",
        "error.type": "decimal.InvalidOperation",
        "error.message": "outer",
        "user": "ann",
    }


def test_otel_preset() -> None:
    """OpenTelemetry's log data model: extras and exception are attributes."""
    line = parsed(JsonFormatter(preset="otel").format(record("x", user="ann", exc_info=raised(), **IDS)))

    assert line["attributes"].pop("exception.stacktrace").startswith("Traceback")
    assert line == {
        "timestamp": "2023-11-14T22:13:20.123456Z",
        "severity_text": "WARNING",
        "severity_number": 13,
        "body": "x",
        "scope": {"name": "shop.cart"},
        "trace_id": "a" * 32,
        "span_id": "b" * 16,
        "trace_flags": "01",
        "resource": {"service.name": "shop"},
        "attributes": {
            "exception.type": "decimal.InvalidOperation",
            "exception.message": "outer",
            "user": "ann",
        },
    }


@pytest.mark.parametrize("preset", ["default", "ecs", "otel"])
def test_what_is_not_there_is_left_out(preset: Any) -> None:
    """Outside a span, without exception, extras and service name, only the four first are written."""
    line = parsed(JsonFormatter(preset=preset).format(record("x")))

    assert not {"trace_id", "trace.id", "exception", "service.name", "resource", "attributes"} & set(line)


@pytest.mark.parametrize(
    "level, number",
    [(0, 0), (5, 1), (10, 5), (15, 8), (20, 9), (25, 12), (30, 13), (40, 17), (50, 21), (60, 24), (None, 0)],
)
def test_severity_numbers(level: object, number: int) -> None:
    """The standard levels are OpenTelemetry's DEBUG, INFO, WARN, ERROR, FATAL; those between stay between."""
    assert number == severity_number(level)


def test_rename() -> None:
    """Fields of the line get other names, those inside ``exception`` do not."""
    formatter = JsonFormatter(rename={"level": "severity", "message": "100%", "trace_id": "trace.id"})
    line = parsed(formatter.format(record("x", exc_info=raised(), level="extra", severity="extra", **IDS)))

    assert (line["severity"], line["100%"], line["trace.id"]) == ("WARNING", "x", "a" * 32)
    assert line["exception"]["message"] == "outer"
    assert line["level"] == "extra"
    assert line["extra.severity"] == "extra"


def test_rename_to_a_name_that_is_taken() -> None:
    """Two fields of one name would be no strict JSON: it is refused when the formatter is made."""
    with pytest.raises(ValueError, match="two fields of one name"):
        JsonFormatter(rename={"level": "message"})


def test_unknown_preset() -> None:
    """A preset that does not exist is refused, with the names of those that do."""
    with pytest.raises(ValueError, match="default, ecs, otel"):
        JsonFormatter(preset="gelf")


@pytest.mark.parametrize("preset", ["default", "ecs", "otel"])
def test_extras_cannot_take_a_fields_name(preset: Any) -> None:
    """An extra that is named like a field is written beside it, as ``extra.…``."""
    names = ("timestamp", "level", "logger", "exception", "trace.id", "error.type", "exception.type", "body")
    line = parsed(JsonFormatter(preset=preset).format(record("x", **dict.fromkeys(names, "mine"))))

    def mine(fields: dict[str, Any]) -> int:
        return sum(value == "mine" for value in fields.values()) + mine(fields.get("attributes", {})) if fields else 0

    assert len(names) == mine(line)


def test_defaults_and_include() -> None:
    """Constant fields, and more attributes of the record, under their own names."""
    formatter = JsonFormatter(defaults={"env": "prod", "zone": 1}, include=["lineno", "process"])
    line = parsed(formatter.format(record("x", zone=2)))

    assert (line["env"], line["zone"], line["lineno"]) == ("prod", 2, 7)
    assert isinstance(line["process"], int)


@pytest.mark.parametrize("key", ["()", "class"])
def test_dict_config(key: str) -> None:
    """``dictConfig`` accepts it as a factory and as a class."""
    config = {
        "version": 1,
        "formatters": {"json": {key: "tellwhy.logs.JsonFormatter"}},
        "handlers": {"h": {"class": "logging.StreamHandler", "formatter": "json"}},
        "loggers": {"tests.config": {"handlers": ["h"], "propagate": False}},
    }
    logging.config.dictConfig({**config, "disable_existing_loggers": False})
    logger = logging.getLogger("tests.config")
    handler = logger.handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.stream = io.StringIO()
    logger.warning("x")

    assert parsed(handler.stream.getvalue())["message"] == "x"
    logger.handlers.clear()


# -- ids


def test_ids_with_and_without_correlation(tracer: Tracer) -> None:
    """With ids on the record, or without any installation, a line has those of its span."""
    text = io.StringIO()
    logger = logging.Logger("tests.json")
    logger.addHandler(logging.StreamHandler(text))
    logger.handlers[0].setFormatter(JsonFormatter(service_name="given"))
    with tracer.start_as_current_span("s") as span:
        logger.warning("x")
        correlation.install("fields", "installed")
        logger.warning("x")
    logger.warning("x")

    context = span.get_span_context()
    inside = (f"{context.trace_id:032x}", f"{context.span_id:016x}", f"{context.trace_flags:02x}")
    lines = [parsed(line) for line in text.getvalue().splitlines()]
    ids = [tuple(line.get(name) for name in ("trace_id", "span_id", "trace_flags")) for line in lines]
    assert [inside, inside, (None, None, None)] == ids
    assert [line["service.name"] for line in lines] == ["given", "installed", "installed"]


def test_ids_of_alternating_spans(tracer: Tracer) -> None:
    """The pieces that are kept from line to line never end up in another span's line."""
    text = io.StringIO()
    logger = logging.Logger("tests.json")
    logger.addHandler(logging.StreamHandler(text))
    logger.handlers[0].setFormatter(JsonFormatter())
    correlation.install()
    expected = []
    for _ in range(3):
        with tracer.start_as_current_span("outer") as outer:
            with tracer.start_as_current_span("inner") as inner:
                logger.warning("x")
            logger.error("x")
        expected += [f"{span.get_span_context().span_id:016x}" for span in (inner, outer)]

    assert expected == [parsed(line)["span_id"] for line in text.getvalue().splitlines()]


def test_exception_that_went_through_a_queue() -> None:
    """A queue handler leaves only the text of the traceback, in the message."""
    records: queue.Queue[logging.LogRecord] = queue.Queue()
    logging.handlers.QueueHandler(records).handle(record("x", exc_info=raised()))
    line = parsed(JsonFormatter().format(records.get_nowait()))

    assert line["message"].startswith("x\nTraceback")
    assert "exc" not in line


def test_text_of_an_exception_alone() -> None:
    """A record that has only ``exc_text`` (it was unpickled) says it as the stack trace."""
    line = parsed(JsonFormatter().format(record("x", exc_text="Traceback …")))

    assert line["exception"]["stacktrace"] == "Traceback …"


def test_stack_info() -> None:
    """``stack_info=True`` is written."""
    line = parsed(JsonFormatter().format(record("x", stack_info="Stack (most recent call last): …")))

    assert line["stack_info"].startswith("Stack")


# -- values


class Colour(enum.Enum):
    RED = 1


class Named(str, enum.Enum):
    BLUE = "blue"


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


NOW = datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.timezone.utc)


@pytest.mark.parametrize(
    "value, expected",
    [
        (None, None),
        (True, True),
        (7, 7),
        (2**63, str(2**63)),
        (-(2**63), str(-(2**63))),
        (1.5, 1.5),
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        ("\ud800x", "\ufffdx"),
        ("\ud83d\ude00", "😀"),
        ("a\u2028b\x85c\x00", "a\u2028b\x85c\x00"),
        (b"ok", "ok"),
        (b"\xff", "\\xff"),
        (bytearray(b"ok"), "ok"),
        (memoryview(b"ok"), "ok"),
        ((1, 2), [1, 2]),
        ({3}, [3]),
        ({1: "a", None: "b", (2,): "c"}, {"1": "a", "None": "b", "(2,)": "c"}),
        (NOW, "2024-02-29T12:00:00+00:00"),
        (NOW.date(), "2024-02-29"),
        (decimal.Decimal("1.10"), "1.10"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Colour.RED, "Colour.RED"),
        (Named.BLUE, "blue"),
        (enum.IntEnum("N", "A").A, 1),
        (KeyError("k"), "KeyError: 'k'"),
        (Unprintable(), "<Unprintable: str() raised RuntimeError>"),
    ],
    ids=lambda value: type(value).__name__,  # the same in every process; a repr may hold an address
)
def test_what_values_become(value: object, expected: object) -> None:
    """Every value has its place in JSON; what has none is said as text."""
    assert expected == jsonable(value)
    assert expected == parsed(JsonFormatter().format(record("x", it=value)))["it"]


def test_cycles_depth_and_size_have_bounds() -> None:
    """A cycle is named, what is too deep, too many or too long is left out, and it says so."""
    cycle: list[Any] = [1]
    cycle.append(cycle)
    assert jsonable(cycle) == [1, "<cycle: list>"]

    deep: Any = "bottom"
    for _ in range(50):
        deep = [deep]
    assert "".join(c for c in json.dumps(jsonable(deep)) if c == "[") == "[" * MAX_DEPTH

    wide = jsonable(list(range(10 * MAX_ITEMS)))
    assert wide[-1] == "..."
    assert len(wide) <= MAX_ITEMS

    branching: Any = []
    branching.extend([[branching] * 50 for _ in range(50)])
    assert len(json.dumps(jsonable(branching))) < 100_000

    long = jsonable("a" * MAX_LENGTH + "b" * MAX_LENGTH)
    assert len(long) < MAX_LENGTH + 100
    assert long.startswith("aaa")
    assert long.endswith("bbb")
    assert f"[{MAX_LENGTH} characters left out]" in long
    assert len(json.dumps(jsonable(["x" * MAX_LENGTH] * 100))) < 4 * MAX_LENGTH


def test_a_huge_message_is_bounded() -> None:
    """A message of megabytes becomes a line of kilobytes, the record's own message stays whole."""
    huge = record("x" * 5_000_000)
    line = JsonFormatter().format(huge)

    assert len(line) < 2 * MAX_LENGTH
    parsed(line)
    assert len(huge.message) == 5_000_000


def test_arguments_that_do_not_fit() -> None:
    """A message whose arguments do not fit is written with them, and with what was wrong."""
    line = parsed(JsonFormatter().format(record("%d of %d", "one")))

    assert "%d of %d ['one'] [TypeError: " in line["message"]


numbers = st.integers() | st.floats() | st.integers(min_value=2**62, max_value=10**40)
texts = st.text(alphabet=st.characters(exclude_categories=())) | st.text()
scalars = st.none() | st.booleans() | numbers | texts | st.binary() | st.builds(Unprintable) | st.dates()
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(scalars.filter(lambda key: not isinstance(key, Unprintable)), inner, max_size=4)
        | st.tuples(inner, inner)
    ),
    max_leaves=12,
)


@settings(max_examples=80, deadline=None)
@given(
    preset=st.sampled_from(["default", "ecs", "otel"]),
    message=values,
    args=values,
    extras=st.dictionaries(texts, values, max_size=5),
)
def test_any_record_is_one_line_of_strict_json(
    preset: Any, message: object, args: object, extras: dict[str, object]
) -> None:
    """Whatever is logged, formatting it does not fail and gives one line that strict readers accept."""
    made = record(message)
    made.args = args if isinstance(args, (tuple, dict)) else (args,)
    for name, value in extras.items():
        made.__dict__.setdefault(name, value)

    parsed(JsonFormatter(preset=preset, defaults={"level": 1}).format(made))


@settings(max_examples=80, deadline=None)
@given(
    attributes=st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            (
                *("name", "levelname", "levelno", "created", "exc_info", "exc_text", "stack_info"),
                *("trace_id", "span_id", "trace_flags", "otelServiceName", "otelTraceID"),
            ),
            values,
        ),
    )
)
def test_any_attribute_may_be_anything(attributes: dict[str, object]) -> None:
    """A record made by hand may have anything where the standard library puts text or numbers."""
    parsed(JsonFormatter().format(record("x", **attributes)))


@settings(max_examples=50, deadline=None)
@given(text=texts)
def test_other_formatters_text_is_one_line_too(text: str) -> None:
    """A text of another formatter becomes the message of one line of strict JSON."""
    line = parsed(JsonFormatter().format_text(record(), text))

    assert text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") == line["message"]
