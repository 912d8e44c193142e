"""Metrics over OTLP from real programs: exact counts at 1 %, exemplars of kept traces, the program's own instruments."""

from __future__ import annotations

import time
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import (
    MetricsServiceServicer,
    add_MetricsServiceServicer_to_server,
)

from support.otlp import Answer, OtlpReceiver, decode_attributes
from support.otlp_grpc import OtlpGrpcReceiver
from support.program import Place, lines_of_others, lines_of_ours

CALLS, DURATION = "traces.span.metrics.calls", "traces.span.metrics.duration"
PROGRAM = """
import tellwhy
from opentelemetry import metrics

orders = metrics.get_meter("shop").create_counter("orders")  # before there is a provider
for number in range(1000):
    with tellwhy.span("even" if number % 2 == 0 else "odd", kind="server"):
        if number % 10 == 0:
            tellwhy.fail("no")
        with tellwhy.span("inner"):
            orders.add(2, {"kind": "book"})
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    # Time enough for what is not about time: the machine may be busy.
    place = Place(tmp_path, OTEL_METRICS_EXPORTER="otlp", OTEL_SERVICE_NAME="shop", TELLWHY_EXIT_BUDGET="20000")
    place.write("app.py", PROGRAM)
    return place


def points(message: Any, name: str) -> list[Any]:
    """Return the points of a metric in one request; of each the attributes as a dict, and itself."""
    return [
        (decode_attributes(point.attributes), point)
        for of_resource in message.resource_metrics
        for of_scope in of_resource.scope_metrics
        for metric in of_scope.metrics
        if metric.name == name
        for point in getattr(metric, str(metric.WhichOneof("data"))).data_points
    ]


def calls(message: Any) -> dict[tuple[str, str, str], int]:
    """Return the calls by name, kind and status, without the words in front."""
    found = {}
    for attributes, point in points(message, CALLS):
        assert attributes["service.name"] == "shop"
        key = (
            attributes["span.name"],
            attributes["span.kind"].removeprefix("SPAN_KIND_"),
            attributes["status.code"].removeprefix("STATUS_CODE_"),
        )
        found[key] = point.as_int
    return found


EXPECTED = {
    ("even", "SERVER", "UNSET"): 400,
    ("even", "SERVER", "ERROR"): 100,
    ("odd", "SERVER", "UNSET"): 500,
    ("inner", "INTERNAL", "UNSET"): 1000,
}


@pytest.mark.parametrize("engine", ["lean", "sdk"])
@pytest.mark.parametrize("sampler", ["always_on", "parentbased_traceidratio", "traceidratio", "always_off"])
def test_counts_are_exact_whatever_is_sampled(place: Place, engine: str, sampler: str) -> None:
    """Every span is counted, sampled or not; exemplars are of traces that have arrived; the rest is as without."""
    with OtlpReceiver() as receiver:
        done = place.wrapped(
            *("python", "app.py"),
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
            OTEL_TRACES_SAMPLER=sampler,
            OTEL_TRACES_SAMPLER_ARG="0.05" if "ratio" in sampler else None,
            OTEL_BSP_MAX_QUEUE_SIZE="10000",
            TELLWHY_ENGINE=engine,
        )
        (message,) = receiver.metrics()
        arrived = {(span.trace_id, span.span_id) for span in receiver.spans()}

    assert done.returncode == 0, done.stderr
    assert lines_of_others(done.stderr) == []
    assert calls(message) == EXPECTED
    counts = [(attributes["span.name"], point.count) for attributes, point in points(message, DURATION)]
    assert sorted(counts) == [("even", 100), ("even", 400), ("inner", 1000), ("odd", 500)]
    for _, point in points(message, DURATION):
        assert sum(point.bucket_counts) == point.count
        assert 0 < point.min <= point.sum / point.count <= point.max
    ((_, orders),) = points(message, "orders")
    assert orders.as_int == 2000
    exemplars = {
        (exemplar.trace_id.hex(), exemplar.span_id.hex())
        for name in (CALLS, DURATION, "orders")
        for _, point in points(message, name)
        for exemplar in point.exemplars
    }
    assert exemplars <= arrived
    assert bool(exemplars) == (sampler != "always_off")
    if "ratio" in sampler:
        assert 0 < len(arrived) < 250
    else:
        assert len(arrived) == (2000 if sampler == "always_on" else 0)


def test_exponential_buckets_and_dimensions(place: Place) -> None:
    """Chosen attributes tell spans apart; buckets follow the values if they are asked to."""
    place.write(
        "app.py",
        "import tellwhy\n"
        "for number in range(30):\n"
        "    with tellwhy.span('work', tenant='a' if number % 3 else 'b'): pass\n",
    )
    with OtlpReceiver() as receiver:
        place.wrapped(
            *("python", "app.py"),
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
            TELLWHY_SPAN_METRICS="tenant,missing",
            OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION="base2_exponential_bucket_histogram",
        )
        (message,) = receiver.metrics()

    found = {attributes["tenant"]: point for attributes, point in points(message, DURATION)}
    assert {tenant: point.count for tenant, point in found.items()} == {"a": 20, "b": 10}
    assert all("missing" not in attributes for attributes, _ in points(message, CALLS))
    for point in found.values():
        assert sum(point.positive.bucket_counts) == point.count
        low = 2 ** ((point.positive.offset) / 2**point.scale)
        assert low <= point.min * 1.000001


def test_off_leaves_the_programs_own(place: Place) -> None:
    """``TELLWHY_SPAN_METRICS=off``: no metrics of spans, the program's instruments are exported."""
    with OtlpReceiver() as receiver:
        place.wrapped(*("python", "app.py"), OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, TELLWHY_SPAN_METRICS="off")
        (message,) = receiver.metrics()

    assert points(message, CALLS) == []
    assert [point.as_int for _, point in points(message, "orders")] == [2000]


