"""Metrics that are scraped: from one process, from gunicorn's workers, and by a real Prometheus."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.otlp import OtlpReceiver
from support.program import Place, Running, lines_of_others, lines_of_ours

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
APP = """
import os, time
from flask import Flask
from opentelemetry import metrics

meter = metrics.get_meter("shop")
orders = meter.create_counter("shop.orders", "{order}", "Orders taken.")
sizes = meter.create_histogram("shop.size", "By")
waiting = meter.create_up_down_counter("shop.waiting")
meter.create_observable_gauge("shop.temperature", [lambda _: [metrics.Observation(21.5, {"room": 'a "b"'})]], "Cel")
app = Flask(__name__)


@app.get("/order/<int:number>")
def order(number):
    orders.add(1, {"kind": "book"})
    sizes.record(number)
    waiting.add(1)
    time.sleep(0.002)
    return str(os.getpid())
"""
CALLS = 'traces_span_metrics_calls_total{service_name="shop",span_kind="SPAN_KIND_SERVER"'
NEEDS_PROMETHEUS = pytest.mark.skipif(
    shutil.which("prometheus") is None and "CI" not in os.environ,
    reason="apt-get install prometheus; .ci/run does",
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "tmp").mkdir()
    place = Place(
        tmp_path,
        OTEL_METRICS_EXPORTER="prometheus",
        OTEL_EXPORTER_PROMETHEUS_PORT=str(free_port()),
        OTEL_SERVICE_NAME="shop",
        OTEL_TRACES_EXPORTER="none",
        TMPDIR=str(tmp_path / "tmp"),
    )
    place.write("shop.py", APP)
    return place


def scrape(place: Place, accept: str = OPENMETRICS) -> str:
    port = place.environ["OTEL_EXPORTER_PROMETHEUS_PORT"]
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.headers["content-type"].startswith(accept.split(";")[0])
        return str(answer.read().decode())


def value(page: str, sample: str) -> float:
    """Return the value of the one sample whose line begins so; 0 if there is none."""
    lines = [line for line in page.splitlines() if line.startswith(sample)]
    assert len(lines) <= 1, lines
    return float(lines[0].partition(" # ")[0].rpartition(" ")[2]) if lines else 0.0


def until(look: Callable[[], Any], what: str, timeout: float = 20.0) -> Any:
    """Look until something true is seen; a port that nobody has at the moment is looked at again."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            if found := look():
                return found
        except OSError:
            pass
        assert time.monotonic() < deadline, f"{what}: not within {timeout} s"
        time.sleep(0.05)


@contextmanager
def gunicorn(place: Place, *options: str, **variables: str) -> Iterator[tuple[Running, int]]:
    command = ("tellwhy", "run", "gunicorn", "-b", "127.0.0.1:0", "-w", "2", *options, "shop:app")
    with place.start(*command, **variables) as server:
        yield server, int(server.wait_for(r"Listening at: http://127\.0\.0\.1:(\d+)"))


def order(server: Running, port: int, times: int) -> set[int]:
    """Order so many times; return the workers that have taken the orders."""
    answers = [server.get(f"/order/{number}", port) for number in range(times)]
    assert {status for status, _ in answers} == {200}
    return {int(pid) for _, pid in answers}


def test_one_process(place: Place) -> None:
    """OpenMetrics with exemplars for who asks for it, the older format else; nothing on the program's streams."""
    place.write(
        "app.py",
        "import tellwhy, shop, sys\n"
        "client = shop.app.test_client()\n"
        "for number in range(10): client.get(f'/order/{number}')\n"
        "print('done', flush=True)\n"
        "sys.stdin.read()\n",
    )
    with place.start("tellwhy", "run", "python", "app.py", stdin=subprocess.PIPE) as running:
        running.wait_for("done")
        page, older = scrape(place), scrape(place, "text/plain")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"http://127.0.0.1:{place.environ['OTEL_EXPORTER_PROMETHEUS_PORT']}/nothing")
        done = running.finish(b"", 30)

    assert page.endswith("# EOF\n")
    for line in (
        "# TYPE shop_orders counter",
        "# HELP shop_orders Orders taken.",
        "# TYPE shop_size_bytes histogram",
        "# UNIT shop_size_bytes bytes",
        "# TYPE traces_span_metrics_calls counter",
        "# TYPE traces_span_metrics_duration_milliseconds histogram",
        "# TYPE http_server_request_duration_seconds histogram",
        "# TYPE target info",
    ):
        assert line in page.splitlines()
    assert value(page, 'shop_orders_total{kind="book",otel_scope_name="shop"}') == 10
    assert value(page, 'shop_temperature_celsius{room="a \\"b\\"",otel_scope_name="shop"}') == 21.5
    assert value(page, 'http_server_request_duration_seconds_count{http_request_method="GET"') == 10
    assert re.search(r'target_info\{.*service_name="shop".*\} 1', page)
    assert "process_pid" not in page
    assert re.search(r'calls_total\{.*\} 10 # \{trace_id="[0-9a-f]{32}",span_id="[0-9a-f]{16}"\} 1 \d+\.\d{3}', page)
    assert re.search(r'duration_milliseconds_bucket\{.*le="\+Inf"\} 10', page)
    assert "# TYPE shop_orders_total counter" in older.splitlines()
    assert "# {" not in older
    assert "EOF" not in older
    assert lines_of_others(done.stderr) == []


