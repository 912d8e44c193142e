# SPDX-License-Identifier: Apache-2.0
"""Whatever makes a program's first span, and imports OpenTelemetry thereby, finds everything in its place."""

from __future__ import annotations

import pytest

from support.otlp import OtlpReceiver
from support.program import Place, lines_of_ours

FIRST = {
    "a block": "with tellwhy.span('first'): pass",
    "a function": "tellwhy.traced('first')(lambda: None)()",
    "a coroutine": "async def work(): ...\nimport asyncio; asyncio.run(tellwhy.traced('first')(work)())",
    "a generator": "def steps(): yield 1\nlist(tellwhy.traced('first')(steps)())",
    "in silence before": "with tellwhy.suppressed(): tellwhy.annotate(a=1)\nwith tellwhy.span('first'): pass",
    "a log line before": "import logging; logging.warning('before')\nwith tellwhy.span('first'): pass",
    "the API": "from opentelemetry import trace\ntrace.get_tracer('x').start_span('first').end()",
    "the API's context": "from opentelemetry import context\nwith tellwhy.span('first'): pass",
    "the API's propagators": "from opentelemetry import propagate\nwith tellwhy.span('first'): pass",
    "the SDK": "import opentelemetry.sdk.trace\nwith tellwhy.span('first'): pass",
    "requests": "import requests\nwith tellwhy.span('first'): pass",
}


@pytest.mark.parametrize("how", FIRST)
@pytest.mark.parametrize("wrapped", [True, False], ids=["wrapped", "set up"])
def test_the_first_span(place: Place, receiver: OtlpReceiver, how: str, wrapped: bool) -> None:
    """It arrives, and the start line is all that is said."""
    place.write("program.py", "import tellwhy\n" + ("" if wrapped else "tellwhy.setup_tracing()\n") + FIRST[how])
    done = (place.wrapped if wrapped else place.run)("python", "program.py")
    assert done.returncode == 0, done.stderr
    assert len(lines_of_ours(done.stderr)) == 1, done.stderr
    assert [span.name for span in receiver.spans(count=1, timeout=1)] == ["first"]
