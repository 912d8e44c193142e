# SPDX-License-Identifier: Apache-2.0
"""
The OTLP exporter of a signal: ours, or OpenTelemetry's own for gRPC and for spans under the SDK engine.

Each is made from the same settings, a signal's own before the general ones.
"""

from __future__ import annotations

from tellwhy.delivery.signal import LOGS, METRICS, TRACES, of_signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tellwhy.delivery.signal import Signal
    from tellwhy.settings import Settings

_OFFICIAL = {
    TRACES: ("trace_exporter", "OTLPSpanExporter"),
    LOGS: ("_log_exporter", "OTLPLogExporter"),
    METRICS: ("metric_exporter", "OTLPMetricExporter"),
}


def exporter(signal: Signal, settings: Settings) -> Any:
    """Return the OTLP exporter of the protocol in force, in the courier's terms."""
    spoken = protocol(settings, signal)
    if spoken == "grpc":
        return _official_grpc(signal, options(settings, signal))
    if settings.engine == "sdk" and signal is TRACES:
        return _official_http(options(settings, signal), spoken)
    if signal is TRACES:
        from tellwhy.delivery.otlp.exporter import OTLPSpanExporter

        return OTLPSpanExporter(settings=settings)
    from tellwhy.delivery.otlp import signals as otlp_signals

    return otlp_signals.EXPORTERS[signal](settings=settings)


def protocol(settings: Settings, signal: Signal = TRACES) -> str:
    """Return the protocol for a signal."""
    spoken: str = of_signal(settings, signal, "protocol")
    return spoken


def endpoint(settings: Settings, signal: Signal = TRACES) -> str:
    """
    Return where a signal is sent.

    The signal's own endpoint is used as it is; the general one gets ``/v1/traces``
    (or another signal's path) appended over HTTP and is used as it is over gRPC,
    where its default port is 4317.
    https://opentelemetry.io/docs/specs/otel/protocol/exporter/
    """
    own: str | None = getattr(settings, f"exporter_otlp_{signal.name}_endpoint")
    if own:
        return own
    general = settings.exporter_otlp_endpoint
    if protocol(settings, signal) == "grpc":
        return general if settings.origin("exporter_otlp_endpoint") != "default" else "http://localhost:4317"
    return f"{general.rstrip('/')}{signal.path}"


def options(settings: Settings, signal: Signal) -> dict[str, Any]:
    """Return what the official OTLP exporters take."""
    own_headers: Mapping[str, str] = getattr(settings, f"exporter_otlp_{signal.name}_headers")
    return {
        "endpoint": endpoint(settings, signal),
        "headers": {**settings.exporter_otlp_headers, **own_headers},
        "timeout": of_signal(settings, signal, "timeout") / 1000,  # the official classes count seconds
        "compression": of_signal(settings, signal, "compression") or "none",
        **{
            name: of_signal(settings, signal, name)
            for name in ("certificate", "client_key", "client_certificate", "insecure")
        },
    }


def _official_http(options: Mapping[str, Any], spoken: str) -> Any:
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    if spoken != "http/protobuf":
        raise ValueError(f"the SDK engine does not speak {spoken}; use http/protobuf or grpc")
    return OTLPSpanExporter(
        endpoint=options["endpoint"],
        certificate_file=options["certificate"],
        client_key_file=options["client_key"],
        client_certificate_file=options["client_certificate"],
        headers=dict(options["headers"]),
        timeout=options["timeout"],
        compression=Compression.Gzip if options["compression"] == "gzip" else Compression.NoCompression,
    )


def _official_grpc(signal: Signal, options: Mapping[str, Any]) -> Any:
    from importlib import import_module

    import grpc

    module, name = _OFFICIAL[signal]
    official = getattr(import_module(f"opentelemetry.exporter.otlp.proto.grpc.{module}"), name)
    endpoint = options["endpoint"]
    insecure = endpoint.startswith("http://") or (not endpoint.startswith("https://") and options["insecure"])
    made = official(
        endpoint=endpoint,
        insecure=insecure,
        credentials=None if insecure else _grpc_credentials(options, grpc),
        # gRPC accepts header names in lower case only.
        headers=tuple((name.lower(), value) for name, value in options["headers"].items()),
        timeout=options["timeout"],
        compression=grpc.Compression.Gzip if options["compression"] == "gzip" else grpc.Compression.NoCompression,
    )
    if signal is TRACES:
        return made
    from tellwhy.delivery.foreign import in_our_terms

    return in_our_terms(made, signal)


def _grpc_credentials(options: Mapping[str, Any], grpc: Any) -> Any:
    files = (options["certificate"], options["client_key"], options["client_certificate"])
    return grpc.ssl_channel_credentials(*(_content(path) if path else None for path in files))


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
