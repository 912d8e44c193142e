# SPDX-License-Identifier: Apache-2.0
"""
A pytest plugin for the suites of the libraries that we patch: how did each test end?

``-p host_outcomes`` writes the outcomes as JSON to ``HOST_OUTCOMES``; with
``HOST_TRACED=1`` the four libraries are patched first, every span is made, and
none is sent.
"""

from __future__ import annotations

import json
import os
from typing import Any

_ends: dict[str, str] = {}
_spans = 0


class _Count:
    """Takes finished spans; that there are some shows that the patchers were at work."""

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """Nothing to do when a span starts."""

    def on_end(self, span: Any) -> None:
        global _spans
        _spans += 1

    def shutdown(self) -> None:
        """Nothing to stop."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return True


def pytest_configure() -> None:
    if os.environ.get("HOST_TRACED") != "1":
        return
    from tellwhy.engine import active
    from tellwhy.patchers import table
    from tellwhy.settings import load

    def build() -> Any:
        from tellwhy.engine import TracerProvider

        provider = TracerProvider.lean({"service.name": "hosts"})
        provider.add_span_processor(_Count())
        return provider

    settings, _ = load({}, pyproject={}, overrides={})
    active.prepare(build)
    table.install(settings)


def pytest_runtest_logreport(report: Any) -> None:
    # The worst of the three phases: a test that passes and whose teardown fails has failed.
    if report.when == "call" or report.outcome != "passed":
        _ends[report.nodeid] = f"{report.when} {report.outcome}"


def pytest_sessionfinish() -> None:
    with open(os.environ["HOST_OUTCOMES"], "w") as file:
        json.dump({"ends": _ends, "spans": _spans}, file)
