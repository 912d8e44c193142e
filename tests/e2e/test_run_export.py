# SPDX-License-Identifier: Apache-2.0
"""Do the exporter's variables hold? Endpoint, headers, protocol, compression, timeout, certificates, batches."""

from __future__ import annotations

import signal
import ssl

import pytest
import trustme

from support.otlp import Answer, OtlpReceiver, Post
from support.otlp_grpc import OtlpGrpcReceiver
from support.program import Place, lines_of_others, lines_of_ours


def _run(place: Place, **variables: str | None) -> str:
    """Run the program that makes one span; return what it wrote to stderr."""
    place.copy("one_span.py")
    done = place.wrapped("python", "one_span.py", **variables)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("path", ["", "/otlp"])
def test_general_endpoint_gets_the_signals_path(place: Place, receiver: OtlpReceiver, path: str, slash: str) -> None:
    """``/v1/traces`` is appended to ``OTEL_EXPORTER_OTLP_ENDPOINT``, whatever it ends with."""
    _run(place, OTEL_EXPORTER_OTLP_ENDPOINT=f"{receiver.endpoint}{path}{slash}", TELLWHY_EXIT_BUDGET="300")

    # The receiver refuses paths that it does not know, and notes them.
    asked = [post.path for post in receiver.posts] + [problem.partition(":")[0] for problem in receiver.problems]
    assert set(asked) == {f"{path}/v1/traces"}


def test_endpoint_for_spans_is_used_as_it_is(place: Place, receiver: OtlpReceiver) -> None:
    """``OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`` wins and is not completed."""
    _run(
        place,
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{receiver.endpoint}/v1/traces",
    )

    assert receiver.spans(count=1, timeout=0.5)


def test_headers_of_both_variables(place: Place, receiver: OtlpReceiver) -> None:
    """General headers and those for spans are both sent, the latter win; values keep ``=``, blanks and commas."""
    stderr = _run(
        place,
        OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer a b=,x-tenant=acme,x-both=general",
        OTEL_EXPORTER_OTLP_TRACES_HEADERS="x-both=spans, x-list = a%2Cb%3D%20c ",
    )

    (post,) = receiver.wait_for_posts(1, timeout=0.5)
    sent = {name: post.headers.get(name) for name in ("authorization", "x-tenant", "x-both", "x-list")}
    assert sent == {"authorization": "Bearer a b=", "x-tenant": "acme", "x-both": "spans", "x-list": "a,b= c"}
    assert "Bearer" not in stderr


def test_protobuf_is_the_default_and_named(place: Place, receiver: OtlpReceiver) -> None:
    """Without a word about the protocol, spans go as protobuf over HTTP, uncompressed, with a user agent."""
    _run(place)

    (post,) = receiver.wait_for_posts(1, timeout=0.5)
    assert post.headers["content-type"] == "application/x-protobuf"
    assert post.headers.get("content-encoding", "identity") == "identity"
    assert "OTel-OTLP-Exporter-Python/" in post.headers["user-agent"]


@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_COMPRESSION", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION"])
def test_gzip(place: Place, receiver: OtlpReceiver, variable: str) -> None:
    """``gzip`` compresses, by either variable."""
    _run(place, **{variable: "gzip"})

    (post,) = receiver.wait_for_posts(1, timeout=0.5)
    assert post.headers["content-encoding"] == "gzip"
    assert receiver.spans(count=1)


@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"])
def test_timeout_counts_milliseconds(place: Place, receiver: OtlpReceiver, variable: str) -> None:
    """A receiver that takes its time is given 300 ms, not 300 s."""
    receiver.answer = lambda post: Answer(delay=3)
    place.write(
        "program.py",
        "import time\nfrom opentelemetry import trace\nimport tellwhy\n"
        "trace.get_tracer('t').start_span('work').end()\n"
        "start = time.monotonic(); tellwhy.flush(20); print(time.monotonic() - start)\n",
    )

    done = place.wrapped("python", "program.py", **{variable: "300"})

    assert done.returncode == 0, done.stderr
    assert 0.2 < float(done.stdout) < 2.5
    assert receiver.wait_for_posts(1)


@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"])
def test_grpc(place: Place, variable: str) -> None:
    """``grpc`` speaks gRPC, with headers in lower case and the scheme deciding on TLS."""
    with OtlpGrpcReceiver() as receiver:
        stderr = _run(
            place,
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
            OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer a b=",
            OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
            **{variable: "grpc"},
        )

        assert [span.name for span in receiver.spans] == ["work"], stderr
        assert receiver.metadata["authorization"] == "Bearer a b="
    assert f"to {receiver.endpoint} (grpc)" in stderr
    assert lines_of_others(stderr) == []


def test_grpc_without_a_scheme(place: Place) -> None:
    """``host:port`` with ``OTEL_EXPORTER_OTLP_INSECURE=true`` is gRPC without TLS."""
    with OtlpGrpcReceiver() as receiver:
        _run(
            place,
            OTEL_EXPORTER_OTLP_ENDPOINT=f"127.0.0.1:{receiver.port}",
            OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
            OTEL_EXPORTER_OTLP_INSECURE="true",
        )

        assert [span.name for span in receiver.spans] == ["work"]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A certificate authority that only these tests know."""
    return trustme.CA()


@pytest.fixture
def bundle(place: Place, authority: trustme.CA) -> str:
    """The authority's certificate in a file."""
    return str(place.write("ca.pem", authority.cert_pem.bytes().decode()))


