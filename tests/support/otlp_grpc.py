# SPDX-License-Identifier: Apache-2.0
"""
What did arrive over gRPC? The receiver of ``support.otlp``, for the other protocol.

::

    with OtlpGrpcReceiver() as receiver:
        environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = receiver.endpoint       # http://127.0.0.1:PORT
        environ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "grpc"
        ...
        (span,) = receiver.spans                                         # support.otlp.ReceivedSpan
        receiver.metadata                                                # of the last export, a dict
"""

from __future__ import annotations

from concurrent import futures
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)

from support.otlp import ReceivedSpan, decode_spans


class OtlpGrpcReceiver(TraceServiceServicer):
    """
    A gRPC server on loopback that takes spans.

    Args:

        certificate: Key and certificate chain, both in PEM, for TLS.
    """

    def __init__(self, certificate: tuple[bytes, bytes] | None = None) -> None:
        self.spans: list[ReceivedSpan] = []
        self.metadata: dict[str, str] = {}
        self._server = grpc.server(futures.ThreadPoolExecutor(2))
        add_TraceServiceServicer_to_server(self, self._server)
        if certificate is None:
            port = self._server.add_insecure_port("127.0.0.1:0")
        else:
            port = self._server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([certificate]))
        self.port: int = port
        self.endpoint = f"{'https' if certificate else 'http'}://127.0.0.1:{port}"

    def Export(self, request: ExportTraceServiceRequest, context: Any) -> ExportTraceServiceResponse:
        """Take one export."""
        self.metadata = dict(context.invocation_metadata())
        self.spans.extend(decode_spans(request))
        return ExportTraceServiceResponse()

    def __enter__(self) -> OtlpGrpcReceiver:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(grace=None).wait()
