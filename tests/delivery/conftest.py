# SPDX-License-Identifier: Apache-2.0
"""Each test starts with nothing said, no proxy of the machine's and no settings of ours in the environment."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tellwhy import diagnostics
from tellwhy.delivery.otlp import retry

REAL_WAITS = (retry.FIRST_WAIT, retry.LONGEST_WAIT)


@pytest.fixture(autouse=True)
def _afresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith(("OTEL_", "TELLWHY_")):
            monkeypatch.delenv(name)
    # Outages of milliseconds, not of half minutes; what depends on the real waits asks for `real_waits`.
    monkeypatch.setattr(retry, "FIRST_WAIT", 0.05)
    monkeypatch.setattr(retry, "LONGEST_WAIT", 0.2)
    diagnostics.reset()
    yield
    diagnostics.reset()


@pytest.fixture
def real_waits(_afresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry as a program does."""
    monkeypatch.setattr(retry, "FIRST_WAIT", REAL_WAITS[0])
    monkeypatch.setattr(retry, "LONGEST_WAIT", REAL_WAITS[1])