def _server_context(authority: trustme.CA, *, demand_certificate: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    if demand_certificate:
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE"])
def test_certificate_of_an_own_authority(place: Place, authority: trustme.CA, bundle: str, variable: str) -> None:
    """A receiver whose certificate the system does not know is trusted with the given file, and only with it."""
    with OtlpReceiver(ssl_context=_server_context(authority)) as receiver:
        _run(place, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, TELLWHY_EXIT_BUDGET="300")
        assert receiver.spans() == []
        _run(place, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, **{variable: bundle})
        assert receiver.spans(count=1, timeout=0.5)


def test_client_certificate(place: Place, authority: trustme.CA, bundle: str) -> None:
    """Mutual TLS: the receiver demands a certificate and gets the one that the variables name."""
    client = authority.issue_cert("client.example")
    key = place.write("key.pem", client.private_key_pem.bytes().decode())
    chain = place.write("chain.pem", client.cert_chain_pems[0].bytes().decode())
    with OtlpReceiver(ssl_context=_server_context(authority, demand_certificate=True)) as receiver:
        _run(
            place,
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
            OTEL_EXPORTER_OTLP_CERTIFICATE=bundle,
            OTEL_EXPORTER_OTLP_CLIENT_KEY=str(key),
            OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=str(chain),
        )
        assert receiver.spans(count=1, timeout=0.5)


def test_certificate_over_grpc(place: Place, authority: trustme.CA, bundle: str) -> None:
    """The same file is trusted by the gRPC exporter."""
    issued = authority.issue_cert("127.0.0.1")
    pair = (issued.private_key_pem.bytes(), issued.cert_chain_pems[0].bytes())
    with OtlpGrpcReceiver(pair) as receiver:
        _run(
            place,
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
            OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
            OTEL_EXPORTER_OTLP_CERTIFICATE=bundle,
        )
        assert [span.name for span in receiver.spans] == ["work"]


def test_exporters_in_a_list(place: Place, receiver: OtlpReceiver) -> None:
    """``console,otlp`` does both: the span on stdout, and at the receiver."""
    place.copy("one_span.py")

    done = place.wrapped("python", "one_span.py", OTEL_TRACES_EXPORTER="console,otlp")

    assert '"name": "work"' in done.stdout, done.stderr
    assert receiver.spans(count=1, timeout=0.5)


def test_no_exporter(place: Place, receiver: OtlpReceiver) -> None:
    """``none`` sends nothing, and the start line says so."""
    stderr = _run(place, OTEL_TRACES_EXPORTER="none")

    assert receiver.posts == []
    assert "to nowhere (OTEL_TRACES_EXPORTER=none)" in stderr


BATCHES = """\
import time
from opentelemetry import trace
tracer = trace.get_tracer("t")
for number in range(10):
    tracer.start_span(str(number)).end()
print("made", flush=True)
time.sleep(60)
"""


def test_batch_size_and_delay(place: Place, receiver: OtlpReceiver) -> None:
    """Spans leave in batches of the given size, after the given delay, without anybody asking."""
    place.write("program.py", BATCHES)
    place.environ |= {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "4", "OTEL_BSP_SCHEDULE_DELAY": "100"}

    with place.start("tellwhy", "run", "python", "program.py"):
        spans = receiver.spans(count=10, timeout=20)

    assert sorted(span.name for span in spans) == [str(number) for number in range(10)]
    assert max(_count(post) for post in receiver.posts) == 4


def test_delay_holds_spans_back(place: Place, receiver: OtlpReceiver) -> None:
    """With a long delay nothing has left when the process is killed."""
    place.write("program.py", BATCHES)

    with place.start("tellwhy", "run", "python", "program.py", OTEL_BSP_SCHEDULE_DELAY="60000") as running:
        running.wait_for("made")
        running.stop(signal.SIGKILL)

    assert receiver.posts == []


@pytest.mark.parametrize("batch", [None, "64"], ids=["default batch", "larger batch"])
def test_queue_smaller_than_the_batch_still_exports(place: Place, receiver: OtlpReceiver, batch: str | None) -> None:
    """A small queue is a wish, not a fault: the batch becomes as small, and spans arrive."""
    stderr = _run(place, OTEL_BSP_MAX_QUEUE_SIZE="8", OTEL_BSP_MAX_EXPORT_BATCH_SIZE=batch)

    assert receiver.spans(count=1, timeout=0.5)
    told = [line for line in lines_of_ours(stderr) if line.startswith("OTEL_")]
    expected = ["OTEL_BSP_MAX_EXPORT_BATCH_SIZE='64': larger than the queue of 8; using 8"] if batch else []
    assert told == expected


def _count(post: Post) -> int:
    return sum(len(scope.spans) for of in post.message.resource_spans for scope in of.scope_spans)
