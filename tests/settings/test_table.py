# SPDX-License-Identifier: Apache-2.0
"""Is the one declared table complete and consistent with itself?"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tellwhy.settings import ROWS, Setting, load
from tellwhy.settings.known import OTHERS

# https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
# and .../protocol/exporter/: what a tracing SDK reads.
SPECIFIED = [
    "OTEL_SDK_DISABLED", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_SERVICE_NAME", "OTEL_PROPAGATORS", "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG", "OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_EXPORT_TIMEOUT", "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_SPAN_EVENT_COUNT_LIMIT",
    "OTEL_SPAN_LINK_COUNT_LIMIT", "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER", "OTEL_CONFIG_FILE",
    "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_INSECURE",
    "OTEL_EXPORTER_OTLP_TRACES_INSECURE", "OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CLIENT_KEY", "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY",
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_COMPRESSION",
    "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
    "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
]  # fmt: skip


@pytest.mark.parametrize("variable", SPECIFIED)
def test_specified_variable_is_a_setting(variable: str) -> None:
    """Every variable of the specification for traces is read."""
    assert variable in {row.variable for row in ROWS.values()}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_row_is_consistent(row: Setting[object]) -> None:
    """Variable, keyword and key derive from each other; the help is a sentence; the default is of the kind."""
    assert row.variable in (f"OTEL_{row.name.upper()}", f"TELLWHY_{row.name.upper()}")
    assert row.key == row.name.replace("_", "-")
    assert row.help[0].isupper() or row.help.startswith("`")
    assert row.help.endswith(".")
    if row.default is not None:
        assert row.kind.accept(row.default) == row.default
        assert row.kind.accept(row.show(row.default) or row.default) == row.default


def test_no_variable_is_both_ours_and_others() -> None:
    """What others read themselves is not in the table too."""
    assert OTHERS.isdisjoint(row.variable for row in ROWS.values())


def test_every_variable_of_the_installed_packages_is_known() -> None:
    """Nothing that an installed OpenTelemetry package declares is taken for a slip."""
    from importlib.metadata import entry_points

    declared = set()
    for entry in entry_points(group="opentelemetry_environment_variables"):
        module = entry.load()
        declared |= {
            value for name, value in vars(module).items() if name.startswith("OTEL_") and isinstance(value, str)
        }

    _, problems = load(dict.fromkeys(declared, " "))

    assert len(declared) > 50
    assert [str(problem) for problem in problems if "no such setting" in problem.cause] == []


def test_settings_page_lists_every_variable() -> None:
    """The reference page that ``tellwhy settings --markdown`` prints has a row for each."""
    from tellwhy.cli.settings import as_markdown

    page = as_markdown()

    for row in ROWS.values():
        assert f"| `{row.variable}` | `--{row.key}` |" in page


def test_loading_settings_is_cheap() -> None:
    """Reading the environment imports no parser, no regular expressions, no typing."""
    code = (
        "import sys; before = set(sys.modules); from tellwhy.settings import load; load({'OTEL_SERVICE_NAME': 'x'}); "
        "print(sorted(name for name in set(sys.modules) - before if not name.startswith('tellwhy')))"
    )
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTHON", "COV"))}

    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
        env=environ,
        cwd=Path(__file__).parent,
    )

    assert done.stdout == "['__future__']\n"
