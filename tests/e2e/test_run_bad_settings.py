# SPDX-License-Identifier: Apache-2.0
"""What does a slip in a setting do? It is said in one line, and never stops or floods anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.otlp import OtlpReceiver
from support.program import Place, lines_of_others, lines_of_ours


@pytest.fixture
def engine() -> str:
    """The default one: nothing here depends on it."""
    return "lean"


RATIO = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio"}
MANY_SPANS = """\
from opentelemetry import trace
tracer = trace.get_tracer("t")
for _ in range(400):
    tracer.start_span("work").end()
"""


def _told(stderr: str) -> list[str]:
    """What tellwhy said beside the start line; nobody else said anything."""
    assert lines_of_others(stderr) == [], stderr
    return [line for line in lines_of_ours(stderr) if not line.startswith("tracing ")]


@pytest.mark.parametrize(
    ("argument", "in_force", "spans"),
    [
        ("10%", "0.1", range(10, 90)),
        ("2", "0.01 to be safe", range(20)),
        ("0,5", "0.01 to be safe", range(20)),
        ("-1", "0.01 to be safe", range(20)),
        ("nan", "0.01 to be safe", range(20)),
        ("all", "0.01 to be safe", range(20)),
    ],
)
def test_wrong_ratio_never_means_everything(
    place: Place, receiver: OtlpReceiver, argument: str, in_force: str, spans: range
) -> None:
    """A percentage is what it says; any other slip is one in a hundred, not the whole traffic."""
    place.write("program.py", MANY_SPANS)

    done = place.wrapped("python", "program.py", OTEL_TRACES_SAMPLER_ARG=argument, **RATIO)

    assert done.returncode == 0
    assert len(receiver.spans()) in spans
    assert _told(done.stderr) == [
        f"OTEL_TRACES_SAMPLER_ARG='{argument}': expected a number from 0 to 1; using {in_force}"
    ]


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        (
            "OTEL_TRACES_EXPORTER",
            "consol,otlp",
            "expected a comma-separated list of otlp, console, none (did you mean 'console'?); using otlp",
        ),
        (
            "OTEL_TRACES_SAMPLER",
            "parentbased_alwayson",
            "expected one of always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off, "
            "parentbased_traceidratio (did you mean 'parentbased_always_on'?); ignored, using parentbased_always_on",
        ),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "abc", "expected a whole number, 0 or more; ignored"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "-5", "expected a whole number, 0 or more; ignored, using 128"),
        ("OTEL_BSP_SCHEDULE_DELAY", "5s", "expected a whole number of milliseconds; ignored, using 5000"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "expected a whole number, 1 or more; ignored, using 2048"),
        (
            "OTEL_PROPAGATORS",
            "tracecontxt",
            "expected a comma-separated list of tracecontext, baggage, none (did you mean 'tracecontext'?); "
            "ignored, using tracecontext,baggage",
        ),
        (
            "OTEL_PROPAGATORS",
            "b3,tracecontext",
            "expected a comma-separated list of tracecontext, baggage, none (b3 needs pip install "
            "opentelemetry-propagator-b3); using tracecontext",
        ),
        ("OTEL_SDK_DISABLED", "yes", "expected true or false; using false"),
        (
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "http",
            "expected one of http/protobuf, http/json, grpc; ignored, using http/protobuf",
        ),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zip", "expected one of none, gzip (did you mean 'gzip'?); ignored"),
        (
            "OTEL_EXPORTER_OTLP_TIMEOUT",
            "10",
            "the specification counts milliseconds; exports give up after 10 ms; for seconds write 10000",
        ),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "team=blue,prod",
            "expected key=value pairs separated by commas; using the well-formed pairs",
        ),
        ("OTEL_PYTHON_ID_GENERATOR", "randm", "expected one of random (did you mean 'random'?); ignored, using random"),
    ],
)
def test_wrong_value_is_said_and_the_rest_holds(
    place: Place, receiver: OtlpReceiver, variable: str, value: str, line: str
) -> None:
    """One line: variable, value, what was expected, what happens now. The span arrives all the same."""
    place.copy("one_span.py")
    place.write("program.py", "import opentelemetry.propagate, opentelemetry.sdk.trace, one_span\n")

    done = place.wrapped("python", "program.py", **{variable: value}, OTEL_SERVICE_NAME="shop")

    assert done.returncode == 0, done.stderr
    assert _told(done.stderr) == [f"{variable}='{value}': {line}"]
    if variable != "OTEL_EXPORTER_OTLP_TIMEOUT":  # ten milliseconds may or may not be enough
        assert receiver.spans(count=1, timeout=0.5)[0].service == "shop"


def test_misspelt_variable_is_noticed(place: Place, receiver: OtlpReceiver) -> None:
    """A name that nobody reads and that is like one that somebody does; any unknown one of ours."""
    place.copy("one_span.py")
    variables = {
        "OTEL_SERVCE_NAME": "shop",
        "OTEL_EXPORTER_OTLP_TRACE_ENDPOINT": "http://elsewhere",
        "TELLWHY_SPEED": "fast",
        # Others' own, and known ones that tellwhy does not read: nothing to say.
        "OTEL_EXPORTER_JAEGER_ENDPOINT": "http://jaeger:14268",
        "OTEL_JAVAAGENT_ENABLED": "true",
        "OTEL_PYTHON_LOG_LEVEL": "info",
        "OTEL_METRIC_EXPORT_INTERVAL": "60000",
        "OTEL_PYTHON_FASTAPI_EXCLUDED_URLS": "healthz",
    }

    done = place.wrapped("python", "one_span.py", **variables)

    assert _told(done.stderr) == [
        "OTEL_EXPORTER_OTLP_TRACE_ENDPOINT: no such setting "
        "(did you mean 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'?); ignored",
        "OTEL_SERVCE_NAME: no such setting (did you mean 'OTEL_SERVICE_NAME'?); ignored",
        "TELLWHY_SPEED: no such setting; ignored",
    ]
    assert receiver.spans(count=1, timeout=0.5)


def test_slips_in_the_projects_file_are_said(place: Place, receiver: OtlpReceiver) -> None:
    """An unknown key, a wrong value, a file that is no TOML: a line each, naming the file."""
    place.copy("one_span.py")
    place.write(
        "pyproject.toml", "[tool.tellwhy]\nservce-name = 'x'\nbsp-max-queue-size = 'many'\nservice-name = 'shop'\n"
    )
    told = _told(place.wrapped("python", "one_span.py").stderr)
    assert told == [
        "servce-name in pyproject.toml: no such setting (did you mean 'service-name'?); ignored",
        "bsp-max-queue-size='many' in pyproject.toml: expected a whole number, 1 or more; ignored, using 2048",
    ]
    assert receiver.spans(count=1, timeout=0.5)[0].service == "shop"

    place.write("pyproject.toml", "[tool.tellwhy\n")
    (line,) = _told(place.wrapped("python", "one_span.py").stderr)
    assert line.startswith(f"{place.folder}/pyproject.toml in pyproject.toml: cannot be read: ")


@pytest.mark.parametrize("engine", ["lean", "sdk"])
def test_everything_wrong_at_once(place: Place, receiver: OtlpReceiver) -> None:
    """Every setting has a senseless value, and the program runs, says so once each, and is traced."""
    from tellwhy.settings import ROWS

    place.copy("one_span.py")
    kept = {"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "TELLWHY_ENGINE", "TELLWHY_STRICT",
            "OTEL_CONFIG_FILE", "TELLWHY_SPOOL_DIR", "TELLWHY_SAMPLE", "TELLWHY_KEEP"}  # fmt: skip
    variables = {row.variable: "§ wrong" for row in ROWS.values() if row.variable not in kept}
    variables |= {name: None for name in variables if "CERTIFICATE" in name or "CLIENT_KEY" in name}

    done = place.wrapped("python", "one_span.py", **variables)

    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert receiver.spans(count=1, timeout=0.5)
    told = [line.partition("=")[0] for line in _told(done.stderr)]
    assert len(told) == len(set(told)) > 30


@pytest.mark.parametrize(
    "variables",
    [{"OTEL_TRACES_SAMPLER_ARG": "10%", **RATIO}, {"OTEL_SERVCE_NAME": "x"}, {"OTEL_BSP_SCHEDULE_DELAY": "soon"}],
)
def test_strict_refuses_to_start(place: Place, receiver: OtlpReceiver, variables: dict[str, str]) -> None:
    """``TELLWHY_STRICT=true``: the same line, exit status 1, and the program never ran."""
    place.write("program.py", "print('ran', flush=True)\nimport one_span\n")

    done = place.wrapped("python", "program.py", TELLWHY_STRICT="true", **variables)

    assert (done.returncode, done.stdout) == (1, "")
    first, last = lines_of_ours(done.stderr)
    assert first.startswith(next(name for name in variables if name != "OTEL_TRACES_SAMPLER"))
    assert last == "not started, because TELLWHY_STRICT=true"


def test_strict_raises_in_code(place: Place) -> None:
    """Without the wrapper it is ``setup_tracing()`` that refuses, with ConfigurationError."""
    place.write("program.py", "import tellwhy\ntellwhy.setup_tracing()\nprint('ran')\n")

    done = place.run("python", "program.py", TELLWHY_STRICT="true", OTEL_BSP_SCHEDULE_DELAY="soon")

    assert (done.returncode, done.stdout) == (1, "")
    assert "ConfigurationError: OTEL_BSP_SCHEDULE_DELAY='soon': expected a whole number" in done.stderr


def test_strict_without_a_problem_starts(place: Place, receiver: OtlpReceiver) -> None:
    """Strictness asks nothing of those who configured well."""
    place.copy("one_span.py")

    done = place.wrapped("--strict", "python", "one_span.py")

    assert (done.returncode, _told(done.stderr)) == (0, [])
    assert receiver.spans(count=1, timeout=0.5)


def test_secrets_are_not_said(place: Place) -> None:
    """Headers that make no sense are reported without what stands in them; so are the settings, printed."""
    place.copy("one_span.py")
    code = "import tellwhy; print(repr(tellwhy.setup_tracing().settings))"

    done = place.wrapped("python", "-c", code, OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer s3cr3t, hunter2")

    assert _told(done.stderr) == [
        "OTEL_EXPORTER_OTLP_HEADERS='****': expected key=value pairs separated by commas; using the well-formed pairs"
    ]
    assert "authorization=****" in done.stdout
    for secret in ("s3cr3t", "hunter2"):
        assert secret not in done.stdout + done.stderr


SECRET = "hunter2Zq9"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_EXPORTER_OTLP_HEADERS", f"authorization=Bearer {SECRET},x-api-key={SECRET}"),
        ("OTEL_EXPORTER_OTLP_HEADERS", f"Authorization: Bearer {SECRET}"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", f"x-honeycomb-team {SECRET}"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://user:{SECRET}@127.0.0.1:9"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"http://127.0.0.1:9/v1/traces?api_key={SECRET}"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", f"postgresql://user:{SECRET}@127.0.0.1:9"),
        ("OTEL_RESOURCE_ATTRIBUTES", f"deploy.api_key={SECRET},service.namespace=shop"),
        ("OTEL_TRACES_SAMPLER", f"https://user:{SECRET}@sampler"),
        ("TELLWHY_TRUST_INCOMING", f"header:x-gateway={SECRET}"),
        ("TELLWHY_TRUST_INCOMING", f"headers:x-gateway={SECRET}"),
    ],
)
@pytest.mark.parametrize("level", ["normal", "debug"])
def test_no_secret_of_the_configuration_is_said(tmp_path: Path, variable: str, value: str, level: str) -> None:
    """Neither at start nor about an outage, nor at exit, nor by ``tellwhy settings`` in any of its forms."""
    place = Place(tmp_path, **{"TELLWHY_DIAGNOSTICS": level, "TELLWHY_EXIT_BUDGET": "500", variable: value})
    place.copy("one_span.py")

    said = place.wrapped("python", "one_span.py")
    shown = [place.run("tellwhy", "settings", *flags) for flags in ((), ("--json",), ("--all",))]

    assert said.returncode == 0
    assert lines_of_ours(said.stderr)
    for done in (said, *shown):
        assert SECRET not in done.stdout + done.stderr
    assert variable in shown[0].stdout
