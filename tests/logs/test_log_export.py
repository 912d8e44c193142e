"""Log records over OTLP: what arrives, and what happens when nobody wants them. Real processes, real sockets."""

from __future__ import annotations

import re
import time
from concurrent import futures
from pathlib import Path

import grpc
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import (
    LogsServiceServicer,
    add_LogsServiceServicer_to_server,
)

from support.otlp import Answer, OtlpReceiver, ReceivedLog, decode_logs
from support.otlp_grpc import OtlpGrpcReceiver
from support.program import Place, lines_of_others, lines_of_ours

PROGRAM = """
import logging, tellwhy

log = logging.getLogger("shop.orders")
log.error("order %s taken", 7, extra={"order_id": 7, "password": "hunter2"})
with tellwhy.span("work"):
    log.warning("card token=s3cr3t-value", extra={"login": {"api_key": "k", "number": 1}})
    try:
        raise KeyError("no such thing")
    except KeyError:
        log.exception("failed")
print(tellwhy.current_trace_id())
"""
CONSOLE = [
    "order 7 taken",
    "card token=s3cr3t-value",
    "failed",
    "Traceback (most recent call last):",
    '  File "app.py", line 9, in <module>',
    '    raise KeyError("no such thing")',
    "KeyError: 'no such thing'",
]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path, OTEL_LOGS_EXPORTER="otlp", OTEL_SERVICE_NAME="shop", TELLWHY_EXIT_BUDGET="20000")
    place.write("app.py", PROGRAM)
    return place


def check(records: list[ReceivedLog], trace_id: str, span_id: str) -> None:
    """What PROGRAM logs, as it must arrive by whatever protocol."""
    first, second, third = records
    assert [record.body for record in records] == ["order 7 taken", "card token=[redacted]", "failed"]
    assert [record.severity for record in records] == ["ERROR", "WARNING", "ERROR"]
    assert [record.severity_number for record in records] == [17, 13, 17]
    assert {record.scope for record in records} == {"shop.orders"}
    assert {record.resource["service.name"] for record in records} == {"shop"}
    assert all(abs(record.time_ns - time.time_ns()) < 120e9 for record in records)
    assert (first.trace_id, first.span_id, first.flags) == ("", "", 0)
    assert {(record.trace_id, record.span_id, record.flags & 1) for record in (second, third)} == {
        (trace_id, span_id, 1)
    }
    assert first.attributes == {
        "order_id": 7,
        "password": "[redacted]",
        "code.file.path": first.attributes["code.file.path"],
        "code.function.name": "<module>",
        "code.line.number": 5,
    }
    assert str(first.attributes["code.file.path"]).endswith("app.py")
    assert second.attributes["login"] == {"api_key": "[redacted]", "number": 1}
    assert third.attributes["exception.type"] == "KeyError"
    assert third.attributes["exception.message"] == "'no such thing'"
    stacktrace = third.attributes["exception.stacktrace"]
    assert stacktrace.startswith("Traceback (most recent call last):\n")
    assert 'raise KeyError("no such thing")\n' in stacktrace
    assert stacktrace.endswith("KeyError: 'no such thing'\n")


@pytest.mark.parametrize("engine", ["lean", "sdk"])
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_records_arrive_whole(place: Place, engine: str, compression: str) -> None:
    """Severity, body, extras, exception, place in the code and ids arrive; secrets do not; the console is untouched."""
    with OtlpReceiver() as receiver:
        done = place.wrapped(
            *("python", "app.py"),
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
            OTEL_EXPORTER_OTLP_LOGS_COMPRESSION=compression,
            TELLWHY_ENGINE=engine,
        )
        (span,) = receiver.spans(count=1)
        records = receiver.log_records(count=3)

    assert done.returncode == 0, done.stderr
    check(records, span.trace_id, span.span_id)
    assert receiver.problems == []
    assert [re.sub(r'".*app.py"', '"app.py"', line) for line in lines_of_others(done.stderr) if "~" not in line] == (
        CONSOLE
    )


def test_records_arrive_over_grpc(place: Place) -> None:
    """With ``grpc`` the official exporter carries them; they are the same."""
    with GrpcLogs() as receiver, OtlpReceiver() as spans:
        done = place.wrapped(
            *("python", "app.py"),
            OTEL_EXPORTER_OTLP_LOGS_PROTOCOL="grpc",
            OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=receiver.endpoint,
            OTEL_EXPORTER_OTLP_ENDPOINT=spans.endpoint,
        )
        (span,) = spans.spans(count=1)

    assert done.returncode == 0, done.stderr
    check(receiver.records, span.trace_id, span.span_id)
    assert len([line for line in lines_of_others(done.stderr) if "~" not in line]) == len(CONSOLE)


