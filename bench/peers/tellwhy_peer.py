# SPDX-License-Identifier: Apache-2.0
"""tellwhy as ``setup_tracing()`` leaves it: lean engine, batch processor, OTLP/HTTP exporter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tellwhy
from common import ENDPOINT, Work, serve


@tellwhy.traced
def decorated(value: int) -> int:
    return value


def off(count: int) -> None:
    tellwhy.shutdown()  # the warm-up round leaves nothing to shut down
    for _ in range(count):
        decorated(1)


def traced(count: int) -> None:
    _set_up()
    for _ in range(count):
        decorated(1)


def unsampled_traced(count: int) -> None:
    with _sampled_out(), tellwhy.span("root"):
        for _ in range(count):
            decorated(1)


def unsampled_child(count: int) -> None:
    from otel_api import unsampled_child

    with _sampled_out() as tracer:
        unsampled_child(tracer)(count)


@contextmanager
def _sampled_out() -> Iterator[Any]:
    """Let the provider drop every root for the while."""
    from tellwhy.engine.samplers import DEFAULT_OFF

    provider = _set_up().provider
    before, provider.sampler = provider.sampler, DEFAULT_OFF
    yield provider.get_tracer("bench")
    provider.sampler = before


def _set_up() -> tellwhy.Tracing:
    return tellwhy.setup_tracing(
        service_name="bench",
        exporter_otlp_endpoint=ENDPOINT,
        bsp_max_queue_size=100_000,
        bsp_max_export_batch_size=50_000,
        bsp_schedule_delay=600_000,
        python_disabled_instrumentations="*",
        diagnostics="quiet",
    )


def _with_tracer(name: str) -> Work:
    """Return a workload of OpenTelemetry's API, made when it is first asked for: `off` comes without setup."""
    made: dict[str, Work] = {}

    def work(count: int) -> None:
        tracing = _set_up()
        if not made:
            from otel_api import span_works

            made.update(span_works(tracing.provider.get_tracer("bench")))
        made[name](count)

    return work


API = ("span", "export", "memory", "current", "set_attribute")
serve(
    tellwhy.__version__,
    {
        "off": off,
        "traced": traced,
        "unsampled_child": unsampled_child,
        "unsampled_traced": unsampled_traced,
        **{name: _with_tracer(name) for name in API},
    },
    lambda: tellwhy.flush() and None,
)
