# SPDX-License-Identifier: Apache-2.0
"""What fails where no span is wanted: it is done once, and its error is the caller's, as without us."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import flask
import psycopg2
import pytest
import redis
import requests

from support.recording import Recorder
from tellwhy import diagnostics
from tellwhy.engine import samplers
from tellwhy.patchers import FlaskInstrumentor, Psycopg2Instrumentor, RedisInstrumentor, RequestsInstrumentor

pytestmark = [pytest.mark.servers]


@pytest.fixture(params=["root", "child"])
def unwanted(request: pytest.FixtureRequest) -> Iterator[tuple[Recorder, Callable[[], AbstractContextManager[Any]]]]:
    """A provider that drops every trace, and a place in one: at its root, or below a span that is not recorded."""
    recorder = Recorder("lean", samplers.ParentBased(samplers.ALWAYS_OFF))
    inside = nullcontext if request.param == "root" else lambda: recorder.tracer.start_as_current_span("parent")
    yield recorder, inside
    assert recorder.spans == []
    assert not [line for line in diagnostics._voice.said if "fault" in line]


def test_statement(unwanted: Any, postgres: str) -> None:
    """A statement that fails after it has done something has done it once."""
    recorder, inside = unwanted
    Psycopg2Instrumentor().instrument(tracer_provider=recorder.provider)
    sequence = f"untraced_{uuid.uuid4().hex}"
    connection = psycopg2.connect(postgres)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE SEQUENCE {sequence}")

        with inside(), pytest.raises(psycopg2.errors.DivisionByZero):
            cursor.execute(f"SELECT 1 / (nextval('{sequence}') - nextval('{sequence}') + 1)")

        cursor.execute(f"SELECT last_value FROM {sequence}")  # sequences are not rolled back
        assert cursor.fetchone() == (2,)
    connection.close()


def test_command(unwanted: Any, redis_server: str) -> None:
    """A script that fails after it has counted has counted once; a pipeline too."""
    recorder, inside = unwanted
    RedisInstrumentor().instrument(tracer_provider=recorder.provider)
    key = f"untraced:{uuid.uuid4().hex}"
    with redis.Redis.from_url(redis_server) as client:
        with inside(), pytest.raises(redis.ResponseError):
            client.eval("redis.call('INCR', KEYS[1]); return redis.call('NOSUCH')", 1, key)
        with inside(), pytest.raises(redis.ResponseError), client.pipeline(transaction=False) as pipeline:
            pipeline.incr(key).lpush(key, 1).execute()

        assert client.get(key) == b"2"


def test_request(unwanted: Any) -> None:
    """A request that fails is sent once."""
    recorder, inside = unwanted
    RequestsInstrumentor().instrument(tracer_provider=recorder.provider)
    sent = []

    class Failing(requests.adapters.BaseAdapter):
        def send(self, request: Any, **_: Any) -> Any:
            sent.append(request)
            raise requests.exceptions.ConnectionError("no")

        def close(self) -> None:
            pass

    session = requests.Session()
    session.mount("http://", Failing())

    with inside(), pytest.raises(requests.exceptions.ConnectionError):
        session.get("http://nowhere.example/")

    assert len(sent) == 1


def test_application(unwanted: Any) -> None:
    """A view that raises is called once."""
    recorder, inside = unwanted
    FlaskInstrumentor().instrument(tracer_provider=recorder.provider)
    app = flask.Flask(__name__)
    app.testing = True
    called = []

    @app.get("/")
    def view() -> str:
        called.append(1)
        raise ValueError("no")

    with inside(), pytest.raises(ValueError, match="no"):
        app.test_client().get("/")

    assert called == [1]