def test_delta_adds_up(place: Place) -> None:
    """With delta temporality several collections, each with what is new, add up to the whole."""
    place.write(
        "app.py",
        PROGRAM.replace('    with tellwhy.span("even"', '    time.sleep(0.0005)\n    with tellwhy.span("even"').replace(
            "import tellwhy", "import tellwhy, time"
        ),
    )
    with OtlpReceiver() as receiver:
        place.wrapped(
            *("python", "app.py"),
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
            OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE="delta",
            OTEL_METRIC_EXPORT_INTERVAL="50",
        )
        messages = receiver.metrics()

    assert len(messages) > 3
    total: dict[tuple[str, str, str], int] = {}
    for message in messages:
        for key, number in calls(message).items():
            total[key] = total.get(key, 0) + number
    assert total == EXPECTED
    assert sum(point.as_int for message in messages for _, point in points(message, "orders")) == 2000


def test_forked_children_count_for_themselves(place: Place) -> None:
    """What the parent counted before the fork is told once, by the parent; the sum over processes is exact."""
    place.write(
        "app.py",
        "import os, sys, tellwhy\n"
        "from opentelemetry import metrics\n"
        "orders = metrics.get_meter('shop').create_counter('orders')\n"
        "def work(times):\n"
        "    for _ in range(times):\n"
        "        with tellwhy.span('work'): orders.add(1)\n"
        "work(10)\n"
        "children = []\n"
        "for number in range(2):\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        work(5); sys.exit()\n"
        "    children.append(child)\n"
        "[os.waitpid(child, 0) for child in children]\n"
        "work(1)\n",
    )
    with OtlpReceiver() as receiver:
        done = place.wrapped("python", "app.py", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint)
        messages = receiver.metrics()

    assert done.returncode == 0, done.stderr
    of_process = {}
    for message in messages:
        instance = decode_attributes(message.resource_metrics[0].resource.attributes)["service.instance.id"]
        ((_, orders),) = points(message, "orders")
        of_process[instance] = (sum(calls(message).values()), orders.as_int)
    assert sorted(of_process.values()) == [(5, 5), (5, 5), (11, 11)]


