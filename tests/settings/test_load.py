# SPDX-License-Identifier: Apache-2.0
"""Which value holds, where did it come from, and what was wrong? ``load`` as a function of what it is given."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tellwhy.settings import ROWS, Problem, load

VARIABLES = sorted(row.variable for row in ROWS.values())


def _problems(environ: dict[str, str], **options: object) -> list[str]:
    return [str(problem) for problem in load(environ, **options)[1]]  # type: ignore[arg-type]


def test_nothing_given() -> None:
    """Without anything every setting has its default, and nothing is wrong."""
    found, problems = load({})

    assert problems == ()
    for name, row in ROWS.items():
        assert getattr(found, name) == row.default
        assert found.origin(name) == "default"
    assert repr(found) == "Settings()"


def test_defaults_are_the_specifications() -> None:
    """The defaults of the specification, and the ones that differ on purpose."""
    found, _ = load({})

    assert found.traces_sampler == "parentbased_always_on"
    assert found.propagators == ("tracecontext", "baggage")
    assert found.exporter_otlp_endpoint == "http://localhost:4318"
    assert (found.exporter_otlp_protocol, found.exporter_otlp_timeout) == ("http/protobuf", 10000)
    assert (found.bsp_schedule_delay, found.bsp_export_timeout) == (5000, 30000)
    assert (found.bsp_max_queue_size, found.bsp_max_export_batch_size) == (2048, 512)
    assert (found.attribute_count_limit, found.span_event_count_limit, found.span_link_count_limit) == (128, 128, 128)
    assert found.attribute_value_length_limit is None
    assert found.traces_exporter == ("otlp",)
    assert found.metrics_exporter == found.logs_exporter == ("none",)
    assert found.semconv_stability_opt_in == ("http", "database")


def test_precedence() -> None:
    """Lowest first: default < pyproject.toml < environment < argument; each says where it came from."""
    environ = {"OTEL_SERVICE_NAME": "variable"}
    pyproject = {"service-name": "file", "traces-sampler": "always_off"}

    found, problems = load(environ, pyproject=pyproject, overrides={"service_name": "argument"})
    without, _ = load(environ, pyproject=pyproject)

    assert problems == ()
    assert (found.service_name, found.origin("service_name")) == ("argument", "argument")
    assert (without.service_name, without.origin("service_name")) == ("variable", "environment")
    assert (found.traces_sampler, found.origin("traces_sampler")) == ("always_off", "pyproject.toml")
    assert found.origin("engine") == "default"


@pytest.mark.parametrize("text", ["", "  ", "\t"])
def test_empty_is_unset(text: str) -> None:
    """An empty variable is an unset one (specification)."""
    found, problems = load(dict.fromkeys(VARIABLES, text))

    assert problems == ()
    assert found == load({})[0]


def test_none_argument_is_unset() -> None:
    """A keyword of None leaves the environment in force."""
    found, problems = load({"OTEL_SERVICE_NAME": "variable"}, overrides={"service_name": None})

    assert (found.service_name, problems) == ("variable", ())


def test_wrong_value_leaves_the_layer_below_in_force() -> None:
    """A wrong variable is ignored in favour of what the file says, not of the default."""
    found, (problem,) = load({"OTEL_BSP_MAX_QUEUE_SIZE": "many"}, pyproject={"bsp-max-queue-size": 7})

    assert found.bsp_max_queue_size == 7
    assert str(problem) == "OTEL_BSP_MAX_QUEUE_SIZE='many': expected a whole number, 1 or more; ignored, using 7"
    assert (problem.setting, problem.origin) == ("OTEL_BSP_MAX_QUEUE_SIZE", "environment")


def test_names_in_problems_are_the_ones_that_were_typed() -> None:
    """A variable is named as variable, a key as key with its file, a keyword as keyword."""
    assert _problems({}, pyproject={"sdk-disabled": 3, "x": 1}) == [
        "sdk-disabled='3' in pyproject.toml: expected true or false; ignored, using false",
        "x in pyproject.toml: no such setting; ignored",
    ]
    assert _problems({}, overrides={"sdk_disabled": 3, "sdk_disable": True}) == [
        "sdk_disabled='3': expected true or false; ignored, using false",
        "sdk_disable: no such setting (did you mean 'sdk_disabled'?); ignored",
    ]


@pytest.mark.parametrize(
    ("environ", "lines", "expected"),
    [
        (
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "10%"},
            ["OTEL_TRACES_SAMPLER_ARG='10%': expected a number from 0 to 1; using 0.1"],
            {"traces_sampler_arg": "0.1"},
        ),
        (
            {"OTEL_TRACES_SAMPLER_ARG": "0.5"},
            [
                "OTEL_TRACES_SAMPLER_ARG='0.5': parentbased_always_on takes no argument; "
                "ignored; a ratio needs OTEL_TRACES_SAMPLER=parentbased_traceidratio"
            ],
            {"traces_sampler_arg": None},
        ),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "9"}, [], {"bsp_max_export_batch_size": 9}),
        (
            {"OTEL_BSP_MAX_QUEUE_SIZE": "9", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "10"},
            ["OTEL_BSP_MAX_EXPORT_BATCH_SIZE='10': larger than the queue of 9; using 9"],
            {"bsp_max_export_batch_size": 9},
        ),
        (
            {"OTEL_TRACES_EXPORTER": "none,otlp"},
            ["OTEL_TRACES_EXPORTER='none,otlp': `none` stands beside others; using otlp"],
            {"traces_exporter": ("otlp",)},
        ),
        (
            {"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "30"},
            [
                "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT='30': the specification counts milliseconds; "
                "exports give up after 30 ms; for seconds write 30000"
            ],
            {"exporter_otlp_traces_timeout": 30},
        ),
        (
            {"OTEL_EXPORTER_OTLP_TIMEOUT": "0"},
            [
                "OTEL_EXPORTER_OTLP_TIMEOUT='0': expected a whole number of milliseconds, 1 or more; "
                "ignored, using 10000"
            ],
            {"exporter_otlp_timeout": 10000},
        ),
    ],
)
def test_settings_that_contradict(environ: dict[str, str], lines: list[str], expected: dict[str, object]) -> None:
    """What is wrong only together is said too, and a safe value put in force."""
    found, problems = load(environ)

    assert [str(problem) for problem in problems] == lines
    assert {name: getattr(found, name) for name in expected} == expected


def test_one_bad_sampler_argument_is_said_once_with_its_sampler() -> None:
    """A sampler that came as a slip leaves its argument alone with the default sampler, which takes none."""
    lines = _problems({"OTEL_TRACES_SAMPLER": "ratio", "OTEL_TRACES_SAMPLER_ARG": "0.5"})

    assert [line.partition("=")[0] for line in lines] == ["OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"]


def test_wrapper_variable_is_no_slip() -> None:
    """What ``tellwhy run`` sets itself is not reported as unknown."""
    assert _problems({"TELLWHY_RUN": "123"}) == []


def test_secrets_are_masked() -> None:
    """Header values appear in no representation, right or wrong."""
    environ = {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=s3cr3t,broken-s3cr3t"}

    found, problems = load(environ, overrides={"exporter_otlp_traces_headers": "s3cr3t"})

    assert found.exporter_otlp_headers == {"authorization": "s3cr3t"}
    assert found.shown("exporter_otlp_headers") == "authorization=****"
    assert len(problems) == 2
    assert "s3cr3t" not in repr(found) + repr(problems) + "".join(map(str, problems))


def test_settings_and_problems_are_values() -> None:
    """They compare by what they say, and print it."""
    one, two = load({"OTEL_SERVICE_NAME": "a"})[0], load({"OTEL_SERVICE_NAME": "a"})[0]

    assert one == two
    assert one != load({"OTEL_SERVICE_NAME": "b"})[0]
    assert repr(one) == "Settings(service_name='a')"
    problem = Problem("OTEL_X", "1", "wrong", "ignored")
    assert (problem, len({problem, Problem("OTEL_X", "1", "wrong", "ignored")})) == (
        Problem("OTEL_X", "1", "wrong", "ignored"),
        1,
    )
    assert repr(problem) == "Problem(\"OTEL_X='1': wrong; ignored\")"


TEXTS = st.text(max_size=20) | st.sampled_from(
    ["true", "0.5", "10%", "2", "-1", "otlp,consol", "none", "a=b,c", "grpc", "99999999999999999999", "%", "%zz=%"]
)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.sampled_from(VARIABLES) | st.text("ABC_", max_size=5).map("OTEL_".__add__), TEXTS, max_size=12)
)
def test_any_environment_is_read(environ: dict[str, str]) -> None:
    """No environment raises; each problem names a variable that was given, its value, a cause and a consequence."""
    found, problems = load(environ)

    for problem in problems:
        assert problem.setting in environ or problem.setting == "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"
        assert problem.cause
        assert problem.consequence
        assert problem.severity in ("warning", "error")
        assert "\n" not in str(problem).replace(problem.value or "", "")
    assert found.bsp_max_export_batch_size <= found.bsp_max_queue_size
    if found.traces_sampler.endswith("traceidratio") and found.traces_sampler_arg is not None:
        assert 0 <= float(found.traces_sampler_arg) <= 1
    assert found == load(environ)[0]


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(sorted(ROWS)) | st.text(max_size=10),
        st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.lists(TEXTS, max_size=3),
        max_size=8,
    )
)
def test_any_table_and_any_keywords_are_read(values: dict[str, object]) -> None:
    """The same for a pyproject.toml table and for keywords."""
    _, of_table = load({}, pyproject=values)
    _, of_keywords = load({}, overrides=values)

    assert all(problem.origin in ("pyproject.toml", "default") for problem in of_table)
    assert all(problem.origin in ("argument", "default") for problem in of_keywords)
    unknown = sum(name not in ROWS for name in values)
    assert sum("no such setting" in problem.cause for problem in of_keywords) == unknown


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([name for name, row in ROWS.items() if row.secret]), st.text("abcdef", min_size=6, max_size=12))
def test_no_secret_is_ever_shown(name: str, secret: str) -> None:
    """Whatever stands in a secret setting stands in no line about it."""
    found, problems = load({ROWS[name].variable: secret})

    assert secret not in repr(found) + "".join(map(str, problems))
