# SPDX-License-Identifier: Apache-2.0
"""What is traced of a Redis cluster: two real nodes, commands and pipelines, blocking and asyncio."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio.cluster
import redis.cluster
from opentelemetry.trace import SpanKind, StatusCode

from support.recording import Recorder
from tellwhy.demo.databases import _redis_programs
from tellwhy.patchers.redis import RedisInstrumentor

pytestmark = [pytest.mark.servers]

SLOTS = 16384


def _free_port() -> int:
    """Return a port whose cluster bus, 10,000 above it, is a port too."""
    while True:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port: int = one.getsockname()[1]
        if port < 55000:
            return port


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[int]]:
    """The ports of two nodes, each with half of the slots."""
    program = next(_redis_programs()).path
    ports = [_free_port(), _free_port()]
    processes = []
    try:
        for port in ports:
            folder: Path = tmp_path_factory.mktemp(f"node{port}")
            processes.append(
                subprocess.Popen(
                    [
                        program,
                        "--port",
                        str(port),
                        "--bind",
                        "127.0.0.1",
                        "--cluster-enabled",
                        "yes",
                        "--save",
                        "",
                        "--cluster-node-timeout",
                        "2000",
                        "--dir",
                        str(folder),
                    ],
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
        first, second = (redis.Redis(port=port) for port in ports)
        _until(lambda: first.ping() and second.ping())
        first.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, SLOTS // 2 - 1)
        second.execute_command("CLUSTER", "ADDSLOTSRANGE", SLOTS // 2, SLOTS - 1)
        first.execute_command("CLUSTER", "MEET", "127.0.0.1", ports[1])
        for node in (first, second):
            _until(lambda node=node: node.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
            _until(lambda node=node: len(node.execute_command("CLUSTER SLOTS")) == 2)
            node.close()
        yield ports
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _until(is_so: Any, patience: float = 20.0) -> None:
    end = time.monotonic() + patience
    while True:
        try:
            if is_so():
                return
        except redis.ConnectionError:
            pass
        assert time.monotonic() < end, "the cluster did not come up"
        time.sleep(0.05)


# Keys whose slots are in the lower and in the upper half.
LOW, HIGH = "user:{b}", "user:{a}"


def test_keys_are_on_both_nodes(nodes: list[int]) -> None:
    """The tests below mean what they say."""
    assert redis.crc.key_slot(LOW.encode()) < SLOTS // 2 <= redis.crc.key_slot(HIGH.encode())


def test_a_command_is_one_span_with_its_node(recorder: Recorder, nodes: list[int]) -> None:
    """Whichever node it goes to; what the client asks about the cluster itself is no span of the program's."""
    cluster = redis.cluster.RedisCluster(host="127.0.0.1", port=nodes[0])
    RedisInstrumentor().instrument(tracer_provider=recorder.provider)

    for key in (LOW, HIGH):
        cluster.set(key, "hush")
        assert cluster.get(key) == b"hush"

    spans = recorder.take()
    assert [(span.name, span.kind) for span in spans] == [("SET", SpanKind.CLIENT), ("GET", SpanKind.CLIENT)] * 2
    assert [span.attributes["server.port"] for span in spans] == [nodes[0]] * 2 + [nodes[1]] * 2
    assert {span.attributes["server.address"] for span in spans} == {"127.0.0.1"}
    assert "hush" not in str([dict(span.attributes) for span in spans])
    cluster.close()


def test_a_pipeline_across_nodes_is_one_span(recorder: Recorder, nodes: list[int]) -> None:
    """With its size, and its errors."""
    cluster = redis.cluster.RedisCluster(host="127.0.0.1", port=nodes[0])
    RedisInstrumentor().instrument(tracer_provider=recorder.provider)

    with cluster.pipeline() as pipeline:
        pipeline.set(LOW, 1).set(HIGH, 2)
        assert pipeline.execute() == [True, True]
    with cluster.pipeline() as pipeline, pytest.raises(redis.ResponseError):
        pipeline.lpush(LOW, 1).execute()

    fine, failed = recorder.take()
    assert (fine.name, fine.attributes["db.operation.batch.size"]) == ("PIPELINE SET", 2)
    assert (failed.name, failed.status.status_code) == ("PIPELINE LPUSH", StatusCode.ERROR)
    cluster.close()


def test_asyncio(recorder: Recorder, nodes: list[int]) -> None:
    """The same of the asyncio client."""
    RedisInstrumentor().instrument(tracer_provider=recorder.provider)

    async def main() -> None:
        async with redis.asyncio.cluster.RedisCluster(host="127.0.0.1", port=nodes[0]) as cluster:
            await cluster.ping()  # by now it knows the cluster
            recorder.take()
            await cluster.set(LOW, "hush")
            assert await cluster.get(HIGH) in (b"hush", b"2")
            async with cluster.pipeline() as pipeline:
                await pipeline.get(LOW).get(HIGH).execute()

    asyncio.run(main())

    assert [span.name for span in recorder.spans] == ["SET", "GET", "PIPELINE GET"]
    assert [span.attributes["server.port"] for span in recorder.spans[:2]] == nodes
