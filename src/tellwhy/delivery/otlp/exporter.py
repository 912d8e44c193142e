# SPDX-License-Identifier: Apache-2.0
"""
How does a batch become OTLP/HTTP requests, and what do the answers mean for it?

https://opentelemetry.io/docs/specs/otlp/#otlphttp. A batch is cut by bytes
before it is sent; a receiver that finds it too large gets it in halves. A
partial success is never sent again.
"""

from __future__ import annotations

import os
from threading import Event
from time import monotonic, time

from tellwhy import diagnostics
from tellwhy.delivery.attempt import Attempt, Unhurried, no_pause
from tellwhy.delivery.leaving import fork
from tellwhy.delivery.otlp.compression import compressed
from tellwhy.delivery.otlp.options import Options
from tellwhy.delivery.otlp.response import error_message, partial_success
from tellwhy.delivery.otlp.retry import RETRYABLE, TOO_LARGE, Backoff, retry_after
from tellwhy.delivery.signal import TRACES
from tellwhy.delivery.stats import ENCODING, REJECTED
from tellwhy.delivery.stats import TOO_LARGE as DROPPED_TOO_LARGE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any, Final

    from opentelemetry.sdk.trace.export import SpanExportResult

    from tellwhy.delivery.otlp.transport import Answer
    from tellwhy.settings.load import Settings

NOT_FOUND: Final = 404  # what backends answer for a signal that they do not know
_SMALLEST_LIMIT: Final = 16_384  # bytes: a receiver that takes less than this takes nothing
_UNSUPPORTED_CODING: Final = 415  # RFC 9110, 15.5.16