def test_json_over_http(place: Place) -> None:
    """``http/json`` is OTLP's own JSON: protobuf's reader of it gives the same records."""
    from google.protobuf import json_format

    from tellwhy.delivery.otlp import encoder_logs

    entries = made_here()
    ((payload, held),) = encoder_logs.Json.split(entries)
    ((binary, _),) = encoder_logs.split(entries)

    # OTLP/JSON writes ids in hex, protobuf's own JSON in base64: the ids are compared by themselves
    text = payload.decode()
    read = json_format.Parse(re.sub(r',"(trace|span)Id":"[0-9a-f]*"', "", text), ExportLogsServiceRequest())
    expected = ExportLogsServiceRequest.FromString(binary)
    for of_resource in expected.resource_logs:
        for of_scope in of_resource.scope_logs:
            for record in of_scope.log_records:
                assert f'"traceId":"{record.trace_id.hex()}"' in text or not record.trace_id
                record.ClearField("trace_id")
                record.ClearField("span_id")
    assert read == expected
    assert len(held) == len(entries)


def test_a_backend_without_logs_gets_one_line(place: Place) -> None:
    """404 for logs: one line of ours, not one of others; spans arrive; what was logged is counted as lost."""
    place.write(
        "loop.py",
        "import logging, time, tellwhy\n"
        "log = logging.getLogger('shop')\n"
        "for number in range(40):\n"
        "    log.warning('line %d', number)\n"
        "    time.sleep(0.02)\n"
        "with tellwhy.span('work'): pass\n"
        "print(tellwhy.stats()['logs']['dropped'])\n",
    )
    with OtlpReceiver(answer=lambda post: Answer(404 if post.path == "/v1/logs" else 200)) as receiver:
        done = place.wrapped(
            *("python", "loop.py"),
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
            OTEL_BLRP_SCHEDULE_DELAY="50",
        )
        receiver.spans(count=1)
        tries = [post for post in receiver.posts if post.path == "/v1/logs"]

    assert len(tries) == 1
    assert lines_of_others(done.stderr) == [f"line {number}" for number in range(40)]
    said = [line for line in lines_of_ours(done.stderr) if "tracing loop" not in line and "shop to" not in line]
    assert len([line for line in said if "takes no logs (404" in line]) == 1
    assert len(said) == 1, said


def test_a_grpc_backend_without_logs_gets_one_line(place: Place) -> None:
    """UNIMPLEMENTED: one line of ours, and the official exporter's own complaint is not heard."""
    with OtlpGrpcReceiver() as receiver:
        done = place.wrapped(
            *("python", "app.py"), OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, OTEL_EXPORTER_OTLP_PROTOCOL="grpc"
        )
        assert [span.name for span in receiver.spans] == ["work"]

    assert [line for line in lines_of_others(done.stderr) if "~" not in line and "File" not in line] == [
        line for line in CONSOLE if "File" not in line
    ]
    assert len([line for line in lines_of_ours(done.stderr) if "takes no logs (UNIMPLEMENTED" in line]) == 1


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_nobody_there_costs_no_more_than_the_budget(place: Place, protocol: str) -> None:
    """All signals together keep the exit budget with nobody at the other end, and say what was lost."""
    place.write("app.py", PROGRAM + "import time; print(time.time(), flush=True)\n")
    done = place.wrapped(
        *("python", "app.py"),
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        TELLWHY_EXIT_BUDGET="1000",
    )
    took = time.time() - float(done.stdout.split()[-1])

    assert took < 2.5  # the budget, and the end of an interpreter on a busy machine
    assert any("3 of 3 log records were not delivered" in line for line in lines_of_ours(done.stderr)), done.stderr


