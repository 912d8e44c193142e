# SPDX-License-Identifier: Apache-2.0
"""
How is a request left out that an instrumentation of somebody else's would trace?

The tracers of instrumentations ask before they start the span of a server; all
others are not slowed down.
"""

from __future__ import annotations

from opentelemetry.trace import SpanKind

from tellwhy import diagnostics
from tellwhy.engine.context import get_context
from tellwhy.engine.leftout import left_out_below
from tellwhy.engine.tracer import Tracer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from opentelemetry.context import Context

_SERVER = SpanKind.SERVER


class SelectiveTracer(Tracer):
    """A tracer of an instrumentation, which may be told to leave a request out."""

    __slots__ = ()

    def start_below(
        self, parent: Any, name: str, context: Context | None, kind: SpanKind, attributes: Any, /, *rest: Any
    ) -> Any:
        """Start a span as ``Tracer`` does, unless it is a request's that is to be left out."""
        leave_out = self._core.leave_out
        if leave_out is not None and kind is _SERVER and attributes:
            try:
                if leave_out(self._scope.name, attributes):
                    return left_out_below(get_context() if context is None else context)
            except Exception as error:
                diagnostics.fault("the exclusion of requests", error)
        return super().start_below(parent, name, context, kind, attributes, *rest)
