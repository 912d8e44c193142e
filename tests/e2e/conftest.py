# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: a receiver, a place to run programs in, and each engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.otlp import OtlpReceiver
from support.program import Place

ENGINES = ["lean", "sdk"]


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    """An OTLP receiver of the test's own."""
    with OtlpReceiver() as found:
        yield found


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine in turn."""
    return str(request.param)


@pytest.fixture
def place(tmp_path: Path, engine: str, receiver: OtlpReceiver) -> Place:
    """A folder and an environment whose programs send to the receiver, with each engine in turn."""
    return Place(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, TELLWHY_ENGINE=engine)


@pytest.fixture
def bare(tmp_path: Path) -> Place:
    """A folder and an environment for programs that make no spans, so that no engine matters."""
    return Place(tmp_path, OTEL_TRACES_EXPORTER="none")
