# SPDX-License-Identifier: Apache-2.0
"""Does what the environment says arrive? Resource, sampler, propagators, limits, the instrumentations' own words."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from support.otlp import OtlpReceiver, ReceivedSpan
from support.program import Place, lines_of_others, lines_of_ours

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00"


def _spans(
    place: Place, receiver: OtlpReceiver, *requests: dict[str, str], **variables: str | None
) -> list[ReceivedSpan]:
    """Run a Flask program that gets these requests; return the spans, in order, of a run without a complaint."""
    place.copy("caller.py")
    done = place.wrapped("python", "caller.py", *map(json.dumps, requests), **variables)
    assert (done.returncode, lines_of_others(done.stderr)) == (0, []), done.stderr
    assert len(lines_of_ours(done.stderr)) == 1, done.stderr
    spans = receiver.spans()
    receiver.clear()
    return spans


def _resource(place: Place, receiver: OtlpReceiver, *command: str, **variables: str | None) -> dict[str, object]:
    """Run a command under the wrapper and return the resource of its one span."""
    done = place.wrapped(*command, **variables)
    assert done.returncode == 0, done.stderr
    (span,) = receiver.spans(count=1, timeout=0.5)
    receiver.clear()
    return span.resource


# ------------------------------------------------------------------- resource


def test_resource_by_variables(place: Place, receiver: OtlpReceiver) -> None:
    """Attributes are percent-decoded; ``OTEL_SERVICE_NAME`` wins over them, they win over what is detected."""
    place.copy("one_span.py")

    resource = _resource(
        place,
        receiver,
        "python",
        "one_span.py",
        OTEL_SERVICE_NAME=" payments ",
        OTEL_RESOURCE_ATTRIBUTES="service.name=other, team=blue%2C%20red%3D%C3%BC ,host.name=mine,service.version=7",
    )

    expected = {"service.name": "payments", "team": "blue, red=ü", "host.name": "mine", "service.version": "7"}
    assert {key: resource[key] for key in expected} == expected


def test_resource_that_is_detected(place: Place, receiver: OtlpReceiver) -> None:
    """Host, process, SDK and distribution are named as the semantic conventions name them; arguments are not."""
    place.copy("one_span.py")

    resource = _resource(place, receiver, "python", "one_span.py", "--password=s3cr3t")

    assert resource["service.name"] == "one_span"
    assert resource["telemetry.distro.name"] == "tellwhy"
    assert resource["telemetry.sdk.language"] == "python"
    assert resource["process.runtime.name"] == "cpython"
    assert resource["process.runtime.version"] == ".".join(map(str, sys.version_info[:3]))
    assert {"host.name", "host.arch", "os.type", "process.pid", "service.instance.id"} <= set(resource)
    assert "s3cr3t" not in str(resource)


def test_inferred_name_and_version(place: Place, receiver: OtlpReceiver) -> None:
    """Launched six ways, a service is called what a person would call it; its version is git's, then the project's."""
    place.copy("one_span.py", "shop")
    place.write("shop/jobs.py", (place.folder / "one_span.py").read_text())
    place.write("shop/app.py", "app = object()\n")
    place.write("bin/nightly", f"#!{sys.executable}\nimport one_span\n", 0o755)
    launches = {
        "one_span": ["python", "one_span.py"],
        "shop.jobs": ["python", "-m", "shop.jobs"],
        "jobs": ["python", str(place.folder / "shop" / "jobs.py")],
        "nightly": [str(place.folder / "bin" / "nightly")],
        "unknown_service:python": ["python", "-c", "import one_span"],
    }
    for name, command in launches.items():
        resource = _resource(place, receiver, *command, PYTHONPATH=str(place.folder))
        assert (resource["service.name"], resource.get("service.version")) == (name, None)

    place.write("pyproject.toml", "[project]\nname = 'web-shop'\nversion = '1.2.3'\n")
    resource = _resource(place, receiver, "python", "one_span.py")
    assert (resource["service.name"], resource["service.version"]) == ("web-shop", "1.2.3")

    git = ["git", "-C", str(place.folder), "-c", "user.name=t", "-c", "user.email=t@example.com"]
    for words in (["init", "-q"], ["add", "one_span.py"], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *words], check=True, env=place.environ, timeout=30)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True, timeout=30).stdout
    resource = _resource(place, receiver, "python", "one_span.py")
    assert resource["service.version"] == commit[:12]
    resource = _resource(place, receiver, "python", "one_span.py", OTEL_RESOURCE_ATTRIBUTES="service.version=mine")
    assert resource["service.version"] == "mine"


def test_forked_child_has_an_instance_id_of_its_own(place: Place, receiver: OtlpReceiver) -> None:
    """After a fork, process id and instance id are the child's, also where the user chose the parent's."""
    program = (
        "import os\nfrom opentelemetry import trace\nimport tellwhy\n"
        "tracer = trace.get_tracer('t')\n"
        "tracer.start_span('parent').end()\n"
        "if os.fork() == 0:\n"
        "    tracer.start_span('child').end(); tellwhy.flush(); os._exit(0)\n"
        "assert os.wait()[1] == 0\n"
        "tracer.start_span('parent').end()\n"
    )
    place.write("program.py", program)

    done = place.wrapped("python", "program.py")
    chosen = place.wrapped("python", "program.py", OTEL_RESOURCE_ATTRIBUTES="service.instance.id=blue")

    assert (done.returncode, chosen.returncode) == (0, 0), done.stderr
    spans = receiver.spans(count=6)
    ids = [(span.name, span.resource["service.instance.id"]) for span in spans]
    for runs, parent in ((ids[:3], None), (ids[3:], "blue")):
        found = {name: {id for other, id in runs if other == name} for name in ("parent", "child")}
        assert len(found["parent"]) == len(found["child"]) == 1
        assert found["parent"] != found["child"]
        if parent:
            assert found["parent"] == {parent}
            assert found["child"].pop().startswith(f"{parent}-")
    pids = {span.resource["process.pid"] for span in spans if span.name == "child"}
    assert len(pids) == 2


# -------------------------------------------------------------------- sampler


@pytest.mark.parametrize(
    ("sampler", "argument", "root", "of_sampled", "of_unsampled"),
    [
        (None, None, True, True, False),
        ("always_on", None, True, True, True),
        ("always_off", None, False, False, False),
        ("traceidratio", "0", False, False, False),
        ("traceidratio", "1.0", True, True, True),
        ("traceidratio", None, True, True, True),
        ("parentbased_always_on", None, True, True, False),
        ("parentbased_always_off", None, False, True, False),
        ("parentbased_traceidratio", "0.0", False, True, False),
        ("PARENTBASED_TraceIdRatio", "1", True, True, False),
    ],
)
def test_samplers(
    place: Place,
    receiver: OtlpReceiver,
    sampler: str | None,
    argument: str | None,
    root: bool,
    of_sampled: bool,
    of_unsampled: bool,
) -> None:
    """Each sampler decides about a new trace, a caller's sampled one and a caller's unsampled one."""
    requests = [
        {"path": "/root"},
        {"path": "/sampled", "traceparent": SAMPLED},
        {"path": "/not", "traceparent": UNSAMPLED},
    ]

    spans = _spans(place, receiver, *requests, OTEL_TRACES_SAMPLER=sampler, OTEL_TRACES_SAMPLER_ARG=argument)

    paths = [span.attributes["url.path"] for span in spans]
    assert paths == [
        path for path, wanted in (("/root", root), ("/sampled", of_sampled), ("/not", of_unsampled)) if wanted
    ]
    for span in spans:
        if span.attributes["url.path"] != "/root":
            assert (span.trace_id, span.parent_span_id) == (TRACE, PARENT)


def test_ratio_keeps_that_share(place: Place, receiver: OtlpReceiver) -> None:
    """A ratio of 0.2 keeps about a fifth of a thousand traces."""
    place.write(
        "program.py",
        "from opentelemetry import trace\ntracer = trace.get_tracer('t')\n"
        "for _ in range(1000): tracer.start_span('work').end()\n",
    )

    place.wrapped("python", "program.py", OTEL_TRACES_SAMPLER="traceidratio", OTEL_TRACES_SAMPLER_ARG="0.2")

    assert 120 < len(receiver.spans()) < 290


# ---------------------------------------------------------------- propagators


@pytest.mark.parametrize(
    ("propagators", "adopted"),
    [(None, True), ("tracecontext", True), ("baggage", False), ("none", False), ("TraceContext , baggage", True)],
)
def test_propagators(place: Place, receiver: OtlpReceiver, propagators: str | None, adopted: bool) -> None:
    """A caller's ``traceparent`` is read by ``tracecontext`` only."""
    (span,) = _spans(place, receiver, {"traceparent": SAMPLED}, OTEL_PROPAGATORS=propagators)

    assert (span.trace_id == TRACE) == adopted