@pytest.mark.parametrize("options", [(), ("--preload",), ("--threads", "4")], ids=["plain", "preload", "threads"])
def test_gunicorn_adds_its_workers_up(place: Place, options: tuple[str, ...]) -> None:
    """Two workers behind one port: every order is counted once, whoever has taken it, whoever is scraped."""
    with gunicorn(place, *options) as (server, port):
        workers: set[int] = set()
        orders = 0
        while len(workers) < 2 and orders < 2000:
            workers |= order(server, port, 50)
            orders += 50
        assert len(workers) == 2
        page = until(
            lambda: value(page := scrape(place), 'shop_orders_total{kind="book"') == orders and page, "all orders"
        )
        time.sleep(1.5)
        again = scrape(place)

    for one in (page, again):
        assert value(one, 'shop_orders_total{kind="book"') == orders
        assert value(one, "shop_size_bytes_count") == orders
        assert value(one, CALLS) == orders
        assert value(one, "shop_waiting{") == orders
        assert value(one, 'shop_temperature_celsius{room="a') == 21.5


def test_dead_workers_are_kept(place: Place) -> None:
    """Workers that end, by SIGTERM or SIGKILL, the one with the port too: no count is lost and none is doubled."""
    with gunicorn(place) as (server, port):
        orders = 0
        for kill in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
            workers: set[int] = set()
            for _ in range(40):
                workers |= order(server, port, 25)
                orders += 25
                if len(workers) == 2:
                    break
            until(
                lambda expected=orders: value(scrape(place), 'shop_orders_total{kind="book"') == expected,  # type: ignore[misc]
                f"{orders} orders",
            )
            time.sleep(1.5)  # SIGKILL may take the last second with it
            for pid in workers:
                os.kill(pid, kill)
            until(lambda gone=workers: not any(is_alive(pid) for pid in gone), "the end of the workers")  # type: ignore[misc]
            order(server, port, 1)
            orders += 1
        page = until(
            lambda: value(page := scrape(place), 'shop_orders_total{kind="book"') >= orders and page, "all orders"
        )
        server.stop()

    assert value(page, 'shop_orders_total{kind="book"') == orders
    assert value(page, CALLS) == orders
    assert value(page, "shop_waiting{") < orders  # what the dead had open is no longer


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_new_run_starts_from_nothing(place: Place) -> None:
    """When nobody of the run before is left, its counts are gone with it."""
    for orders in (30, 20):
        with gunicorn(place) as (server, port):
            order(server, port, orders)
            until(
                lambda expected=orders: value(scrape(place), 'shop_orders_total{kind="book"') == expected,  # type: ignore[misc]
                f"{orders} orders",
            )
            server.stop()


def test_a_port_that_is_taken_is_said_once(place: Place) -> None:
    """Another program has the port: one line, and the program goes on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", int(place.environ["OTEL_EXPORTER_PROMETHEUS_PORT"])))
        other.listen()
        place.write("app.py", "import time, tellwhy\nwith tellwhy.span('x'): time.sleep(2.5)\n")
        done = place.wrapped("python", "app.py")

    assert done.returncode == 0
    assert len([line for line in lines_of_ours(done.stderr) if "metrics cannot be scraped" in line]) == 1


@NEEDS_PROMETHEUS
def test_promtool_finds_no_fault(place: Place) -> None:
    """Prometheus's own reader takes what we write, and its linter has nothing to say about our own names."""
    place.write("app.py", "import shop, time\nshop.app.test_client().get('/order/1')\ntime.sleep(20)\n")
    with place.start("tellwhy", "run", "python", "app.py"):
        page = until(lambda: (page := scrape(place, "text/plain")) and "shop_orders" in page and page, "a page")
    done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True, check=False)

    assert done.returncode in (0, 3), done.stderr  # 3: lint only
    assert "error while linting" not in done.stderr
    assert [
        line for line in done.stderr.splitlines() if "no help text" not in line and "milliseconds" not in line
    ] == []