def test_a_backend_without_metrics_gets_one_line(place: Place) -> None:
    """404 for metrics: one line, spans arrive."""
    place.write("app.py", PROGRAM + "import time; time.sleep(0.5)\n")
    with OtlpReceiver(answer=lambda post: Answer(404 if post.path == "/v1/metrics" else 200)) as receiver:
        done = place.wrapped(
            *("python", "app.py"),
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
            OTEL_METRIC_EXPORT_INTERVAL="50",
            OTEL_BSP_MAX_QUEUE_SIZE="10000",
        )
        receiver.spans(count=2000)
        tries = [post for post in receiver.posts if post.path == "/v1/metrics"]

    assert len(tries) == 1
    assert lines_of_others(done.stderr) == []
    said = [line for line in lines_of_ours(done.stderr) if not line.startswith("tracing shop")]
    assert len(said) == 1, said
    assert "takes no metrics (404" in said[0]


def test_grpc(place: Place) -> None:
    """With ``grpc`` the official exporter carries them; a backend that has no metrics gets one line."""
    with GrpcMetrics() as receiver, OtlpReceiver() as spans:
        done = place.wrapped(
            *("python", "app.py"),
            OTEL_EXPORTER_OTLP_METRICS_PROTOCOL="grpc",
            OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=receiver.endpoint,
            OTEL_EXPORTER_OTLP_ENDPOINT=spans.endpoint,
        )
    assert calls(receiver.messages[-1]) == EXPECTED, done.stderr

    with OtlpGrpcReceiver() as without:
        done = place.wrapped(
            *("python", "app.py"), OTEL_EXPORTER_OTLP_ENDPOINT=without.endpoint, OTEL_EXPORTER_OTLP_PROTOCOL="grpc"
        )
    assert lines_of_others(done.stderr) == []
    assert len([line for line in lines_of_ours(done.stderr) if "takes no metrics (UNIMPLEMENTED" in line]) == 1


def test_exit_keeps_the_budget_with_all_signals(place: Place) -> None:
    """Nobody answers, a callback hangs, spans, logs and metrics wait: the program ends within the one budget."""
    place.write(
        "app.py",
        "import logging, threading, time, tellwhy\n"
        "from opentelemetry import metrics\n"
        "meter = metrics.get_meter('shop')\n"
        "meter.create_observable_gauge('hangs', [lambda _: time.sleep(60)])\n"
        "with tellwhy.span('work'): logging.warning('line')\n"
        "print(time.time(), flush=True)\n",
    )
    with OtlpReceiver(answer=lambda _: Answer(delay=30)) as receiver:
        done = place.wrapped(
            *("python", "app.py"),
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
            OTEL_LOGS_EXPORTER="otlp",
            TELLWHY_EXIT_BUDGET="1000",
        )
        took = time.time() - float(done.stdout)

    assert took < 2.5  # the budget, and the end of an interpreter on a busy machine
    assert done.returncode == 0


def test_conventions_from_our_patchers(place: Place) -> None:
    """``http.server.request.duration`` and ``http.client.request.duration``, exact while nothing is sampled."""
    place.write(
        "app.py",
        "import threading, requests\n"
        "from flask import Flask\n"
        "from werkzeug.serving import make_server\n"
        "app = Flask(__name__)\n"
        "@app.get('/item/<int:number>')\n"
        "def item(number):\n"
        "    if number % 5 == 0: raise ValueError('no')\n"
        "    return 'ok'\n"
        "server = make_server('127.0.0.1', 0, app)\n"
        "threading.Thread(target=server.serve_forever, daemon=True).start()\n"
        "for number in range(20): requests.get(f'http://127.0.0.1:{server.port}/item/{number}')\n",
    )
    with OtlpReceiver() as receiver:
        done = place.wrapped(
            *("python", "app.py"), OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, OTEL_TRACES_SAMPLER="always_off"
        )
        (message,) = receiver.metrics()

    assert done.returncode == 0, done.stderr
    server = {
        attributes["http.response.status_code"]: (attributes, point.count)
        for attributes, point in points(message, "http.server.request.duration")
    }
    assert {status: count for status, (_, count) in server.items()} == {200: 16, 500: 4}
    assert server[200][0]["http.route"] == "/item/<int:number>"
    assert server[200][0]["http.request.method"] == "GET"
    assert server[200][0]["url.scheme"] == "http"
    assert "url.path" not in server[200][0]
    assert server[500][0]["error.type"] in ("500", "ValueError")
    client = points(message, "http.client.request.duration")
    assert sum(point.count for _, point in client) == 20
    assert {attributes["server.address"] for attributes, _ in client} == {"127.0.0.1"}
    assert all(point.sum < 20 for _, point in client)  # seconds


