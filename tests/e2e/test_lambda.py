# SPDX-License-Identifier: Apache-2.0
"""A function in AWS Lambda's own runtime client, frozen with SIGSTOP at each reply: nothing waits for a thaw."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from faults.receiver import FaultyReceiver, accept, hang
from support.aws_lambda import Runtime
from support.otlp import OtlpReceiver
from support.program import Place, Running, wait_until

pytestmark = pytest.mark.skipif(find_spec("awslambdaric") is None, reason="awslambdaric has no wheel for every Python")

FUNCTION = """
import time
from tellwhy import span

def handler(event, context):
    with span("invocation", number=event["number"]):
        with span("work"):
            time.sleep(event.get("seconds", 0))
        if event.get("boom"):
            raise ValueError("boom")
    return {"number": event["number"]}
"""
BY_HAND = "from tellwhy import setup_tracing\nsetup_tracing()\n"
CLIENT = ("python", "-m", "awslambdaric", "function.handler")


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as running:
        yield running


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, AWS_LAMBDA_FUNCTION_NAME="shop", AWS_LAMBDA_LOG_FORMAT="JSON")


@contextmanager
def function(place: Place, endpoint: str, *command: str, code: str = FUNCTION) -> Iterator[tuple[Runtime, Running]]:
    """Run the function as Lambda does, its process frozen whenever it has replied."""
    place.write("function.py", code)
    with Runtime() as runtime:
        variables = {"AWS_LAMBDA_RUNTIME_API": runtime.address, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
        with place.start(*command, **variables) as running:
            runtime.pid = running.process.pid
            yield runtime, running


def numbers(receiver: OtlpReceiver) -> list[object]:
    return [span.attributes["number"] for span in receiver.spans() if span.name == "invocation"]


@pytest.mark.parametrize("way", ["wrapper", "by hand"])
def test_each_invocation_arrives_before_its_reply(place: Place, receiver: OtlpReceiver, way: str) -> None:
    """Frozen at once, thawed by the next event alone: each trace is complete before anybody has the reply."""
    command = ("tellwhy", "run", *CLIENT) if way == "wrapper" else CLIENT
    code = FUNCTION if way == "wrapper" else BY_HAND + FUNCTION
    with function(place, receiver.endpoint, *command, code=code) as (runtime, running):
        for number in range(3):
            kind, reply, _ = runtime.invoke({"number": number})

            assert (kind, reply) == ("response", {"number": number}), running.stderr
            assert numbers(receiver) == list(range(number + 1)), running.stderr
            assert len(receiver.spans()) == 2 * (number + 1)
    assert {span.service for span in receiver.spans()} == {"shop"}


def test_an_error_is_a_reply_too(place: Place, receiver: OtlpReceiver) -> None:
    """A handler that raises: its spans are there before its error is posted."""
    with function(place, receiver.endpoint, "tellwhy", "run", *CLIENT) as (runtime, running):
        kind, reply, _ = runtime.invoke({"number": 7, "boom": True})

        assert (kind, reply["errorMessage"]) == ("error", "boom"), running.stderr
        assert numbers(receiver) == [7]


def test_an_invocation_that_takes_too_long(place: Place, receiver: OtlpReceiver) -> None:
    """Lambda kills it without a signal: what was open is there by then, marked; the next process starts afresh."""
    with function(place, receiver.endpoint, "tellwhy", "run", *CLIENT) as (runtime, running):
        runtime.invoke({"number": 0})
        runtime.send({"number": 1, "seconds": 60}, seconds=1.5)
        wait_until(lambda: len(receiver.spans()) == 4, "the spans that were open")
        running.process.send_signal(signal.SIGKILL)
        found = {span.name: span for span in receiver.spans()[2:]}

        assert found["invocation"].attributes == {"number": 1, "tellwhy.unfinished": True}
        assert found["work"].attributes["tellwhy.unfinished"] is True
        assert "internal fault" not in running.stderr
        assert found["work"].parent_span_id == found["invocation"].span_id


def test_a_hanging_receiver_holds_no_reply_back_for_long(place: Place) -> None:
    """The exit budget for the first reply, less for each that follows; the spans are kept, and arrive with a later one."""
    place.environ["TELLWHY_EXIT_BUDGET"] = "1000"
    with (
        FaultyReceiver(hang) as hanging,
        function(place, hanging.endpoint, "tellwhy", "run", *CLIENT) as (runtime, running),
    ):
        waits = []
        for number in range(4):
            waits.append(runtime.invoke({"number": number})[2])

        assert waits[0] < 1.0 + 2.0, running.stderr  # with the start of the process
        assert waits[3] < 0.9
        hanging.go_away()
        hanging.behave = accept
        hanging.come_back()
        deadline = time.monotonic() + 20
        while hanging.unique < 2 * number + 2 and time.monotonic() < deadline:
            number += 1
            runtime.invoke({"number": number})

        assert hanging.unique == 2 * number + 2


def test_the_deadline_is_the_function_s(place: Place) -> None:
    """With 300 ms left, no flush takes longer than that, whatever the budget: the reply must get out."""
    place.environ["TELLWHY_EXIT_BUDGET"] = "20000"
    with (
        FaultyReceiver(hang) as hanging,
        function(place, hanging.endpoint, "tellwhy", "run", *CLIENT) as (runtime, _),
    ):
        started = time.monotonic()
        kind, _, _ = runtime.invoke({"number": 0}, seconds=3.0)

        assert kind == "response"
        assert time.monotonic() - started < 3.0 + 2.0


def test_outside_lambda_nothing_is_touched(place: Place, receiver: OtlpReceiver) -> None:
    """The runtime client in any other process, a test of the user's for one, stays as it is."""
    code = (
        "import tellwhy; tellwhy.setup_tracing()\n"
        "from awslambdaric.lambda_runtime_client import LambdaRuntimeClient as client\n"
        "print(hasattr(client.post_invocation_result, '__wrapped__'))\n"
    )
    place.write("program.py", code)
    done = place.run("python", "program.py", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint)

    assert done.stdout == "False\n", done.stderr


def test_shutdown_leaves_the_runtime_client_as_it_was(place: Place, receiver: OtlpReceiver) -> None:
    """All that was wrapped is the client's own again."""
    code = (
        "from awslambdaric.lambda_runtime_client import LambdaRuntimeClient as client\n"
        "found = dict(vars(client)), client.wait_next_invocation\n"
        "import tellwhy; tellwhy.setup_tracing()\n"
        "assert client.wait_next_invocation is not found[1]\n"
        "tellwhy.shutdown()\n"
        "assert (dict(vars(client)), client.wait_next_invocation) == found\n"
        "print('as it was')\n"
    )
    place.write("program.py", code)
    done = place.run(
        "python", "program.py", AWS_LAMBDA_RUNTIME_API="127.0.0.1:9", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint
    )

    assert done.stdout == "as it was\n", done.stderr
