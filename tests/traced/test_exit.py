# SPDX-License-Identifier: Apache-2.0
"""What is still open when the program ends: traced functions, generators and blocks, in a real process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.otlp import OtlpReceiver
from support.program import Place, lines_of_others

OPEN_AT_EXIT = """
import threading, time
import tellwhy
from tellwhy import traced
tellwhy.setup_tracing(service_name="open")

@traced
def waiting():
    ready.set()
    time.sleep(60)

@traced
def steps():
    yield 1
    yield 2

@traced
async def updates():
    yield 1
    yield 2

ready = threading.Event()
threading.Thread(target=waiting, daemon=True).start()
ready.wait()
kept = steps()
next(kept)
asynchronous = updates()
try:
    asynchronous.asend(None).send(None)
except StopIteration:
    pass
block = tellwhy.span("block")
block.__enter__()
"""


@pytest.fixture(params=["lean", "sdk"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as running:
        yield running


@pytest.fixture
def place(tmp_path: Path, receiver: OtlpReceiver, engine: str) -> Place:
    return Place(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, TELLWHY_ENGINE=engine)


def test_what_is_open_is_ended_and_marked(place: Place, receiver: OtlpReceiver) -> None:
    """A call on a daemon thread, generators that nobody closes, a block: all arrive, marked (cases 19 and 45)."""
    place.write("program.py", OPEN_AT_EXIT)
    done = place.run("python", "program.py")
    assert (done.returncode, lines_of_others(done.stderr)) == (0, [])
    spans = receiver.spans(count=4)
    assert sorted(span.name for span in spans) == ["block", "steps", "updates", "waiting"]
    assert [span.attributes.get("tellwhy.unfinished") for span in spans] == [True] * 4
    assert {span.status for span in spans} == {"UNSET"}


def test_a_program_that_is_left_by_an_exception(place: Place, receiver: OtlpReceiver) -> None:
    """The exception that ends the program is on the spans that it passed, told in full by the innermost."""
    place.write(
        "program.py",
        "import tellwhy\nfrom tellwhy import traced\ntellwhy.setup_tracing()\n"
        "@traced\ndef outer(): inner()\n@traced\ndef inner(): raise LookupError('gone')\nouter()\n",
    )
    done = place.run("python", "program.py")
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith("LookupError: gone")
    spans = {span.name: span for span in receiver.spans(count=2)}
    assert {span.status for span in spans.values()} == {"ERROR"}
    assert "exception.stacktrace" in spans["inner"].events[0].attributes
    assert "exception.stacktrace" not in spans["outer"].events[0].attributes


def test_what_the_manual_api_counts_is_in_stats(place: Place, receiver: OtlpReceiver) -> None:
    """Traced functions, dropped spans and failed attributes stand beside the account of the spans (case 3)."""
    place.write(
        "program.py",
        "import json, tellwhy\nfrom tellwhy import traced\n"
        "@traced(min_duration=60)\ndef short(): ...\n"
        "@traced(attributes={'a': lambda: 1 / 0})\ndef failing(): ...\n"
        "assert tellwhy.stats() == {}\n"
        "tellwhy.setup_tracing()\nshort(); failing()\nprint(json.dumps(tellwhy.stats()))\n",
    )
    stats = json.loads(place.run("python", "program.py").stdout)
    assert (stats["traced_functions"], stats["spans_too_short"], stats["attributes_failed"]) == (2, 1, 1)
