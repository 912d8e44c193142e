# SPDX-License-Identifier: Apache-2.0
"""
Every setting, declared once.

From this table come the parsing of the environment, the flags of ``tellwhy
run``, the keywords of ``setup_tracing()``, the keys of ``[tool.tellwhy]`` and
the reference page. Names and defaults are the OpenTelemetry specification's
unless the line says why not.
"""

from __future__ import annotations

from tellwhy.settings import grammar as g
from tellwhy.settings.privacy import Privacy
from tellwhy.settings.setting import Setting
from tellwhy.settings.signals import COMPRESSION, EXPORTERS, PROTOCOL, Signals, mask_pairs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_SAMPLERS = ("always_on", "always_off", "traceidratio")
_PROPAGATOR_PACKAGES = {
    "b3": "opentelemetry-propagator-b3",
    "b3multi": "opentelemetry-propagator-b3",
    "jaeger": "opentelemetry-propagator-jaeger",
    "ottrace": "opentelemetry-propagator-ot-trace",
    "xray": "opentelemetry-propagator-aws-xray",
}


class Table(Signals, Privacy):
    """The rows. An instance of the subclass ``Settings`` holds one value for each."""

    __slots__ = ()

    # ------------------------------------------------------------------ general
    sdk_disabled = Setting("OTEL_SDK_DISABLED", g.boolean, False, "Switches tracing, metrics and logs off.")
    service_name: Setting[str | None] = Setting(
        "OTEL_SERVICE_NAME", g.text, None, "Name of this service; inferred from the program if unset."
    )
    resource_attributes: Setting[Mapping[str, str]] = Setting(
        "OTEL_RESOURCE_ATTRIBUTES", g.pairs, {}, "Attributes of this process: `key=value,key2=value2`."
    )
    propagators: Setting[tuple[str, ...]] = Setting(
        "OTEL_PROPAGATORS",
        g.Words(
            "tracecontext",
            "baggage",
            "none",
            group="opentelemetry_propagator",
            packages=_PROPAGATOR_PACKAGES,
        ),
        ("tracecontext", "baggage"),
        "How trace context travels in headers; names of installed propagators, in order.",
    )
    config_file: Setting[str | None] = Setting(
        "OTEL_CONFIG_FILE", g.text, None, "Declarative configuration file; read after pyproject.toml."
    )
    python_id_generator = Setting(
        "OTEL_PYTHON_ID_GENERATOR",
        g.Named("random", group="opentelemetry_id_generator"),
        "random",
        "Where trace and span ids come from: `random`, or an installed generator's name.",
    )
    experimental_resource_detectors: Setting[tuple[str, ...]] = Setting(
        "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS",
        g.Words("otel", group="opentelemetry_resource_detector"),
        (),
        "Installed resource detectors to run beside the built-in detection.",
    )

    # ----------------------------------------------------------------- sampling
    traces_sampler = Setting(
        "OTEL_TRACES_SAMPLER",
        g.Named(*_SAMPLERS, *(f"parentbased_{name}" for name in _SAMPLERS), group="opentelemetry_traces_sampler"),
        "parentbased_always_on",
        "Who decides at the start of a trace whether it is recorded.",
    )
    traces_sampler_arg: Setting[str | None] = Setting(
        "OTEL_TRACES_SAMPLER_ARG",
        g.text,
        None,
        "The sampler's argument: for `traceidratio` a number from 0 to 1.",
    )

    # ---------------------------------------------------------------- exporters
    traces_exporter: Setting[tuple[str, ...]] = Setting(
        "OTEL_TRACES_EXPORTER",
        g.Words(*EXPORTERS, group="opentelemetry_traces_exporter"),
        ("otlp",),
        "Where spans go: a comma-separated list of `otlp`, `console`, `none` or an installed exporter's name.",
    )
    exporter_otlp_endpoint = Setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        g.text,
        "http://localhost:4318",
        "Base URL of the OTLP receiver; `/v1/traces` is appended (port 4317 with `grpc`).",
    )
    exporter_otlp_traces_endpoint: Setting[str | None] = Setting(
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", g.text, None, "URL for spans, used as it is."
    )
    exporter_otlp_protocol = Setting(
        "OTEL_EXPORTER_OTLP_PROTOCOL", PROTOCOL, "http/protobuf", "How OTLP is spoken to the receiver."
    )
    exporter_otlp_traces_protocol: Setting[str | None] = Setting(
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", PROTOCOL, None, "The protocol for spans alone."
    )
    exporter_otlp_headers: Setting[Mapping[str, str]] = Setting(
        "OTEL_EXPORTER_OTLP_HEADERS",
        g.pairs,
        {},
        "Headers sent with every export: `authorization=Bearer …,x-tenant=acme`.",
        secret=True,
        mask=mask_pairs,
    )
    exporter_otlp_traces_headers: Setting[Mapping[str, str]] = Setting(
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        g.pairs,
        {},
        "Headers for spans alone; they win over the general ones.",
        secret=True,
        mask=mask_pairs,
    )
    exporter_otlp_timeout = Setting(
        "OTEL_EXPORTER_OTLP_TIMEOUT", g.some_milliseconds, 10000, "Longest wait for one export, in milliseconds."
    )
    exporter_otlp_traces_timeout: Setting[int | None] = Setting(
        "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
        g.some_milliseconds,
        None,
        "The wait for spans alone, in milliseconds.",
    )
    exporter_otlp_compression: Setting[str | None] = Setting(
        "OTEL_EXPORTER_OTLP_COMPRESSION",
        COMPRESSION,
        None,
        "`gzip` or `none`; if unset, gzip over HTTP to a receiver outside of the own network, else none.",
    )
    exporter_otlp_traces_compression: Setting[str | None] = Setting(
        "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", COMPRESSION, None, "The compression of spans alone."
    )
    exporter_otlp_certificate: Setting[str | None] = Setting(
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
        g.text,
        None,
        "File with the certificates that the receiver's must chain to.",
    )
    exporter_otlp_traces_certificate: Setting[str | None] = Setting(
        "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", g.text, None, "The same for spans alone."
    )
    exporter_otlp_client_key: Setting[str | None] = Setting(
        "OTEL_EXPORTER_OTLP_CLIENT_KEY", g.text, None, "File with the private key for mutual TLS."
    )
    exporter_otlp_traces_client_key: Setting[str | None] = Setting(
        "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", g.text, None, "The same for spans alone."
    )
    exporter_otlp_client_certificate: Setting[str | None] = Setting(
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", g.text, None, "File with the certificate for mutual TLS."
    )
    exporter_otlp_traces_client_certificate: Setting[str | None] = Setting(
        "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", g.text, None, "The same for spans alone."
    )
    exporter_otlp_insecure = Setting(
        "OTEL_EXPORTER_OTLP_INSECURE", g.boolean, False, "For `grpc` without a scheme: no TLS."
    )
    exporter_otlp_traces_insecure: Setting[bool | None] = Setting(
        "OTEL_EXPORTER_OTLP_TRACES_INSECURE", g.boolean, None, "The same for spans alone."
    )

    # ----------------------------------------------------------------- batching
    bsp_schedule_delay = Setting(
        "OTEL_BSP_SCHEDULE_DELAY",
        g.milliseconds,
        5000,
        "Longest wait of a span in the queue, in milliseconds.",
    )
    bsp_export_timeout = Setting(
        "OTEL_BSP_EXPORT_TIMEOUT",
        g.milliseconds,
        30000,
        "Longest time for one batch with its retries, in milliseconds.",
    )
    bsp_max_queue_size = Setting(
        "OTEL_BSP_MAX_QUEUE_SIZE",
        g.positive,
        2048,
        "Most spans that wait; beyond it the oldest are dropped and counted.",
    )
    bsp_max_export_batch_size = Setting("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", g.positive, 512, "Most spans in one export.")

    # ------------------------------------------------------------------- limits
    attribute_value_length_limit: Setting[int | None] = Setting(
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", g.count, None, "Longest text of an attribute, in characters."
    )
    attribute_count_limit = Setting("OTEL_ATTRIBUTE_COUNT_LIMIT", g.count, 128, "Most attributes of anything.")
    span_attribute_value_length_limit: Setting[int | None] = Setting(
        "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        g.count,
        None,
        "Longest text of a span's attribute, in characters.",
    )
    span_attribute_count_limit: Setting[int | None] = Setting(
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
        g.count,
        None,
        "Most attributes of a span; the general limit if unset.",
    )
    span_event_count_limit = Setting("OTEL_SPAN_EVENT_COUNT_LIMIT", g.count, 128, "Most events of a span.")
    span_link_count_limit = Setting("OTEL_SPAN_LINK_COUNT_LIMIT", g.count, 128, "Most links of a span.")
    event_attribute_count_limit: Setting[int | None] = Setting(
        "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", g.count, None, "Most attributes of an event; 128 if unset."
    )
    link_attribute_count_limit: Setting[int | None] = Setting(
        "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", g.count, None, "Most attributes of a link; 128 if unset."
    )

    spans_per_trace = Setting(
        "TELLWHY_SPANS_PER_TRACE",
        g.count,
        1000,
        "Most spans of one trace in this process that are sent singly; beyond it, repeated ones are folded into "
        "one span that counts them. 0: no cap.",
    )
    open_spans = Setting(
        "TELLWHY_OPEN_SPANS",
        g.milliseconds,
        0,
        "After how many milliseconds a span that is still open is sent as it stands, marked `tellwhy.unfinished`; "
        "from then on whenever it has changed. 0: spans are sent when they have ended.",
    )

    # --------------------------------------------------------- instrumentations
    python_disabled_instrumentations: Setting[tuple[str, ...]] = Setting(
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
        g.words,
        (),
        "Instrumentations to leave out, by name; `*` for all.",
    )
    instrument: Setting[tuple[str, ...]] = Setting(
        "TELLWHY_INSTRUMENT",
        g.words,
        (),
        "The only instrumentations to use; `flask:contrib` picks OpenTelemetry's own for one library.",
    )
    trace: Setting[tuple[str, ...]] = Setting(
        "TELLWHY_TRACE",
        g.words,
        (),
        "Functions of your own modules to trace without touching them: `shop.pricing:quote`, `shop.billing.*`, "
        "`shop.*:handle_*`.",
    )
    python_excluded_urls: Setting[str | None] = Setting(
        "OTEL_PYTHON_EXCLUDED_URLS",
        g.text,
        None,
        "Regular expressions, separated by commas, of URLs to leave untraced.",
    )
    python_flask_excluded_urls: Setting[str | None] = Setting(
        "OTEL_PYTHON_FLASK_EXCLUDED_URLS",
        g.text,
        None,
        "The same for Flask alone; wins over the general one.",
    )
    python_requests_excluded_urls: Setting[str | None] = Setting(
        "OTEL_PYTHON_REQUESTS_EXCLUDED_URLS",
        g.text,
        None,
        "The same for requests alone; wins over the general one.",
    )
    semconv_stability_opt_in: Setting[tuple[str, ...]] = Setting(
        "OTEL_SEMCONV_STABILITY_OPT_IN",
        g.Words("http", "http/dup", "database", "database/dup", "none", "gen_ai_latest_experimental", "code"),
        ("http", "database"),
        "Which semantic conventions: the stable ones unless `none` (the old names) or `…/dup` (both).",
    )
    instrumentation_http_capture_headers_server_request: Setting[tuple[str, ...]] = Setting(
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST",
        g.words,
        (),
        "Request headers of servers to record, by name or regular expression: `x-request-id`.",
    )
    instrumentation_http_capture_headers_server_response: Setting[tuple[str, ...]] = Setting(
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE",
        g.words,
        (),
        "Response headers of servers to record.",
    )
    instrumentation_http_capture_headers_client_request: Setting[tuple[str, ...]] = Setting(
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_REQUEST",
        g.words,
        (),
        "Request headers of clients to record.",
    )
    instrumentation_http_capture_headers_client_response: Setting[tuple[str, ...]] = Setting(
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_RESPONSE",
        g.words,
        (),
        "Response headers of clients to record.",
    )
    instrumentation_http_capture_headers_sanitize_fields: Setting[tuple[str, ...]] = Setting(
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS",
        g.words,
        (),
        "Headers whose value is replaced, beside those that always are.",
    )

    # --------------------------------------------------------------- tellwhy's own
    engine = Setting(
        "TELLWHY_ENGINE",
        g.Choice("lean", "sdk"),
        "lean",
        "`lean`, or `sdk`: OpenTelemetry's own provider, processors, exporters and instrumentors.",
    )
    exit_budget = Setting(
        "TELLWHY_EXIT_BUDGET",
        g.milliseconds,
        2000,
        "The most that exit may be delayed, all signals together, in milliseconds.",
    )
    spool_dir: Setting[str | None] = Setting(
        "TELLWHY_SPOOL_DIR", g.text, None, "Undelivered batches are kept on disk here, across restarts."
    )
    log_correlation = Setting(
        "TELLWHY_LOG_CORRELATION",
        g.Choice("fields", "text", "json", "off"),
        "fields",
        "Trace ids in logs: `fields` on every record, `text` appended to lines, `json` lines, or `off`.",
    )
    children = Setting(
        "TELLWHY_CHILDREN",
        g.Choice("on", "off"),
        "on",
        "Whether Python child processes of a wrapped program are traced too.",
    )
    diagnostics = Setting(
        "TELLWHY_DIAGNOSTICS",
        g.Choice("quiet", "normal", "debug"),
        "normal",
        "How much tellwhy says on stderr: nothing, start line and changes of state, or everything.",
    )
    strict = Setting(
        "TELLWHY_STRICT",
        g.boolean,
        False,
        "A configuration problem stops the start instead of being warned about.",
    )
