# SPDX-License-Identifier: Apache-2.0
"""
The settings of metrics and logs, and of their exporters: rows of the one declared table.

For each of the exporter's settings a signal's own wins over the general one in ``table.py``.
"""

from __future__ import annotations

from tellwhy.settings import grammar as g
from tellwhy.settings.setting import Setting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

PROTOCOL = g.Choice("http/protobuf", "http/json", "grpc")
COMPRESSION = g.Choice("none", "gzip")
EXPORTERS = ("otlp", "console", "none")


def mask_pairs(value: Mapping[str, str]) -> str:
    """Return pairs as people may see them: every value hidden."""
    return ",".join(f"{key}=****" for key in value)


class Signals:
    """The rows of metrics and logs."""

    __slots__ = ()

    # ---------------------------------------------------------------- exporters
    metrics_exporter: Setting[tuple[str, ...]] = Setting(
        "OTEL_METRICS_EXPORTER",
        g.Words(*EXPORTERS, "prometheus", group="opentelemetry_metrics_exporter"),
        ("none",),
        "Where metrics go. Off until asked for: a backend for traces alone would refuse them.",
    )
    logs_exporter: Setting[tuple[str, ...]] = Setting(
        "OTEL_LOGS_EXPORTER",
        g.Words(*EXPORTERS, group="opentelemetry_logs_exporter"),
        ("none",),
        "Where log records go. Off until asked for: a backend for traces alone would refuse them.",
    )
    exporter_otlp_logs_endpoint: Setting[str | None] = Setting(
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", g.text, None, "URL for log records, used as it is."
    )
    exporter_otlp_logs_protocol: Setting[str | None] = Setting(
        "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", PROTOCOL, None, "The protocol for log records alone."
    )
    exporter_otlp_logs_headers: Setting[Mapping[str, str]] = Setting(
        "OTEL_EXPORTER_OTLP_LOGS_HEADERS",
        g.pairs,
        {},
        "Headers for log records alone; they win over the general ones.",
        secret=True,
        mask=mask_pairs,
    )
    exporter_otlp_logs_timeout: Setting[int | None] = Setting(
        "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT",
        g.some_milliseconds,
        None,
        "Longest wait for one export of log records, in milliseconds.",
    )
    exporter_otlp_logs_compression: Setting[str | None] = Setting(
        "OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", COMPRESSION, None, "The compression of log records alone."
    )
    exporter_otlp_logs_certificate: Setting[str | None] = Setting(
        "OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE",
        g.text,
        None,
        "CAs of the receiver of log records.",
    )
    exporter_otlp_logs_client_key: Setting[str | None] = Setting(
        "OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY", g.text, None, "Private key for mutual TLS, for log records alone."
    )
    exporter_otlp_logs_client_certificate: Setting[str | None] = Setting(
        "OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE", g.text, None, "Certificate for mutual TLS, for log records alone."
    )
    exporter_otlp_logs_insecure: Setting[bool | None] = Setting(
        "OTEL_EXPORTER_OTLP_LOGS_INSECURE",
        g.boolean,
        None,
        "No TLS with `grpc` without a scheme, for log records alone.",
    )
    exporter_otlp_metrics_endpoint: Setting[str | None] = Setting(
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", g.text, None, "URL for metrics, used as it is."
    )
    exporter_otlp_metrics_protocol: Setting[str | None] = Setting(
        "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", PROTOCOL, None, "The protocol for metrics alone."
    )
    exporter_otlp_metrics_headers: Setting[Mapping[str, str]] = Setting(
        "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
        g.pairs,
        {},
        "Headers for metrics alone; they win over the general ones.",
        secret=True,
        mask=mask_pairs,
    )
    exporter_otlp_metrics_timeout: Setting[int | None] = Setting(
        "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT",
        g.some_milliseconds,
        None,
        "Longest wait for one export of metrics, in milliseconds.",
    )
    exporter_otlp_metrics_compression: Setting[str | None] = Setting(
        "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", COMPRESSION, None, "The compression of metrics alone."
    )
    exporter_otlp_metrics_certificate: Setting[str | None] = Setting(
        "OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE",
        g.text,
        None,
        "CAs of the receiver of metrics.",
    )
    exporter_otlp_metrics_client_key: Setting[str | None] = Setting(
        "OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY", g.text, None, "Private key for mutual TLS, for metrics alone."
    )
    exporter_otlp_metrics_client_certificate: Setting[str | None] = Setting(
        "OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE", g.text, None, "Certificate for mutual TLS, for metrics alone."
    )
    exporter_otlp_metrics_insecure: Setting[bool | None] = Setting(
        "OTEL_EXPORTER_OTLP_METRICS_INSECURE",
        g.boolean,
        None,
        "No TLS with `grpc` without a scheme, for metrics alone.",
    )

    # --------------------------------------------------------------------- logs
    blrp_schedule_delay = Setting(
        "OTEL_BLRP_SCHEDULE_DELAY", g.milliseconds, 1000, "Longest wait of a log record in the queue, in milliseconds."
    )
    blrp_export_timeout = Setting(
        "OTEL_BLRP_EXPORT_TIMEOUT", g.milliseconds, 30000, "Longest time for one batch of log records, in milliseconds."
    )
    blrp_max_queue_size = Setting(
        "OTEL_BLRP_MAX_QUEUE_SIZE",
        g.positive,
        2048,
        "Most log records that wait; beyond it the oldest are dropped and counted.",
    )
    blrp_max_export_batch_size = Setting(
        "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", g.positive, 512, "Most log records in one export."
    )
    logrecord_attribute_value_length_limit: Setting[int | None] = Setting(
        "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        g.count,
        None,
        "Longest text of a log record's attribute, in characters; the general limit if unset.",
    )
    logrecord_attribute_count_limit: Setting[int | None] = Setting(
        "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT",
        g.count,
        None,
        "Most attributes of a log record; the general limit if unset.",
    )

    # ------------------------------------------------------------------ metrics
    metric_export_interval = Setting(
        "OTEL_METRIC_EXPORT_INTERVAL",
        g.some_milliseconds,
        60000,
        "From one collection of the metrics to the next, in milliseconds.",
    )
    metric_export_timeout = Setting(
        "OTEL_METRIC_EXPORT_TIMEOUT",
        g.some_milliseconds,
        30000,
        "Longest time for one export of metrics, in milliseconds.",
    )
    metrics_exemplar_filter = Setting(
        "OTEL_METRICS_EXEMPLAR_FILTER",
        g.Choice("trace_based", "always_on", "always_off"),
        "trace_based",
        "Which measurements may stand as exemplars: those inside a sampled span, all, or none.",
    )
    exporter_otlp_metrics_temporality_preference = Setting(
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        g.Choice("cumulative", "delta", "lowmemory"),
        "cumulative",
        "Whether OTLP metrics count from the start of the process or from the export before.",
    )
    exporter_otlp_metrics_default_histogram_aggregation = Setting(
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        g.Choice("explicit_bucket_histogram", "base2_exponential_bucket_histogram"),
        "explicit_bucket_histogram",
        "The buckets of OTLP histograms: bounds that are given, or ones that follow the values.",
    )
    exporter_prometheus_host = Setting(
        "OTEL_EXPORTER_PROMETHEUS_HOST", g.text, "localhost", "Where metrics may be scraped from; this machine alone."
    )
    exporter_prometheus_port = Setting(
        "OTEL_EXPORTER_PROMETHEUS_PORT", g.count, 9464, "The port at which metrics may be scraped."
    )
    span_metrics: Setting[tuple[str, ...]] = Setting(
        "TELLWHY_SPAN_METRICS",
        g.words,
        ("on",),
        "Rate, errors and duration of spans while a metrics exporter is set: `on`, `off`, or attributes to tell apart.",
    )