@pytest.mark.servers
def test_databases_by_the_conventions(place: Place, postgres: str, redis_server: str) -> None:
    """``db.client.operation.duration`` of a real PostgreSQL and a real Redis, by system, operation and error."""
    place.write(
        "app.py",
        "import psycopg2, redis, sys\n"
        "connection = psycopg2.connect(sys.argv[1])\n"
        "cursor = connection.cursor()\n"
        "for number in range(6): cursor.execute('SELECT %s', (number,))\n"
        "try: cursor.execute('SELECT * FROM no_such_table')\n"
        "except psycopg2.Error: pass\n"
        "client = redis.Redis.from_url(sys.argv[2])\n"
        "for number in range(5): client.get(f'user:{number}')\n",
    )
    with OtlpReceiver() as receiver:
        done = place.wrapped(
            *("python", "app.py", postgres, redis_server),
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
            OTEL_TRACES_SAMPLER="always_off",
        )
        (message,) = receiver.metrics()

    assert done.returncode == 0, done.stderr
    found = points(message, "db.client.operation.duration")
    counts = {
        (attributes["db.system.name"], attributes.get("db.operation.name"), "error.type" in attributes): point.count
        for attributes, point in found
    }
    assert counts[("postgresql", "SELECT", False)] == 6
    assert counts[("postgresql", "SELECT", True)] == 1
    assert counts[("redis", "GET", False)] == 5
    assert all("db.query.text" not in attributes for attributes, _ in found)
    assert all(0 < point.sum < 10 for _, point in found)  # seconds


def test_nothing_is_loaded_while_metrics_are_off(place: Place) -> None:
    """Without an exporter: no provider of the SDK, no sampler of ours, unsampled spans stay unrecorded."""
    place.write(
        "app.py",
        "import sys, tellwhy\n"
        "with tellwhy.span('work') as span: print(type(span).__name__)\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'tellwhy.metrics'))])\n",
    )
    done = place.wrapped(
        *("python", "app.py"),
        OTEL_METRICS_EXPORTER="none",
        OTEL_TRACES_SAMPLER="always_off",
        OTEL_TRACES_EXPORTER="otlp",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
    )

    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_a_provider_of_the_programs_own_stays(place: Place) -> None:
    """A program that sets a MeterProvider, before or after us, keeps it, without a warning."""
    place.write(
        "app.py",
        "import tellwhy\n"
        "from opentelemetry import metrics\n"
        "from opentelemetry.sdk.metrics import MeterProvider\n"
        "with tellwhy.span('work'): pass\n"
        "mine = MeterProvider(shutdown_on_exit=False)\n"
        "metrics.set_meter_provider(mine)\n"
        "print(metrics.get_meter_provider() is mine)\n",
    )
    with OtlpReceiver() as receiver:
        done = place.wrapped("python", "app.py", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint)

    assert done.stdout == "True\n"
    assert lines_of_others(done.stderr) == []


class GrpcMetrics(MetricsServiceServicer):
    """A gRPC server on loopback that takes metrics."""

    def __init__(self) -> None:
        self.messages: list[ExportMetricsServiceRequest] = []
        self._server = grpc.server(futures.ThreadPoolExecutor(2))
        add_MetricsServiceServicer_to_server(self, self._server)
        self.endpoint = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def Export(self, request: ExportMetricsServiceRequest, context: object) -> ExportMetricsServiceResponse:
        self.messages.append(request)
        return ExportMetricsServiceResponse()

    def __enter__(self) -> GrpcMetrics:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(grace=None).wait()
