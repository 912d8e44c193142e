# SPDX-License-Identifier: Apache-2.0
"""What is traced of redis-py: every command and pipeline once, under names of low cardinality, without values."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import redis
import redis.asyncio
import redis.cluster
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.trace import SpanKind, StatusCode

from support.recording import Recorder
from tellwhy.engine import samplers
from tellwhy.patchers.redis import RedisInstrumentor

pytestmark = [pytest.mark.servers]


@pytest.fixture
def client(redis_server: str) -> Iterator[Any]:
    """A client that was there before it was instrumented."""
    with redis.Redis.from_url(redis_server) as connected:
        connected.ping()
        yield connected


def test_a_command_is_a_client_span(recorder: Recorder, client: Any) -> None:
    """System, database, server, operation; of the arguments the first part of a key."""
    RedisInstrumentor().instrument(tracer_provider=recorder.provider)

    client.set("user:12", "hush", ex=60)

    span = recorder.only()
    attributes = dict(span.attributes)
    port = client.connection_pool.connection_kwargs["port"]
    assert (span.name, span.kind) == ("SET", SpanKind.CLIENT)
    assert {
        "db.system.name": "redis",
        "db.namespace": "0",
        "db.operation.name": "SET",
        "db.query.text": "SET user:* ? ? ?",
        "server.address": "127.0.0.1",
        "server.port": port,
        "network.transport": "tcp",
    } == attributes


@pytest.mark.parametrize(
    ("command", "name", "text"),
    [
        (("GET", "plain"), "GET", "GET ?"),
        (("GET", b"\xff\x00:x"), "GET", "GET ?"),
        (("get", "user:1"), "GET", "GET user:*"),
        ((b"GET", b"user:1"), "GET", "GET user:*"),
        (("GET 4711secret",), "GET", "GET"),
        (("CONFIG GET", "maxmemory"), "CONFIG GET", "CONFIG GET ?"),
        (("EVAL", "return 1", 0), "EVAL", "EVAL ? ?"),
        (("MSET", "a:1", "hush", "b:2", "hush"), "MSET", "MSET a:* ? ? ?"),
    ],
)
def test_names_and_texts_are_of_low_cardinality(
    recorder: Recorder, client: Any, command: tuple[Any, ...], name: str, text: str
) -> None:
    """However a command is spelled."""
    RedisInstrumentor().instrument(tracer_provider=recorder.provider)

    client.execute_command(*command)

    span = recorder.only()
    assert (name, text) == (span.name, span.attributes["db.query.text"])


def test_a_pipeline_is_one_span(recorder: Recorder, client: Any) -> None:
    """Three hundred commands, one short name, and their number (open-telemetry/opentelemetry-python-contrib#2505)."""
    RedisInstrumentor().instrument(tracer_provider=recorder.provider)

    with client.pipeline() as pipe:
        for number in range(300):
            pipe.set(f"item:{number}", number)
        assert pipe.execute() == [True] * 300

    span = recorder.only()
    assert (span.name, span.attributes["db.operation.batch.size"]) == ("PIPELINE SET", 300)
    assert len(span.attributes["db.query.text"]) <= 1000


@pytest.mark.parametrize("raises", [True, False])
def test_errors_inside_a_pipeline_are_told(recorder: Recorder, client: Any, raises: bool) -> None:
    """Raised or handed out among the results: the span failed, and the program gets what it asked for."""
    RedisInstrumentor().instrument(tracer_provider=recorder.provider)
    pipe = client.pipeline(transaction=False).set("word", "x").incr("word").get("word")

    if raises:
        with pytest.raises(redis.ResponseError):
            pipe.execute()
    else:
        done, error, value = pipe.execute(raise_on_error=False)
        assert (done, value) == (True, b"x")
        assert isinstance(error, redis.ResponseError)

    span = recorder.only()
    assert (span.name, span.status.status_code) == ("PIPELINE", StatusCode.ERROR)
    assert span.attributes["error.type"] == "redis.exceptions.ResponseError"


def test_optimistic_locking_that_loses_is_no_error(recorder: Recorder, client: Any) -> None:
    """A ``WatchError`` says that somebody else was faster; the program tries again."""
    RedisInstrumentor().instrument(tracer_provider=recorder.provider)
    with client.pipeline() as pipe:
        pipe.watch("lock")
        client.set("lock", "theirs")
        pipe.multi()
        pipe.set("lock", "mine")
        with pytest.raises(redis.WatchError):
            pipe.execute()

    spans = recorder.take()
    assert [span.name for span in spans] == ["WATCH", "SET", "PIPELINE SET"]
    assert {StatusCode.UNSET} == {span.status.status_code for span in spans}


def test_an_empty_pipeline_makes_no_span(recorder: Recorder, client: Any) -> None:
    """Nothing is sent, so nothing is said."""
    RedisInstrumentor().instrument(tracer_provider=recorder.provider)

    assert client.pipeline().execute() == []
    assert recorder.names() == []


def test_scripts_pubsub_and_blocking_commands(recorder: Recorder, client: Any) -> None:
    """Each is the command that it is; waiting for messages is not a span."""
    RedisInstrumentor().instrument(tracer_provider=recorder.provider)

    assert client.register_script("return 7 -- " + str(id(recorder)))() == 7
    client.blpop("nothing:here", timeout=0.05)
    with client.pubsub() as pubsub:
        pubsub.subscribe("news")
        assert pubsub.get_message(timeout=1)["type"] == "subscribe"
        client.publish("news", "hush")
        assert pubsub.get_message(timeout=1)["data"] == b"hush"

    assert recorder.names() == ["EVALSHA", "SCRIPT LOAD", "EVALSHA", "BLPOP", "SUBSCRIBE", "PUBLISH"]
    assert "hush" not in str([dict(span.attributes) for span in recorder.spans])


def test_a_cancelled_wait_is_no_error(recorder: Recorder, redis_server: str) -> None:
    """An awaited command that is cancelled ends its span; nothing stays current."""
    RedisInstrumentor().instrument(tracer_provider=recorder.provider)

    async def main() -> None:
        async with redis.asyncio.Redis.from_url(redis_server) as client:
            waiting = asyncio.ensure_future(client.blpop("nothing:here", timeout=30))
            await asyncio.sleep(0.05)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

    asyncio.run(main())

    span = recorder.only()
    assert (span.name, span.status.status_code) == ("BLPOP", StatusCode.UNSET)


def test_asyncio_clients_are_traced(recorder: Recorder, redis_server: str) -> None:
    """Commands, pipelines and errors, each below the task's own span."""
    RedisInstrumentor().instrument(tracer_provider=recorder.provider)

    async def work(client: Any, number: int) -> None:
        with recorder.tracer.start_as_current_span(f"task {number}"):
            await client.set(f"task:{number}", number)
            async with client.pipeline() as pipe:
                await pipe.get(f"task:{number}").get("plain").execute()
            with pytest.raises(redis.ResponseError):
                await client.execute_command("INCR", "plain", "too", "many")

    async def main() -> None:
        async with redis.asyncio.Redis.from_url(redis_server) as client:
            await asyncio.gather(*(work(client, number) for number in range(5)))

    asyncio.run(main())

    spans = recorder.take()
    assert len(spans) == 5 * 4
    tasks = {span.context.span_id for span in spans if span.name.startswith("task")}
    for span in spans:
        if not span.name.startswith("task"):
            assert span.parent.span_id in tasks
            assert span.attributes["server.address"] == "127.0.0.1"


def test_the_wrapped_methods_are_still_coroutine_functions(recorder: Recorder) -> None:
    """Programs and frameworks ask."""
    RedisInstrumentor().instrument(tracer_provider=recorder.provider)

    assert asyncio.iscoroutinefunction(redis.asyncio.Redis.execute_command)
    assert asyncio.iscoroutinefunction(redis.asyncio.client.Pipeline.execute)
    assert not asyncio.iscoroutinefunction(redis.Redis.execute_command)


def test_hooks_are_called_as_opentelemetrys(recorder: Recorder, client: Any) -> None:
    """Request and response; one that raises does not reach the caller."""

    def on_request(span: Any, instance: Any, args: Any, kwargs: Any) -> None:
        span.set_attribute("asked", args[0])
        raise RuntimeError("hook")

    def on_response(span: Any, instance: Any, response: Any) -> None:
        span.set_attribute("answered", str(response))

    RedisInstrumentor().instrument(
        tracer_provider=recorder.provider, request_hook=on_request, response_hook=on_response
    )

    assert client.set("plain", "x")

    span = recorder.only()
    assert (span.attributes["asked"], span.attributes["answered"]) == ("SET", "True")


def test_one_client_can_be_instrumented_alone(recorder: Recorder, client: Any, redis_server: str) -> None:
    """``instrument_client`` and its opposite are for that client and its pipelines only."""
    with redis.Redis.from_url(redis_server) as other:
        RedisInstrumentor.instrument_client(client, tracer_provider=recorder.provider)

        client.get("plain")
        client.pipeline().get("plain").execute()
        other.get("plain")
        RedisInstrumentor.uninstrument_client(client)
        client.get("plain")

    assert recorder.names() == ["GET", "PIPELINE GET"]


@pytest.mark.parametrize("engine", ["lean", "sdk"])
def test_nothing_is_made_below_an_unsampled_span(engine: str, client: Any) -> None:
    """The command runs, and nobody records it."""
    recorder = Recorder(engine, sampler=samplers.ParentBased(samplers.ALWAYS_OFF))
    RedisInstrumentor().instrument(tracer_provider=recorder.provider)

    with recorder.tracer.start_as_current_span("request"):
        assert client.set("plain", "x")

    assert recorder.names() == []


def test_clients_shared_by_threads(recorder: Recorder, client: Any) -> None:
    """Each command is one span."""
    RedisInstrumentor().instrument(tracer_provider=recorder.provider)
    threads = [threading.Thread(target=lambda: [client.get("plain") for _ in range(25)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert recorder.names() == ["GET"] * 100


def test_everything_is_put_back(recorder: Recorder) -> None:
    """After ``uninstrument()`` the classes are as they were."""
    classes = [redis.Redis, redis.client.Pipeline, redis.asyncio.Redis, redis.cluster.RedisCluster, redis.client.PubSub]
    before = [dict(vars(one)) for one in classes]
    RedisInstrumentor().instrument(tracer_provider=recorder.provider)
    assert before != [dict(vars(one)) for one in classes]

    RedisInstrumentor().uninstrument()

    assert before == [dict(vars(one)) for one in classes]


_recorder = Recorder()


@given(
    st.lists(
        st.one_of(st.binary(max_size=20), st.text(max_size=20), st.integers(), st.none(), st.lists(st.integers())),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=80, deadline=None)
def test_hostile_commands_fail_as_without_us(redis_server: str, command: list[Any]) -> None:
    """Binary keys, wrong types, nonsense: the same answer or error as without us."""

    def answer() -> Any:
        with redis.Redis.from_url(redis_server) as client:
            try:
                return client.execute_command("ECHO", *command)
            except Exception as error:
                return (type(error), str(error))

    bare = answer()
    RedisInstrumentor().instrument(tracer_provider=_recorder.provider)
    try:
        assert bare == answer()
    finally:
        RedisInstrumentor().uninstrument()
        _recorder.take()
