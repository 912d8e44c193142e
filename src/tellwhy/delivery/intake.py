# SPDX-License-Identifier: Apache-2.0
"""
What stands between the spans of a provider and those who deliver them? One processor for all of them.

It counts the spans of each trace, so that a trace over its cap is folded, and
knows which spans are open. What is not asked for costs nothing per span: that is
decided when it is made.
"""

from __future__ import annotations

from time import monotonic

from tellwhy.delivery.folding import Folding
from tellwhy.engine.span import Span

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Final

_DEFAULT_FLUSH: Final = 30_000  # milliseconds, as in the SDK


class Intake:
    """
    A span processor in front of others.

    Args:

        processors: Those who deliver.

        spans_per_trace: The most spans of one trace that are delivered singly
            (``TELLWHY_SPANS_PER_TRACE``); 0 for no cap.

        open_spans: After how many milliseconds a span is shown that is still open
            (``TELLWHY_OPEN_SPANS``); 0 for not before it ends.
    """

    reads_start = False
    """Whether a span's attributes matter when it starts."""
    direct_queue: Any = None
    """The queue of the one processor behind, where our engine may put spans itself; see ``BatchSpanProcessor``."""
    cap = 0
    over: Callable[[Any, Any], None] | None = None
    """What our engine calls for the ``cap``-th span of a trace that it does not put, and for all later ones."""

    def __init__(self, processors: Sequence[Any], spans_per_trace: int, open_spans: int = 0) -> None:
        self._processors = tuple(processors)
        self.members: list[Any] = [*processors]
        """Who takes part in the exit, in this order."""
        self.on_end: Callable[[Any], None] = processors[0].on_end if len(processors) == 1 else self._forward
        if spans_per_trace:
            folding = Folding(spans_per_trace, self.on_end, self._is_crowded)
            self.members.insert(0, folding)
            self.on_end = _counting(folding, self.on_end)
            self.cap, self.over = folding.cap, folding.over
        if len(processors) == 1:
            self.direct_queue = getattr(processors[0], "direct_queue", None)
        # The console is shown what has ended.
        showing = [processor for processor in processors if hasattr(processor, "show_open")]
        if open_spans and showing:
            self._show_open(showing, open_spans / 1000)

    def attend(self) -> None:
        """Do what the length of the direct queue asks for."""
        self._processors[0].attend()

    def _show_open(self, showing: Sequence[Any], interval: float) -> None:
        from tellwhy.delivery.snapshots import OpenSpans

        spans = OpenSpans(interval)
        for processor in showing:
            processor.show_open(spans)
        self.members.insert(0, spans)  # first, for whoever is last shares the exit's time with nobody
        self.on_start = spans.on_start  # type: ignore[method-assign]

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """Nothing starts here."""

    def _on_ending(self, span: Any) -> None:
        """Nothing ends here."""

    def shutdown(self) -> None:
        """Shut down everyone behind."""
        for member in self.members:
            member.shutdown()

    def force_flush(self, timeout_millis: float | None = None) -> bool:
        """Flush everyone behind, one after the other within the time."""
        deadline = monotonic() + (_DEFAULT_FLUSH if timeout_millis is None else timeout_millis) / 1000
        flushed = True
        for member in self.members:
            left = max(0.0, deadline - monotonic()) * 1000
            flushed = member.force_flush(left) is not False and flushed
        return flushed

    def _forward(self, span: Any) -> None:
        for processor in self._processors:
            processor.on_end(span)

    def _is_crowded(self) -> bool:
        return any(getattr(processor, "is_crowded", False) for processor in self._processors)


def _counting(folding: Folding, forward: Callable[[Any], None]) -> Callable[[Any], None]:
    cap, over = folding.cap, folding.over

    def on_end(span: Any) -> None:
        if type(span) is Span and span._flags & 1:
            root: Any = span._local_root
            if root is None:
                root = span
            # Two threads at once may count one too few: a cap may be off by a few.
            root._tally = tally = root._tally + 1
            if tally >= cap:
                return over(span, root)
        return forward(span)

    return on_end