class OTLPExporter:
    """
    Sends one signal as OTLP over HTTP, on the standard library alone.

    What is not given comes from the environment (``OTEL_EXPORTER_OTLP_TRACES_…``
    or another signal's, then ``OTEL_EXPORTER_OTLP_…``), with the specification's
    units and defaults.

    Args:

        endpoint: Full URL, used as it is: ``http://collector:4318/v1/traces``.

        certificate_file: CA certificates that the receiver's must chain to, in PEM.

        client_key_file: Private key for mutual TLS, in PEM.

        client_certificate_file: Certificate for mutual TLS, in PEM.

        headers: Headers of every request; they win over the environment's.

        timeout: Longest wait for one request, in seconds; 10 by default.

        compression: ``gzip``, ``deflate`` or ``none``, or the official enumeration. Without it requests
            are compressed by gzip where the receiver is outside of the own network.

        session: A ``requests.Session`` to send with, for those who authenticate that way.

        max_request_size: Largest request in bytes, before compression; larger batches are
            cut. 3.5 MiB by default, 0 for no limit.

        meter_provider: Accepted for the sake of the signature; the processor publishes the counts.

        protocol: ``http/protobuf`` (the default) or ``http/json``.

        settings: Settings in force, in place of the environment.

    Raises:
        tellwhy.errors.ConfigurationError: If an argument is wrong.
    """

    signal = TRACES

    def __init__(
        self,
        endpoint: str | None = None,
        certificate_file: str | None = None,
        client_key_file: str | None = None,
        client_certificate_file: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        compression: object = None,
        session: Any = None,
        *,
        max_request_size: int | None = None,
        meter_provider: object = None,
        protocol: str | None = None,
        settings: Settings | None = None,
    ) -> None:
        arguments = dict(locals())
        if settings is None:
            from tellwhy.settings.load import load

            settings, _ = load(os.environ)
        self._options = Options(settings, arguments, self.signal)
        self._max_bytes = self._options.max_bytes
        self._session = session
        self._transport: Any = None
        self._codec: Any = None
        self._stopped = Event()
        self.destination = str(self._options.endpoint)
        fork.register(self)

    # ------------------------------------------------------ the exporters' protocol

    def shutdown(self) -> None:
        """Close the connection and export nothing more. Idempotent."""
        self._stopped.set()
        if self._transport is not None:
            self._transport.close()

    def force_flush(self, timeout_millis: int = 30000) -> bool:  # noqa: ARG002  # the SpanExporter protocol
        """Return True: nothing waits in here."""
        return True

    # ------------------------------------------------------ the courier's protocol

    @property
    def content_type(self) -> str:
        """What the payloads are."""
        return self._options.content_type

    @property
    def component(self) -> dict[str, Any]:
        """What this is, in the attributes of the conventions for an SDK's own metrics."""
        endpoint, form = self._options.endpoint, "_json" if self._options.protocol == "http/json" else ""
        return {
            "otel.component.type": f"otlp_http{form}_{self.signal.component}_exporter",
            "server.address": endpoint.host,
            "server.port": endpoint.port,
        }

    def payloads(
        self, spans: Sequence[Any], pause: Callable[[], None] = no_pause
    ) -> Iterator[tuple[bytes, Sequence[Any]]]:
        """Yield the requests' bodies and the spans that each holds; a span that cannot be encoded is in none."""
        self._load()
        groups = [list(spans)]
        while groups:
            group = groups.pop()
            requests = iter(self._codec.split(Unhurried(group, pause), self._max_bytes))
            try:
                while True:
                    # A fork waits for these milliseconds: what encoding loads late must be whole in the child.
                    with fork.importing():
                        request = next(requests, None)
                    if request is None:
                        break
                    yield request
            except Exception as error:
                if len(group) == 1:
                    diagnostics.fault(f"the encoding of a {self.signal.one}", error)
                else:
                    middle = len(group) // 2
                    groups += [group[middle:], group[:middle]]

    def attempt(self, spans: Sequence[Any], deadline: float, pause: Callable[[], None] = no_pause) -> Attempt:
        """Try once to deliver a batch, by the deadline of ``time.monotonic()``. Never raises."""
        attempt = Attempt(spans)
        try:
            self._load()
            if self._connect(attempt, deadline):
                self._send(attempt, deadline, pause)
        except Exception as error:  # ours, not the network's: the batch must not circle for ever
            diagnostics.fault(f"the delivery of {self.signal.noun}", error)
            attempt.drop(attempt.left, ENCODING)
            attempt.fail(f"{type(error).__name__}: {error}", type(error).__name__, refused=True)
        return attempt

    def attempt_payload(self, payload: bytes, spans: int, content_type: str, deadline: float) -> Attempt:
        """Try once to deliver a payload that was encoded earlier and holds so many spans."""
        part = [payload] * spans
        attempt = Attempt(part)
        self._load()
        headers = {**self._options.headers, "content-type": content_type}
        if self._connect(attempt, deadline) and self._post(payload, part, attempt, deadline, headers):
            attempt.drop(part, DROPPED_TOO_LARGE)
            attempt.fail("413: too large", "413", refused=True, answered=True)
        return attempt

    def after_fork_in_child(self) -> None:
        """Let go of the parent's connection."""
        if self._transport is not None:
            self._transport.close()

    # --------------------------------------------------------------------- inside

    def _load(self) -> None:
        """Import what sending needs: on the worker's thread, when the first batch is there, and all at once."""
        if self._transport is not None:
            return
        options = self._options
        with fork.importing():
            import zlib  # noqa: F401  # so that it is loaded
            from email import utils  # noqa: F401

            if options.endpoint.scheme == "https" or not options.endpoint.host.isascii():
                "host".encode("idna")  # a codec is a module too

            from tellwhy.delivery.otlp import explain  # noqa: F401
            from tellwhy.delivery.otlp.transport import Transport

            self._codec = self._load_codec(options.protocol)
            if self._session is not None:
                from tellwhy.delivery.otlp.session import SessionTransport

                self._transport = SessionTransport(options.endpoint, self._session, options.certificates)
            else:
                self._transport = Transport(options.endpoint, **options.certificates)

    def _load_codec(self, protocol: str) -> Any:
        """Return the module that puts this signal into bytes with ``split(items, max_bytes)``."""
        raise NotImplementedError

    def _connect(self, attempt: Attempt, deadline: float) -> bool:
        """Make sure of a connection before anything is encoded: while nobody listens, a try is cheap."""
        from tellwhy.delivery.otlp.explain import explain
        from tellwhy.delivery.otlp.transport import FAULTS

        options = self._options
        try:
            self._transport.connect(min(deadline, monotonic() + options.timeout))
        except FAULTS as error:
            attempt.fail(explain(error, options.endpoint, options.timeout), type(error).__name__)
            return False
        return True

    def _send(self, attempt: Attempt, deadline: float, pause: Callable[[], None]) -> None:
        cut = True
        while cut and attempt.left:
            cut = False
            for payload, part in self.payloads(attempt.left, pause):
                if self._post(payload, part, attempt, deadline, self._options.headers):
                    cut = self._lower_limit(len(payload))
                    if cut:
                        break
                    attempt.drop(part, DROPPED_TOO_LARGE)
                    words = f"413: one {self.signal.one} is larger than the receiver takes"
                    attempt.fail(words, "413", refused=True, answered=True)
                elif attempt.error is not None and (attempt.absent or not attempt.refused):
                    return  # later, or never: the rest stays as it is
            else:
                attempt.drop(attempt.left, ENCODING)

    def _lower_limit(self, size: int) -> bool:
        """Remember that the receiver does not take this many bytes; False if less makes no sense."""
        if size <= _SMALLEST_LIMIT:
            return False
        self._max_bytes = max(size // 2, _SMALLEST_LIMIT)
        diagnostics.debug(
            f"{self.destination} finds {size} bytes too large; sending {self._max_bytes} at most from now on"
        )
        return True

    def _post(
        self, payload: bytes, part: Sequence[Any], attempt: Attempt, deadline: float, headers: dict[str, str]
    ) -> bool:
        """Send one request and note what the answer means; True if the request was too large."""
        from tellwhy.delivery.otlp.explain import explain
        from tellwhy.delivery.otlp.transport import FAULTS

        options = self._options
        deadline = min(deadline, monotonic() + options.timeout)
        encoding = options.compression.of(payload)
        if encoding:
            headers = {**headers, "content-encoding": encoding}
        try:
            answer = self._transport.post(compressed(payload, encoding), headers, deadline)
            if answer.status == _UNSUPPORTED_CODING and encoding and options.compression.may_be_left():
                del headers["content-encoding"]
                answer = self._transport.post(payload, headers, deadline)
        except FAULTS as error:
            attempt.fail(explain(error, options.endpoint, options.timeout), type(error).__name__)
            return False
        if answer.status == TOO_LARGE:
            return True
        self._judge(answer, part, attempt)
        return False

    def _judge(self, answer: Answer, part: Sequence[Any], attempt: Attempt) -> None:
        content_type = answer.headers.get("content-type") or ""
        if 200 <= answer.status < 300:
            rejected, message = partial_success(answer.body, content_type, self.signal)
            rejected = min(rejected, len(part))
            attempt.deliver(part)
            attempt.delivered -= rejected
            attempt.count(REJECTED, rejected)
            if rejected or message:
                said = message or "it does not say why"
                diagnostics.warn(
                    f"{self.destination} rejected {rejected} {self.signal.noun} of a batch: {said}",
                    key=f"partial:{message}",
                )
            elif content_type.startswith("text/html"):
                diagnostics.warn(f"{self.destination} answers with a web page: is it an OTLP receiver?")
            return
        from tellwhy.delivery.otlp.explain import explain_status

        words = explain_status(
            answer.status,
            answer.phrase,
            self._options.endpoint,
            message=error_message(answer.body, content_type),
            location=answer.headers.get("location") or "",
        )
        if answer.status in RETRYABLE:
            wait = retry_after(answer.headers.get("retry-after"), time())
            attempt.fail(words, str(answer.status), answered=True, retry_after=wait)
        else:
            attempt.drop(part, f"http_{answer.status}")
            attempt.fail(words, str(answer.status), refused=True, answered=True)
            attempt.absent = answer.status == NOT_FOUND and self.signal.may_be_absent


class OTLPSpanExporter(OTLPExporter):
    """
    Sends spans; the arguments are those of ``OTLPExporter``.

    A drop-in for ``opentelemetry.exporter.otlp.proto.http.trace_exporter.OTLPSpanExporter``.
    """

    def export(self, spans: Sequence[Any]) -> SpanExportResult:
        """
        Deliver a batch, trying again for up to the timeout where OTLP allows it.

        This is for the official processors. ours asks for one attempt at a time and keeps what fails.
        """
        from opentelemetry.sdk.trace.export import SpanExportResult

        deadline = monotonic() + self._options.timeout
        backoff = Backoff()
        left: Sequence[Any] = spans
        while not self._stopped.is_set():
            attempt = self.attempt(left, deadline)
            if attempt.error is None:
                return SpanExportResult.SUCCESS
            wait = backoff.next(attempt.retry_after)
            left = attempt.left
            if not left or monotonic() + wait >= deadline:
                diagnostics.warn(
                    f"{len(spans)} spans could not be delivered to {self.destination}: {attempt.error}",
                    key=f"export:{self.destination}:{attempt.error}",
                )
                break
            self._stopped.wait(wait)
        return SpanExportResult.FAILURE

    def _load_codec(self, protocol: str) -> Any:
        codec: Any
        if protocol == "http/json":
            from tellwhy.delivery.otlp import encoder_json as codec
        else:
            from tellwhy.delivery.otlp import encoder as codec
        return codec
