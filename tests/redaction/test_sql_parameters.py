# SPDX-License-Identifier: Apache-2.0
"""Parameters of statements are recorded when they are asked for by name or position, and secrets not even then."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest

from support.recording import Recorder
from tellwhy.patchers.psycopg2 import Psycopg2Instrumentor
from tellwhy.redaction import export

pytestmark = [pytest.mark.servers]


@pytest.fixture
def run(postgres: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Run statements with the setting, and return the attributes that leave."""
    recorder = Recorder("lean")
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http,database")
    connections = []

    def run(setting: str | None, *statement: Any, method: str = "execute") -> dict[str, Any]:
        if setting is not None:
            monkeypatch.setenv("TELLWHY_SQL_PARAMETERS", setting)
        Psycopg2Instrumentor().instrument(tracer_provider=recorder.provider)
        connections.append(psycopg2.connect(postgres))
        with connections[-1].cursor() as cursor:
            getattr(cursor, method)(*statement)
        return dict(export.attributes(recorder.take()[-1].attributes))

    yield run
    Psycopg2Instrumentor().uninstrument()
    for connection in connections:
        connection.close()


def parameters(attributes: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in attributes.items() if "parameter" in key}


def test_none_unless_named(run: Any) -> None:
    assert parameters(run(None, "SELECT %s, %s", ("hunter2", 7))) == {}


def test_by_position(run: Any) -> None:
    assert parameters(run("1", "SELECT %s, %s", ("hunter2", 7))) == {"db.query.parameter.1": "7"}


def test_by_name(run: Any) -> None:
    found = run("order_id,5", "SELECT %(order_id)s, %(name)s", {"order_id": 7, "name": "bob"})
    assert parameters(found) == {"db.query.parameter.order_id": "7"}


def test_a_secret_goes_even_if_it_is_named(run: Any) -> None:
    found = run("password,0", "SELECT %(password)s", {"password": "hunter2"})
    assert parameters(found) == {"db.query.parameter.password": "[redacted]"}


def test_long_ones_are_cut(run: Any) -> None:
    assert len(parameters(run("0", "SELECT %s", ("x" * 5000,)))["db.query.parameter.0"]) == 1024


def test_not_of_many(run: Any) -> None:
    assert parameters(run("0", "SELECT %s", [(1,), (2,)], method="executemany")) == {}
