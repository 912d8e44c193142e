# SPDX-License-Identifier: Apache-2.0
"""Are our span limits the SDK's, from arguments and from the environment?"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace import SpanLimits as SdkSpanLimits

from tellwhy import diagnostics
from tellwhy.engine import SpanLimits

ARGUMENTS = [name for name in SpanLimits.__slots__]
VARIABLES = [
    "OTEL_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_SPAN_EVENT_COUNT_LIMIT",
    "OTEL_SPAN_LINK_COUNT_LIMIT",
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
]


@pytest.fixture(autouse=True)
def _fresh_diagnostics() -> Iterator[None]:
    diagnostics.reset()
    yield
    diagnostics.reset()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    arguments=st.dictionaries(st.sampled_from(ARGUMENTS), st.none() | st.just(-1) | st.integers(0, 9)),
    environ=st.dictionaries(st.sampled_from(VARIABLES), st.sampled_from(["", " ", "0", "7", " 12 "])),
)
def test_are_what_the_sdk_makes_of_them(
    arguments: dict[str, int | None], environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arguments, UNSET, variables, general limits and defaults: the same precedence, the same numbers."""
    with monkeypatch.context() as patch:
        for variable in VARIABLES:
            patch.delenv(variable, raising=False)
        for variable, value in environ.items():
            patch.setenv(variable, value)
        expected, actual = SdkSpanLimits(**arguments), SpanLimits(**arguments)

    assert {name: getattr(expected, name) for name in ARGUMENTS} == {name: getattr(actual, name) for name in ARGUMENTS}


def test_a_negative_argument_is_refused() -> None:
    """What a developer wrote wrong is told where it was written."""
    with pytest.raises(ValueError, match="-2"):
        SpanLimits(max_events=-2)


def test_a_wrong_variable_is_told_and_ignored(capfd: pytest.CaptureFixture[str]) -> None:
    """Unlike in the SDK, a typo in the environment does not stop the program."""
    limits = SpanLimits(environ={"OTEL_SPAN_EVENT_COUNT_LIMIT": "many", "OTEL_SPAN_LINK_COUNT_LIMIT": "-5"})

    assert (limits.max_events, limits.max_links) == (128, 128)
    assert len(capfd.readouterr().err.splitlines()) == 2
    assert "max_events=128" in repr(limits)
