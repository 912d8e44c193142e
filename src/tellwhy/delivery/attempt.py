# SPDX-License-Identifier: Apache-2.0
"""
What came of one try to deliver a batch, and how any SpanExporter is asked for one.

The courier speaks one protocol, ``attempt(spans, deadline, pause) -> Attempt``.
Our OTLP exporter has it; every other exporter is put behind ``ForeignExporter``.
"""

from __future__ import annotations

from tellwhy.delivery.stats import EXPORT_FAILED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any, Protocol

    Spans = list[Any]

    class Attempting(Protocol):
        """An exporter that tries once and says what came of it."""

        destination: str

        def attempt(self, spans: Sequence[Any], deadline: float, pause: Callable[[], None]) -> Attempt:
            """
            Try to deliver, never raise, return by about the deadline (``time.monotonic()``).

            ``pause`` is called now and then during long computations: it lets other threads run.
            """
            ...

        def shutdown(self) -> None:
            """Let go of connections."""


else:
    Spans = list

_SPANS_AT_A_TIME = 32  # some 0.2 ms of encoding


class Attempt:
    """
    The account of one try: every span is delivered, put on disk, dropped for a reason, or left.

    ``answered`` tells whether the receiver is alive (it answered, if only to say
    "later"), ``refused`` that it said no for good, ``absent`` that it does not
    know this signal at all. ``kind`` is the error in the one word of the conventions'
    ``error.type``: a status, or the name of an exception.
    """

    __slots__ = (
        "absent",
        "answered",
        "delivered",
        "dropped",
        "error",
        "kind",
        "left",
        "refused",
        "retry_after",
        "spooled",
    )

    def __init__(self, spans: Iterable[Any]) -> None:
        self.left = list(spans)
        self.delivered = 0
        self.spooled = 0
        self.dropped: dict[str, int] = {}
        self.error: str | None = None
        self.kind: str | None = None
        self.answered = False
        self.refused = False
        self.absent = False
        self.retry_after: float | None = None

    def deliver(self, part: Sequence[Any]) -> None:
        """Note that the receiver has taken these."""
        self.delivered += self._settle(part)

    def spool(self, part: Sequence[Any]) -> None:
        """Note that these are on disk."""
        self.spooled += self._settle(part)

    def drop(self, part: Sequence[Any], reason: str) -> None:
        """Note that these will never be delivered."""
        self.count(reason, self._settle(part))

    def count(self, reason: str, number: int) -> None:
        """Note a number of dropped spans under a reason."""
        if number:
            self.dropped[reason] = self.dropped.get(reason, 0) + number

    def fail(
        self,
        error: str,
        kind: str,
        *,
        refused: bool = False,
        answered: bool = False,
        retry_after: float | None = None,
    ) -> Attempt:
        """Note, in human words and in one of a machine's, why it did not work."""
        self.error = error
        self.kind = kind
        self.refused = refused
        self.answered = answered
        self.retry_after = retry_after
        return self

    def _settle(self, part: Sequence[Any]) -> int:
        if len(part) == len(self.left):
            self.left = []
        else:
            settled = {id(span) for span in part}
            self.left = [span for span in self.left if id(span) not in settled]
        return len(part)


class Unhurried(Spans):
    """
    Spans that pause while somebody goes through them.

    Encoding is pure computing. A thread of the program that has just got its
    answer from a database would wait for the interpreter until the whole batch
    is encoded, or the switch interval has passed: milliseconds. Now it waits for a few spans.
    """

    __slots__ = ("_pause",)

    def __init__(self, spans: Iterable[Any], pause: Callable[[], None]) -> None:
        super().__init__(spans)
        self._pause = pause

    def __iter__(self) -> Iterator[Any]:
        """Yield the spans, with a pause after every few."""
        for number, span in enumerate(super().__iter__(), 1):
            yield span
            if number % _SPANS_AT_A_TIME == 0:
                self._pause()


def no_pause() -> None:
    """Go on at once."""


class ForeignExporter:
    """
    Any OpenTelemetry SpanExporter, in the courier's terms.

    It has retries of its own, so what it gives up is dropped, as the
    specification demands, and counted.
    """

    def __init__(self, exporter: Any) -> None:
        self._exporter = exporter
        self.destination = type(exporter).__name__

    def attempt(self, spans: Sequence[Any], deadline: float, pause: Callable[[], None]) -> Attempt:  # noqa: ARG002
        """Export once; how long it takes is the exporter's affair."""
        attempt = Attempt(spans)
        try:
            result = self._export(spans)
        except Exception as error:
            attempt.drop(spans, EXPORT_FAILED)
            return attempt.fail(f"{type(error).__name__}: {error}", type(error).__name__, refused=True)
        # A SpanExportResult without importing it; None, as many a hand-written exporter returns, is no failure.
        if getattr(result, "name", None) == "FAILURE":
            attempt.drop(spans, EXPORT_FAILED)
            return attempt.fail("the exporter gave up (its own log says why)", EXPORT_FAILED, refused=True)
        attempt.deliver(spans)
        return attempt

    def _export(self, spans: Sequence[Any]) -> Any:
        return self._exporter.export(spans)

    def shutdown(self) -> None:
        """Shut the exporter down."""
        self._exporter.shutdown()


def attempting(exporter: Any) -> Attempting:
    """Return the exporter in the courier's terms."""
    return exporter if hasattr(exporter, "attempt") else ForeignExporter(exporter)