def test_delivery_does_not_export_its_own_lines(place: Place) -> None:
    """With everything logged at DEBUG, what the exporters and their libraries log breeds no further records."""
    place.write(
        "app.py",
        "import logging, time\n"
        "logging.basicConfig(level=logging.DEBUG)\n"
        "logging.getLogger('shop').debug('one')\n"
        "time.sleep(1)\n"
        "logging.getLogger('shop').debug('two')\n",
    )
    with GrpcLogs() as receiver:
        place.wrapped(
            *("python", "app.py"),
            OTEL_TRACES_EXPORTER="none",
            OTEL_EXPORTER_OTLP_LOGS_PROTOCOL="grpc",
            OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=receiver.endpoint,
            OTEL_BLRP_SCHEDULE_DELAY="20",
        )

    assert [record.body for record in receiver.records if record.scope == "shop"] == ["one", "two"]
    assert [record for record in receiver.records if record.scope.startswith(("opentelemetry.exporter", "grpc"))] == []


def test_forked_children_export_their_own(place: Place) -> None:
    """A child's records are the child's, under its own process id; what the parent had queued arrives once."""
    place.write(
        "app.py",
        "import logging, os\n"
        "log = logging.getLogger('shop')\n"
        "log.warning('before')\n"
        "child = os.fork()\n"
        "log.warning('child' if child == 0 else 'parent')\n"
        "if child: os.waitpid(child, 0)\n",
    )
    with OtlpReceiver() as receiver:
        done = place.wrapped(
            *("python", "app.py"), OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, OTEL_BLRP_SCHEDULE_DELAY="5000"
        )
        records = {record.body: record for record in receiver.log_records(count=3)}

    assert sorted(records) == ["before", "child", "parent"], done.stderr
    pids = {body: record.resource["process.pid"] for body, record in records.items()}
    ids = {body: record.resource["service.instance.id"] for body, record in records.items()}
    assert pids["before"] == pids["parent"] != pids["child"]
    assert ids["before"] == ids["parent"] != ids["child"]


def test_what_is_logged_while_nobody_is_ready_is_held(place: Place) -> None:
    """A program that never touches OpenTelemetry, and many threads at once: every line arrives, once."""
    place.write(
        "app.py",
        "import logging, threading\n"
        "log = logging.getLogger('shop')\n"
        "def work(n):\n"
        "    for m in range(50): log.warning('%d-%d', n, m)\n"
        "threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n",
    )
    with OtlpReceiver() as receiver:
        done = place.wrapped("python", "app.py", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint)
        bodies = [record.body for record in receiver.log_records(count=400)]

    assert sorted(bodies) == sorted(f"{n}-{m}" for n in range(8) for m in range(50)), done.stderr


def test_odd_records_arrive(place: Place) -> None:
    """Arguments that do not fit, messages that are no text, lone surrogates, enormous extras: each arrives."""
    place.write(
        "app.py",
        "import logging\n"
        "logging.raiseExceptions = False\n"
        "log = logging.getLogger('shop')\n"
        "class Bad:\n"
        "    def __str__(self): raise RuntimeError('no')\n"
        "log.error('%d', 'x')\n"
        "log.error({'event': 'login', 'password': 'p'})\n"
        "log.error('\\ud800 lone')\n"
        "log.error(Bad())\n"
        "log.error('big', extra={f'k{n}': 'x' * 40000 for n in range(130)})\n"
        "log.log(35, 'odd level')\n",
    )
    with OtlpReceiver() as receiver:
        done = place.wrapped("python", "app.py", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint)
        records = receiver.log_records(count=6)

    assert done.returncode == 0
    bodies = [record.body for record in records]
    assert bodies[0].startswith("%d ")
    assert bodies[1] == {"event": "login", "password": "[redacted]"}
    assert bodies[2].endswith(" lone")
    assert "RuntimeError" in bodies[3]
    assert bodies[4] == "big"
    assert records[4].attributes == {"tellwhy.truncated": True}
    assert records[4].raw.dropped_attributes_count == 133
    assert (records[5].severity, records[5].severity_number) == ("Level 35", 16)


