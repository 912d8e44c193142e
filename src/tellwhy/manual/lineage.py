# SPDX-License-Identifier: Apache-2.0
"""
Which span is this process's entry span, and has a span children?

``annotate_root`` needs the first, ``min_duration`` (it drops leaves only) the
second, and both must hold for spans that any instrumentation made. With the
SDK's provider a span processor notes them on the spans as they start.

Nothing here imports OpenTelemetry: the provider may be built, and ask for the
processor, at the very moment at which the program imports the API.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer


class Lineage:
    """
    Notes on each span the local root above it, and on each parent that it has children.

    A span processor by its methods; the SDK's base class would cost 100 ms of import.
    """

    def on_start(self, span: Any, parent_context: Context | None = None) -> None:
        """Note the relation of a span that starts; a parent in another process is none."""
        parent: Any = sys.modules["opentelemetry.trace"].get_current_span(parent_context)
        if parent.is_recording():
            span._local_root = getattr(parent, "_local_root", parent)
            parent._has_children = True

    def _on_ending(self, span: object) -> None:
        """Nothing ends here."""

    def on_end(self, span: object) -> None:
        """Nothing ends here."""

    def shutdown(self) -> None:
        """Nothing is held."""

    def force_flush(self, _timeout_millis: int = 30000) -> bool:
        """Nothing is held."""
        return True


def follow(tracer: Tracer) -> None:
    """See to it that the spans of a tracer that is not ours tell their lineage, if it is one of the SDK's."""
    processors: Any = getattr(tracer, "span_processor", None)
    known = getattr(processors, "_span_processors", None)
    if known is not None and not any(isinstance(processor, Lineage) for processor in known):
        processors.add_span_processor(Lineage())


def local_root(span: Span) -> Span:
    """Return the entry span of this process in the trace of a span."""
    root: Span = getattr(span, "_local_root", None) or span
    return root


def has_children(span: Span) -> bool:
    """Tell whether spans were started under a span."""
    return bool(getattr(span, "_has_children", False))