def test_propagators_towards_others(place: Place) -> None:
    """What is injected follows the same variable, and baggage travels by default."""
    place.write(
        "program.py",
        "from opentelemetry import baggage, propagate, trace\n"
        "carrier = {}\n"
        "with trace.get_tracer('t').start_as_current_span('work'):\n"
        "    propagate.inject(carrier, baggage.set_baggage('user', 'ann'))\n"
        "print(sorted(carrier))\n",
    )

    assert place.wrapped("python", "program.py", OTEL_PROPAGATORS="baggage").stdout == "['baggage']\n"
    assert place.wrapped("python", "program.py", OTEL_PROPAGATORS="none").stdout == "[]\n"


# --------------------------------------------------------------------- limits

LIMITS = """\
from opentelemetry import trace
tracer = trace.get_tracer("t")
context = trace.SpanContext(1, 2, False, trace.TraceFlags(1))
links = [trace.Link(context, {"a": 1, "b": 2, "c": 3})] * 3
with tracer.start_as_current_span("work", links=links) as span:
    for number in range(150):
        span.set_attribute(f"key{number}", "x" * 100)
    for number in range(3):
        span.add_event("event", {"a": "y" * 100, "b": 2, "c": 3})
"""


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, (128, 100, 3, 3, 3, 3, 100)),
        ({"OTEL_ATTRIBUTE_COUNT_LIMIT": "2"}, (2, 100, 3, 2, 3, 2, 100)),
        ({"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "5", "OTEL_ATTRIBUTE_COUNT_LIMIT": "2"}, (5, 100, 3, 2, 3, 2, 100)),
        ({"OTEL_SPAN_EVENT_COUNT_LIMIT": "1", "OTEL_SPAN_LINK_COUNT_LIMIT": "2"}, (128, 100, 1, 3, 2, 3, 100)),
        (
            {"OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT": "1", "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT": "0"},
            (128, 100, 3, 1, 3, 0, 100),
        ),
        ({"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "10"}, (128, 10, 3, 3, 3, 3, 10)),
        ({"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "7"}, (128, 7, 3, 3, 3, 3, None)),
    ],
    ids=[
        "defaults",
        "attributes",
        "span attributes",
        "events and links",
        "of events and links",
        "length",
        "span length",
    ],
)
def test_limits(place: Place, receiver: OtlpReceiver, limits: dict[str, str], expected: tuple[int | None, ...]) -> None:
    """Counts and lengths are cut where the variables say, the special one before the general one."""
    place.write("program.py", LIMITS)

    done = place.wrapped("python", "program.py", **limits)

    assert (done.returncode, len(lines_of_ours(done.stderr))) == (0, 1), done.stderr
    (span,) = receiver.spans(count=1, timeout=0.5)
    lengths = {len(value) for value in span.attributes.values()}
    of_event = span.events[0].attributes
    found = (
        len(span.attributes),
        lengths.pop(),
        len(span.events),
        len(of_event),
        len(span.links),
        len(span.links[0].attributes),
        len(of_event["a"]) if "a" in of_event and expected[6] else expected[6],
    )
    # Which attributes of an event stay is not said: with fewer than all, the long one may be gone.
    assert found == expected


# ----------------------------------------------------------- instrumentations


def test_request_headers_are_captured(place: Place, receiver: OtlpReceiver) -> None:
    """Headers that the variables name stand on the server span, others do not."""
    (span,) = _spans(
        place,
        receiver,
        {"X-Request-Id": "r-17", "X-Other": "no"},
        OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST="x-request-id,x-tenant",
        OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE="x-ans.*",
    )

    captured = {key: value for key, value in span.attributes.items() if ".header." in key}
    assert list(captured.values()) == [["r-17"], ["42"]]
    assert all("request" in key or "answer" in key for key in captured)


def test_urls_are_excluded(place: Place, receiver: OtlpReceiver) -> None:
    """``OTEL_PYTHON_EXCLUDED_URLS`` leaves matching requests untraced; the one for Flask wins."""
    requests = [{"path": path} for path in ("/probe", "/figures", "/hello")]

    general = _spans(place, receiver, *requests, OTEL_PYTHON_EXCLUDED_URLS="probe,figures")
    special = _spans(
        place, receiver, *requests, OTEL_PYTHON_EXCLUDED_URLS="hello", OTEL_PYTHON_FLASK_EXCLUDED_URLS="probe"
    )

    assert [span.attributes["url.path"] for span in general] == ["/hello"]
    assert [span.attributes["url.path"] for span in special] == ["/figures", "/hello"]


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "redis, flask"},
        {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "*"},
        {"TELLWHY_INSTRUMENT": "requests,redis"},
        {"OTEL_SDK_DISABLED": "TRUE"},
        {"OTEL_TRACES_SAMPLER": "always_off"},
    ],
    ids=["by name", "all", "not on the list", "disabled", "never sampled"],
)
def test_instrumentations_are_left_out(place: Place, receiver: OtlpReceiver, variables: dict[str, str]) -> None:
    """What is switched off makes no span."""
    assert _spans(place, receiver, {}, **variables) == []


@pytest.mark.parametrize(
    ("opt_in", "names"),
    [(None, "new"), ("http", "new"), ("none", "old"), ("http/dup", "both"), ("gen_ai_latest_experimental", "old")],
)
def test_semantic_conventions(place: Place, receiver: OtlpReceiver, opt_in: str | None, names: str) -> None:
    """The stable names unless told otherwise: ``none`` gives the old ones, ``http/dup`` both."""
    (span,) = _spans(place, receiver, {}, OTEL_SEMCONV_STABILITY_OPT_IN=opt_in)

    assert ("http.request.method" in span.attributes) == (names != "old")
    assert ("http.method" in span.attributes) == (names != "new")