@NEEDS_PROMETHEUS
def test_prometheus_leads_to_the_trace(place: Place, tmp_path: Path) -> None:
    """
    From a metric to a trace from that moment, with real parts.

    Debian's Prometheus scrapes a gunicorn app with two workers, of which a fifth
    of the traces are kept: its counts are exact, and every exemplar is a trace that has arrived.
    """
    with (
        OtlpReceiver() as receiver,
        gunicorn(
            place,
            OTEL_TRACES_EXPORTER="otlp",
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
            OTEL_TRACES_SAMPLER="parentbased_traceidratio",
            OTEL_TRACES_SAMPLER_ARG="0.2",
            OTEL_BSP_SCHEDULE_DELAY="100",
        ) as (server, port),
        prometheus(tmp_path, place) as api,
    ):
        order(server, port, 300)
        until(
            lambda: api("query", query='sum(traces_span_metrics_calls_total{span_kind="SPAN_KIND_SERVER"})') == ["300"],
            "300 calls in Prometheus",
        )
        query = "traces_span_metrics_duration_milliseconds_bucket"
        found = until(lambda: api("query_exemplars", query=query, start=time.time() - 60, end=time.time()), "exemplars")
        exemplars = {
            exemplar["labels"]["trace_id"]: exemplar["labels"]["span_id"]
            for series in found
            for exemplar in series["exemplars"]
        }
        for trace_id, span_id in exemplars.items():
            span = receiver.wait_for(lambda span, wanted=trace_id: span.trace_id == wanted and span.kind == "SERVER")  # type: ignore[misc]
            assert span.span_id == span_id
            assert span.service == "shop"
        kept = {span.trace_id for span in receiver.spans()}

    assert exemplars
    assert 0 < len(kept) < 150


@NEEDS_PROMETHEUS
@pytest.mark.servers
@pytest.mark.timeout(180)
def test_prometheus_leads_to_the_demos_traces(place: Place, tmp_path: Path) -> None:
    """``tellwhy demo``, scraped by a real Prometheus: the trace that an exemplar names is one that the viewer shows."""
    demo = [
        f"--env={name}={place.environ[name]}" for name in place.environ if name.startswith(("OTEL_METR", "OTEL_EXP"))
    ]
    for name in [name for name in place.environ if name.startswith("OTEL_")]:
        del place.environ[name]
    port = demo[-1].rpartition("=")[2]
    place.environ["OTEL_EXPORTER_PROMETHEUS_PORT"] = port
    with place.start("tellwhy", "demo", *demo) as running, prometheus(tmp_path, place) as api:

        def shown() -> bool:
            query = "traces_span_metrics_duration_milliseconds_bucket"
            found = api("query_exemplars", query=query, start=time.time() - 120, end=time.time())
            trace_ids = {exemplar["labels"]["trace_id"] for series in found for exemplar in series["exemplars"]}
            return any(trace_id in running.stdout for trace_id in trace_ids)

        until(shown, "an exemplar's trace in the viewer", 90)


@contextmanager
def prometheus(folder: Path, place: Place) -> Iterator[Callable[..., list[Any]]]:
    """Run Prometheus with exemplar storage, scraping the place's port; the value asks its HTTP API."""
    target = f"127.0.0.1:{place.environ['OTEL_EXPORTER_PROMETHEUS_PORT']}"
    listen = f"127.0.0.1:{free_port()}"
    settings = folder / "prometheus.yml"
    settings.write_text(
        "global: {scrape_interval: 250ms, scrape_timeout: 250ms}\n"
        f"scrape_configs: [{{job_name: shop, static_configs: [{{targets: ['{target}']}}]}}]\n"
    )
    command = [
        "prometheus",
        f"--config.file={settings}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address={listen}",
        "--enable-feature=exemplar-storage",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)

    def ask(what: str, **parameters: object) -> list[Any]:
        address = f"http://{listen}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(address, timeout=10) as answer:
            data = json.load(answer)["data"]
        return data if what == "query_exemplars" else [series["value"][1] for series in data["result"]]

    try:
        until(lambda: ask("query", query="vector(1)"), "Prometheus", 60)
        yield ask
    finally:
        process.terminate()
        process.wait(20)
