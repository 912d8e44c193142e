# SPDX-License-Identifier: Apache-2.0
"""What exceptions make of spans."""

from __future__ import annotations

import asyncio
import dataclasses
import sys

import pytest
from opentelemetry.trace import StatusCode

from tellwhy.manual import event, fail, span, traced


def run(made, error, **options):
    """The span of a function that raised this; the very exception must have come out."""

    @traced("work", **options)
    def work():
        raise error

    with pytest.raises(type(error)) as caught:
        work()
    assert caught.value is error
    return made["work"]


def told(span):
    return [dict(event.attributes) for event in span.events]


def test_error_is_recorded_with_type_message_and_stack(made):
    """An exception makes the status an error and is recorded as the semantic conventions ask."""
    span = run(made, ValueError("no such order"))

    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "ValueError: no such order"
    assert span.attributes["error.type"] == "ValueError"
    (event,) = told(span)
    assert event["exception.type"] == "ValueError"
    assert event["exception.message"] == "no such order"
    assert event["exception.stacktrace"].startswith("Traceback (most recent call last):")
    assert event["exception.stacktrace"].rstrip().endswith("ValueError: no such order")


def test_stored_stack_has_none_of_our_frames_and_the_real_one_has_one(made):
    """The wrapper is one frame in the program's traceback and none in the stored stack (case 49)."""

    @traced
    def inner():
        raise ValueError("deep")

    @traced
    def outer():
        inner()

    with pytest.raises(ValueError, match="deep") as caught:
        outer()

    frames = [entry.path.name for entry in caught.traceback]
    assert frames == ["test_exceptions.py", "calls.py", "test_exceptions.py", "calls.py", "test_exceptions.py"]
    stack = told(made["inner"])[0]["exception.stacktrace"]
    assert "tellwhy/manual" not in stack.replace("tests/traced", "")
    assert "in inner" in stack


def test_keyboard_interrupt_is_no_error(made):
    """KeyboardInterrupt ends the span without an error (case 7)."""
    span = run(made, KeyboardInterrupt())

    assert span.status.status_code is StatusCode.UNSET
    assert span.attributes["error.type"] == "KeyboardInterrupt"
    assert told(span) == []


@pytest.mark.parametrize("code", [0, None])
def test_successful_exit_is_no_error(made, code):
    """SystemExit that means success leaves the status unset (case 8)."""
    span = run(made, SystemExit(code))

    assert span.status.status_code is StatusCode.UNSET
    assert "error.type" not in span.attributes


@pytest.mark.parametrize("code", [1, "usage: …", 3])
def test_failing_exit_is_an_error(made, code):
    """SystemExit with a code or a message is an error (case 8)."""
    assert run(made, SystemExit(code)).status.status_code is StatusCode.ERROR


def test_generator_exit_out_of_a_function_is_no_error(made):
    """GeneratorExit that leaves a normal function leaves the status unset (case 9)."""
    assert run(made, GeneratorExit()).status.status_code is StatusCode.UNSET


def test_stop_iteration_out_of_a_function_is_an_error(made):
    """StopIteration that leaves a normal function is an error like any other (case 9)."""
    span = run(made, StopIteration(3))

    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "StopIteration"


@pytest.mark.parametrize("expected", [(LookupError,), LookupError, (TypeError, KeyError)])
def test_expected_exception_is_no_error(made, expected):
    """An exception in ``expected`` is told by its type only (case 10)."""
    span = run(made, KeyError("order"), expected=expected)

    assert span.status.status_code is StatusCode.UNSET
    assert span.attributes["error.type"] == "KeyError"
    assert told(span) == []


def test_one_exception_through_five_spans_is_told_in_full_once(made):
    """The innermost span has the stack, the other four say it in short (case 11)."""

    def make(name, inner):
        @traced(name)
        def level():
            return inner()

        return level

    def raises():
        raise ValueError("once")

    level = raises
    for name in ("one", "two", "three", "four", "five"):
        level = make(name, level)
    with pytest.raises(ValueError, match="once"):
        level()

    assert made.names == ["one", "two", "three", "four", "five"]
    assert ["exception.stacktrace" in told(span)[0] for span in made.spans] == [True] + [False] * 4
    assert {span.status.status_code for span in made.spans} == {StatusCode.ERROR}
    assert {span.attributes["error.type"] for span in made.spans} == {"ValueError"}


