# SPDX-License-Identifier: Apache-2.0
"""A folder with the programs of these tests, and a receiver of the test's own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.otlp import OtlpReceiver
from support.program import Place

PROGRAMS = Path(__file__).parent / "programs"


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    """An OTLP receiver of the test's own."""
    with OtlpReceiver() as found:
        yield found


@pytest.fixture
def place(tmp_path: Path, receiver: OtlpReceiver) -> Place:
    """A folder with the programs in it, and an environment whose spans come to the receiver."""
    place = Place(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, OTEL_BSP_SCHEDULE_DELAY="50")
    for program in PROGRAMS.glob("*.py"):
        shutil.copy(program, place.folder)
    return place
