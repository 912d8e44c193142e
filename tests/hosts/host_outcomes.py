# SPDX-License-Identifier: Apache-2.0
"""
A pytest plugin for the suites of the libraries that we patch: how did each test end? JSON to ``HOST_OUTCOMES``.

requests' suite talks to httpbin, which repeats the headers that it gets, and one
test depends on how long its lines are. So httpbin does not see ``traceparent``,
with tracing or without: that it is sent is the point of tracing requests.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

_ends: dict[str, str] = {}


def pytest_sessionstart() -> None:
    httpbin = sys.modules.get("httpbin")
    if httpbin is not None:
        original = httpbin.app.wsgi_app

        def without_traceparent(environ: dict[str, Any], start_response: Any) -> Any:
            environ.pop("HTTP_TRACEPARENT", None)
            return original(environ, start_response)

        httpbin.app.wsgi_app = without_traceparent


def pytest_runtest_logreport(report: Any) -> None:
    # The worst of the three phases: a test that passes and whose teardown fails has failed.
    if report.when == "call" or report.outcome != "passed":
        _ends[report.nodeid] = f"{report.when} {report.outcome}"


def pytest_sessionfinish() -> None:
    with open(os.environ["HOST_OUTCOMES"], "w") as file:
        json.dump(_ends, file)
