# SPDX-License-Identifier: Apache-2.0
"""The OTLP exporters, from the same options: ours, and OpenTelemetry's own for gRPC and for the SDK engine."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from opentelemetry.sdk.trace.export import SpanExporter

    from tellwhy.settings import Settings


def lean_http(settings: Settings) -> SpanExporter:
    """Return our own exporter for ``http/protobuf`` or ``http/json``."""
    from tellwhy.delivery import OTLPSpanExporter

    exporter: Any = OTLPSpanExporter(settings=settings)
    return exporter  # type: ignore[no-any-return]  # a SpanExporter by behaviour


def official_http(options: Mapping[str, Any], protocol: str) -> SpanExporter:
    """Return OpenTelemetry's HTTP exporter; it speaks protobuf only."""
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    if protocol != "http/protobuf":
        raise ValueError(f"the SDK engine does not speak {protocol}; use http/protobuf or grpc")
    return OTLPSpanExporter(
        endpoint=options["endpoint"],
        certificate_file=options["certificate"],
        client_key_file=options["client_key"],
        client_certificate_file=options["client_certificate"],
        headers=dict(options["headers"]),
        timeout=options["timeout"],
        compression=Compression.Gzip if options["compression"] == "gzip" else Compression.NoCompression,
    )


def official_grpc(options: Mapping[str, Any]) -> SpanExporter:
    """Return OpenTelemetry's gRPC exporter."""
    import grpc
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    endpoint = options["endpoint"]
    insecure = endpoint.startswith("http://") or (not endpoint.startswith("https://") and options["insecure"])
    return OTLPSpanExporter(
        endpoint=endpoint,
        insecure=insecure,
        credentials=None if insecure else _grpc_credentials(options, grpc),
        # gRPC accepts header names in lower case only.
        headers=tuple((name.lower(), value) for name, value in options["headers"].items()),
        timeout=options["timeout"],
        compression=grpc.Compression.Gzip if options["compression"] == "gzip" else grpc.Compression.NoCompression,
    )


def _grpc_credentials(options: Mapping[str, Any], grpc: Any) -> Any:
    files = (options["certificate"], options["client_key"], options["client_certificate"])
    return grpc.ssl_channel_credentials(*(_content(path) if path else None for path in files))


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