def test_same_exception_in_two_traces_is_told_in_full_in_both(made):
    """An exception object that is raised again in another trace is new there (case 11)."""
    error = ValueError("kept")
    for name in ("first", "second"):
        with pytest.raises(ValueError, match="kept"), span(name):
            raise error

    assert ["exception.stacktrace" in told(one)[0] for one in made.spans] == [True, True]


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    order: int


class Slots(Exception):
    __slots__ = ("order",)


@pytest.mark.parametrize("error", [Frozen(7), Slots("x"), OSError(2, "gone"), UnicodeDecodeError("u", b"x", 0, 1, "y")])
def test_mark_never_fails_and_is_not_seen(made, error):
    """Frozen, slotted and builtin exceptions are recorded and remain as they were (case 11)."""
    text = (str(error), repr(error), error.args)
    recorded = run(made, error)

    assert "exception.stacktrace" in told(recorded)[0]
    assert (str(error), repr(error), error.args) == text


def test_cause_is_in_the_stack(made):
    """``raise X from Y`` is an X whose stack includes Y (case 12)."""

    @traced
    def work():
        try:
            {}["missing"]
        except KeyError as error:
            raise ValueError("bad order") from error

    with pytest.raises(ValueError, match="bad order"):
        work()

    (event,) = told(made["work"])
    assert event["exception.type"] == "ValueError"
    assert "KeyError: 'missing'" in event["exception.stacktrace"]
    assert "direct cause" in event["exception.stacktrace"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups came with Python 3.11")
def test_group_lists_its_first_ten_members(made):
    """An ExceptionGroup lists the types of up to ten members (case 12)."""
    group = eval("ExceptionGroup")("many", [ValueError(n) for n in range(8)] + [KeyError(n) for n in range(8)])
    (event,) = told(run(made, group))

    assert list(event["exception.group.members"]) == ["ValueError"] * 8 + ["KeyError"] * 2


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("never print me")


def test_unprintable_exception_is_recorded_and_goes_on(made):
    """An exception whose ``__str__`` raises has its type recorded and reaches the caller (case 13)."""
    span = run(made, Unprintable())

    (event,) = told(span)
    assert event["exception.type"].endswith("Unprintable")
    assert event["exception.message"] == "<unprintable>"
    assert span.status.description.endswith("<unprintable>")


def test_exception_type_has_its_module(made):
    """A type that is no builtin is told with its module, as the semantic conventions ask."""
    assert run(made, Frozen(1)).attributes["error.type"] == f"{__name__}.Frozen"


def test_exception_without_record(made):
    """``record_exception=False`` keeps message and stack out; type and status stay."""
    span = run(made, ValueError("x"), record_exception=False)

    assert told(span) == []
    assert span.attributes["error.type"] == "ValueError"


def test_no_reference_is_kept_to_an_exception(made):
    """After the call neither the span nor a frame keeps the exception's objects alive."""
    import gc
    import weakref

    class Big:
        pass

    @traced
    def work(big):
        raise ValueError

    @traced
    def steps(big):
        yield big
        raise ValueError

    gc.collect()
    gc.disable()
    try:
        for call in (work, lambda big: list(steps(big))):
            big = Big()
            gone = weakref.ref(big)
            try:
                call(big)
            except ValueError:
                pass
            del big
            assert gone() is None
    finally:
        gc.enable()


def test_fail_marks_by_message(made):
    """``fail("…")`` marks the current span as failed without an exception."""

    @traced
    def work():
        fail("provider declined")
        return 1

    assert work() == 1
    assert made["work"].status.status_code is StatusCode.ERROR
    assert made["work"].status.description == "provider declined"
    assert told(made["work"]) == []


def test_fail_marks_by_exception(made):
    """``fail(error)`` records an exception that is swallowed."""

    @traced
    def work():
        try:
            raise ValueError("swallowed")
        except ValueError as error:
            fail(error)

    work()
    assert made["work"].attributes["error.type"] == "ValueError"
    assert "exception.stacktrace" in told(made["work"])[0]


def test_event(made):
    """``event`` notes something on the current span."""
    with span("work"):
        event("cache.miss", key_pattern="user:*", name="x", nothing=None)

    (noted,) = made["work"].events
    assert (noted.name, dict(noted.attributes)) == ("cache.miss", {"key_pattern": "user:*", "name": "x"})


def test_concurrent_future_cancellation_is_none(made):
    """A cancelled future's error is a cancellation too."""
    from concurrent.futures import CancelledError

    for error in (CancelledError(), asyncio.CancelledError()):
        made.spans.clear()
        span = run(made, error)
        assert span.attributes["cancelled"] is True
        assert span.status.status_code is StatusCode.UNSET
