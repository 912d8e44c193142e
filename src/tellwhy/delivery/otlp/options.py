# SPDX-License-Identifier: Apache-2.0
"""What is an OTLP exporter to do? The constructor's arguments over the settings, checked once."""

from __future__ import annotations

from tellwhy import diagnostics
from tellwhy._version import __version__
from tellwhy.delivery.otlp.compression import DEFLATE, GZIP, NONE, WHERE_IT_PAYS, Compression
from tellwhy.delivery.otlp.endpoint import Endpoint, is_private, parse, resolve
from tellwhy.delivery.signal import TRACES, of_signal
from tellwhy.errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Final

    from tellwhy.delivery.signal import Signal
    from tellwhy.settings.load import Settings

# Under gRPC's customary 4 MiB, which holds again behind many an OTLP/HTTP gateway.
MAX_REQUEST_SIZE: Final = 3_500_000
CONTENT_TYPES: Final = {"http/protobuf": "application/x-protobuf", "http/json": "application/json"}
_OURS: Final = frozenset(("content-type", "content-length", "content-encoding", "transfer-encoding", "host"))


class Options:
    """The answers to every question that an exporter has; see the arguments of ``OTLPSpanExporter``."""

    __slots__ = (
        "certificates",
        "compression",
        "content_type",
        "endpoint",
        "headers",
        "max_bytes",
        "protocol",
        "timeout",
    )

    def __init__(self, settings: Settings, arguments: Mapping[str, Any], signal: Signal = TRACES) -> None:
        def own(name: str) -> Any:
            return of_signal(settings, signal, name)

        self.endpoint = _endpoint(arguments["endpoint"], settings, signal)
        self.protocol = arguments["protocol"] or own("protocol")
        if self.protocol not in CONTENT_TYPES:
            raise ConfigurationError(f"protocol={self.protocol!r}: expected http/protobuf or http/json")
        self.content_type = CONTENT_TYPES[self.protocol]
        self.timeout = _timeout(own("timeout") / 1000 if arguments["timeout"] is None else arguments["timeout"])
        asked = _encoding(arguments["compression"] or own("compression"))
        self.compression = Compression(asked, is_far=not is_private(self.endpoint.host))
        limit = arguments["max_request_size"]
        self.max_bytes = MAX_REQUEST_SIZE if limit is None else limit if limit > 0 else 1 << 62
        self.certificates = {
            "certificate_file": arguments["certificate_file"] or own("certificate"),
            "client_key_file": arguments["client_key_file"] or own("client_key"),
            "client_certificate_file": arguments["client_certificate_file"] or own("client_certificate"),
        }
        general, headers = settings.exporter_otlp_headers, getattr(settings, f"exporter_otlp_{signal.name}_headers")
        self.headers = self._all_headers({**general, **headers, **(arguments["headers"] or {})})

    def _all_headers(self, given: Mapping[str, str]) -> dict[str, str]:
        from opentelemetry.version import __version__ as api_version

        headers = {"user-agent": f"tellwhy/{__version__} OTel-OTLP-Exporter-Python/{api_version}"}
        if self.endpoint.userinfo:
            from tellwhy.delivery.otlp.proxy import authorization

            headers.update(authorization("authorization", self.endpoint.userinfo))
        for name, value in given.items():
            name = name.strip().lower()
            if _is_sendable(name, value):
                headers[name] = value
            else:
                diagnostics.warn(f"the header {name!r} cannot be sent; left out", key=f"header:{name}")
        headers["content-type"] = self.content_type
        return headers


def _endpoint(argument: str | None, settings: Settings, signal: Signal) -> Endpoint:
    if argument:
        try:
            endpoint = parse(argument, signal)
        except ValueError as error:
            raise ConfigurationError(f"endpoint: {error}") from None
    else:
        own: str | None = getattr(settings, f"exporter_otlp_{signal.name}_endpoint")
        try:
            endpoint = resolve(settings.exporter_otlp_endpoint, own, signal)
        except ValueError as error:
            name = signal.variable("endpoint") if own else "OTEL_EXPORTER_OTLP_ENDPOINT"
            endpoint = resolve(None, None, signal)
            diagnostics.warn(f"{name}: {error}; {signal.noun} are sent to {endpoint}")
    for note in endpoint.notes:
        diagnostics.note(f"{endpoint}: {note}", key=f"endpoint:{note}")
    return endpoint


def _timeout(given: float) -> float:
    timeout = float(given)
    if not timeout > 0:
        raise ConfigurationError(f"timeout={given!r}: expected a number of seconds above 0")
    return timeout


def _encoding(given: object) -> str:
    word = str(getattr(given, "value", given) or WHERE_IT_PAYS).lower()  # the official enumerations hold the words
    if word not in (NONE, GZIP, DEFLATE, WHERE_IT_PAYS):
        raise ConfigurationError(f"compression={word!r}: expected none, gzip or deflate")
    return word


def _is_sendable(name: str, value: object) -> bool:
    if not name or name in _OURS or not isinstance(value, str):
        return False
    try:
        name.encode("ascii")
        value.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return name.isprintable() and " " not in name and ":" not in name and not any(c in value for c in "\r\n\0")
