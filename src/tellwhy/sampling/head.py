# SPDX-License-Identifier: Apache-2.0
"""
The samplers that decide at a span's start. They live with the tracer, which reads their plans.

``ALWAYS_ON``, ``ALWAYS_OFF``, ``TraceIdRatioBased``, ``ParentBased``, and ``DEFAULT_ON`` and
``DEFAULT_OFF`` as the SDK's module ``sampling`` has them; ``named()`` finds one by its
``OTEL_TRACES_SAMPLER`` name. To write another one, subclass ``Sampler`` and set its ``plan``.
"""

from __future__ import annotations

from tellwhy.engine.samplers import (
    ALWAYS_OFF,
    ALWAYS_ON,
    DEFAULT_OFF,
    DEFAULT_ON,
    DROP,
    RECORD,
    SAMPLE,
    ParentBased,
    Sampler,
    TraceIdRatioBased,
    from_environment,
    named,
)

__all__ = [
    "ALWAYS_OFF",
    "ALWAYS_ON",
    "DEFAULT_OFF",
    "DEFAULT_ON",
    "DROP",
    "RECORD",
    "SAMPLE",
    "ParentBased",
    "Sampler",
    "TraceIdRatioBased",
    "from_environment",
    "named",
]
