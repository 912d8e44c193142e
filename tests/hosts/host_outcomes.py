# SPDX-License-Identifier: Apache-2.0
"""A pytest plugin for the suites of the libraries that we patch: how did each test end? JSON to ``HOST_OUTCOMES``."""

from __future__ import annotations

import json
import os
from typing import Any

_ends: dict[str, str] = {}


def pytest_runtest_logreport(report: Any) -> None:
    # The worst of the three phases: a test that passes and whose teardown fails has failed.
    if report.when == "call" or report.outcome != "passed":
        _ends[report.nodeid] = f"{report.when} {report.outcome}"


def pytest_sessionfinish() -> None:
    with open(os.environ["HOST_OUTCOMES"], "w") as file:
        json.dump(_ends, file)
