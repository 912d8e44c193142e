# SPDX-License-Identifier: Apache-2.0
"""What the tests of all patchers share: nothing stays instrumented, and the stable names are in force."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from support.recording import Recorder
from tellwhy import diagnostics
from tellwhy.patchers.flask import FlaskInstrumentor
from tellwhy.patchers.psycopg2 import Psycopg2Instrumentor
from tellwhy.patchers.redis import RedisInstrumentor
from tellwhy.patchers.requests import RequestsInstrumentor


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start from an environment without settings, and leave every library as it was."""
    for name in list(os.environ):
        if name.startswith(("OTEL_", "TELLWHY_")) and not name.startswith("TELLWHY_TEST"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http,database")
    diagnostics.reset()
    yield
    for instrumentor in (FlaskInstrumentor, RequestsInstrumentor, Psycopg2Instrumentor, RedisInstrumentor):
        instrumentor().uninstrument()
    diagnostics.reset()


@pytest.fixture(params=["lean", "sdk"])
def recorder(request: pytest.FixtureRequest) -> Recorder:
    """A provider of ours and one of OpenTelemetry's, with the spans that they end."""
    return Recorder(request.param)