def test_the_logs_api_goes_the_same_way(place: Place) -> None:
    """Events of instrumentations that use OpenTelemetry's logs API, by a logger that was made before there was ours."""
    place.write(
        "app.py",
        "from opentelemetry import _logs\n"
        "logger = _logs.get_logger('genai', '1.0')\n"
        "import tellwhy\n"
        "with tellwhy.span('work'):\n"
        "    logger.emit(event_name='chat', body={'role': 'user', 'api_key': 'k'}, attributes={'n': 1},\n"
        "                severity_number=_logs.SeverityNumber.INFO, exception=ValueError('token=abc123secret'))\n"
        "    _logs.get_logger('genai').emit(_logs.LogRecord(body='plain'))\n",
    )
    with OtlpReceiver() as receiver:
        done = place.wrapped("python", "app.py", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint)
        event, plain = receiver.log_records(count=2)
        (span,) = receiver.spans(count=1)

    assert done.returncode == 0, done.stderr
    assert (event.scope, event.raw.event_name, event.severity_number) == ("genai", "chat", 9)
    assert event.body == {"role": "user", "api_key": "[redacted]"}
    assert event.attributes["n"] == 1
    assert event.attributes["exception.type"] == "ValueError"
    assert "abc123secret" not in str(event)
    assert plain.body == "plain"
    assert {(record.trace_id, record.span_id) for record in (event, plain)} == {(span.trace_id, span.span_id)}


def test_gunicorn_lines_and_traces_join(place: Place) -> None:
    """Two workers of gunicorn: every log line of a request carries the ids of that request's span, 100 %."""
    place.write(
        "shop.py",
        "import logging, os, time\n"
        "from flask import Flask\n"
        "app = Flask(__name__)\n"
        "@app.get('/item/<int:number>')\n"
        "def item(number):\n"
        "    logging.getLogger('shop').warning('handled %d', number)\n"
        "    app.logger.error('flask %d', number)\n"
        "    time.sleep(0.01)\n"
        "    return str(os.getpid())\n",
    )
    requests, workers = 0, set[str]()
    with OtlpReceiver() as receiver:
        with place.start(
            *("tellwhy", "run", "gunicorn", "-b", "127.0.0.1:0", "-w", "2", "--threads", "4", "shop:app"),
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
            OTEL_BSP_SCHEDULE_DELAY="50",
            OTEL_BLRP_SCHEDULE_DELAY="50",
        ) as server:
            port = server.wait_for(r"Listening at: http://127\.0\.0\.1:(\d+)")
            with futures.ThreadPoolExecutor(8) as pool:
                while len(workers) < 2 and requests < 1000:  # the first to be ready takes the first requests
                    more = range(requests, requests + 40)
                    answers = list(pool.map(lambda number: server.get(f"/item/{number}", port), more))
                    assert {status for status, _ in answers} == {200}
                    workers |= {pid for _, pid in answers}
                    requests += len(answers)
            spans = {span.span_id: span for span in receiver.spans(count=requests)}
            server.stop()
        records = receiver.log_records()

    of_requests = [record for record in records if record.scope in ("shop", "shop.app")]
    assert len(of_requests) == 2 * requests
    for record in of_requests:
        span = spans[record.span_id]
        assert span.trace_id == record.trace_id
        assert span.attributes["url.path"] == f"/item/{record.body.split()[1]}"
        assert span.resource["service.instance.id"] == record.resource["service.instance.id"]
    assert {str(record.resource["process.pid"]) for record in of_requests} == workers
    assert len(workers) == 2
    assert {record.scope for record in records} >= {"gunicorn.error"}  # propagate = False: seen all the same


def made_here() -> list[object]:
    """Return entries of records that are logged in this process."""
    import logging

    from opentelemetry import trace

    from tellwhy.engine.core import LeanResource
    from tellwhy.logs.entries import come_from, entry_of

    resource = LeanResource({"service.name": "here"})
    come_from(lambda: resource)
    entries = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            entries.append(entry_of(record))

    logger = logging.Logger("here")
    logger.addHandler(Handler())
    span = trace.NonRecordingSpan(trace.SpanContext(0xA11CE, 0xB0B, is_remote=False, trace_flags=trace.TraceFlags(1)))
    with trace.use_span(span):
        logger.warning("inside %s", "ä", extra={"data": {"a": [1, 2.5, None, b"x"]}})
    try:
        raise ValueError("x")
    except ValueError:
        logger.exception("outside")
    return list(entries)


class GrpcLogs(LogsServiceServicer):
    """A gRPC server on loopback that takes log records."""

    def __init__(self) -> None:
        self.records: list[ReceivedLog] = []
        self._server = grpc.server(futures.ThreadPoolExecutor(2))
        add_LogsServiceServicer_to_server(self, self._server)
        self.endpoint = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def Export(self, request: ExportLogsServiceRequest, context: object) -> ExportLogsServiceResponse:
        self.records.extend(decode_logs(request))
        return ExportLogsServiceResponse()

    def __enter__(self) -> GrpcLogs:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(grace=None).wait()
