# SPDX-License-Identifier: Apache-2.0
"""
What the programs of the lifecycle tests begin with: a provider, a processor, a lifecycle, from the environment.

``ENGINE``: ``lean`` or ``sdk``; ``ENDPOINT``: the receiver; ``BUDGET``: of the exit, in ms; ``INSTALL``: ``no`` to
leave the lifecycle to the program.
"""

from __future__ import annotations

import os

from tellwhy.delivery import BatchSpanProcessor, OTLPSpanExporter
from tellwhy.delivery.leaving.lifecycle import Lifecycle

if os.environ.get("ENGINE", "lean") == "lean":
    from tellwhy.engine.provider import TracerProvider
else:
    from opentelemetry.sdk.trace import TracerProvider

budget = float(os.environ.get("BUDGET", "2000"))
exporter = OTLPSpanExporter(os.environ["ENDPOINT"] + "/v1/traces", timeout=10)
processor = BatchSpanProcessor(exporter, exit_budget_millis=budget)
provider = TracerProvider(shutdown_on_exit=False)
provider.add_span_processor(processor)
tracer = provider.get_tracer("test")
lifecycle = Lifecycle(budget)
lifecycle.add(processor)
if os.environ.get("INSTALL") != "no":
    lifecycle.install()


def span(name: str) -> None:
    """Make one span."""
    tracer.start_span(name).end()
