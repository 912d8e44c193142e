# SPDX-License-Identifier: Apache-2.0
"""Each test starts with nothing said, no proxy of the machine's and no settings of ours in the environment."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tellwhy import diagnostics


@pytest.fixture(autouse=True)
def _afresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith(("OTEL_", "TELLWHY_")):
            monkeypatch.delenv(name)
    diagnostics.reset()
    yield
    diagnostics.reset()
