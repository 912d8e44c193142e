# SPDX-License-Identifier: Apache-2.0
"""
How does a collection of metrics become OTLP ``ExportMetricsServiceRequest`` messages, as protobuf or as JSON?

A collection is the SDK's ``MetricsData``. It is cut between data points where a
request would become too large; whoever gets a part of a collection twice, after
a failure, gets the same numbers for the same moment.
"""

from __future__ import annotations

from struct import Struct, pack

from tellwhy import diagnostics
from tellwhy.delivery.otlp import encoder, encoder_json
from tellwhy.delivery.otlp.encoder import MAX_BYTES
from tellwhy.delivery.otlp.span_fields import mapping, text
from tellwhy.delivery.otlp.wire import attributes, delimited, pack_double, utf8, varint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any, TypeAlias

    Split: TypeAlias = Iterator[tuple[bytes, Sequence[Any]]]

_pack_fixed = Struct("<cQ").pack
_pack_signed = Struct("<cq").pack
_FRAME = 128  # bytes around a point's metric, scope and request: tags, lengths, braces, names of fields
_UINT64 = (1 << 64) - 1
_NAMES = (b"resourceMetrics", b"scopeMetrics", b"metrics")
GAUGE, SUM, HISTOGRAM, EXPONENTIAL = 5, 7, 9, 10
_KINDS = {"Gauge": GAUGE, "Sum": SUM, "Histogram": HISTOGRAM, "ExponentialHistogram": EXPONENTIAL}
_NAME_OF = {GAUGE: "gauge", SUM: "sum", HISTOGRAM: "histogram", EXPONENTIAL: "exponentialHistogram"}


class _Around:
    """What the encoders' caches of resources and scopes look at."""

    __slots__ = ("instrumentation_scope", "resource")

    def __init__(self, resource: Any, scope: Any) -> None:
        self.resource = resource
        self.instrumentation_scope = scope


def split(collections: Sequence[Any], max_bytes: int | None = MAX_BYTES) -> Split:
    """Yield protobuf requests of at most ``max_bytes`` each; a collection goes with the last of its requests."""
    return _split(collections, max_bytes, _Protobuf)


class Json:
    """The same as JSON."""

    @staticmethod
    def split(collections: Sequence[Any], max_bytes: int | None = MAX_BYTES) -> Split:
        """Yield JSON requests of at most ``max_bytes`` each."""
        return _split(collections, max_bytes, _Json)


def _split(collections: Sequence[Any], max_bytes: int | None, form: Any) -> Split:
    bound = (1 << 62) if max_bytes is None else max_bytes
    for collection in collections:
        requests = list(_requests(collection, bound, form)) or [form.request([])]
        for payload in requests[:-1]:
            yield payload, []
        yield requests[-1], [collection]


def _requests(collection: Any, bound: int, form: Any) -> Iterator[bytes]:
    """Yield the requests of one collection."""
    groups: dict[Any, list[bytes]] = {}
    size = 0
    for of_resource in collection.resource_metrics:
        for of_scope in of_resource.scope_metrics:
            head = form.heads.of(_Around(of_resource.resource, of_scope.scope))
            for metric in of_scope.metrics:
                for part in _parts(metric, bound, form):
                    more = len(part) + sum(map(len, head)) + _FRAME
                    if groups and size + more > bound:
                        yield form.request(list(groups.items()))
                        groups, size = {}, 0
                    groups.setdefault(head, []).append(part)
                    size += more
    if groups:
        yield form.request(list(groups.items()))


def _parts(metric: Any, bound: int, form: Any) -> Iterator[bytes]:
    """Yield a metric whole, or in parts of its points where it is larger than a request."""
    try:
        kind = _KINDS[type(metric.data).__name__]
        point: Callable[[Any], bytes] = form.points[kind]
        points: list[bytes] = []
        size = 0
        for one in metric.data.data_points:
            encoded = point(one)
            if points and size + len(encoded) + 2 * _FRAME > bound // 2:
                yield form.metric(metric, kind, points)
                points, size = [], 0
            points.append(encoded)
            size += len(encoded) + 6
        if points:
            yield form.metric(metric, kind, points)
    except Exception as error:
        diagnostics.fault(f"the encoding of the metric {getattr(metric, 'name', metric)!s:.80}", error)


# ------------------------------------------------------------------------ protobuf


def _number(tag_double: bytes, tag_int: bytes, value: Any) -> bytes:
    return _pack_signed(tag_int, value) if isinstance(value, int) else tag_double + pack_double(value)


def _exemplars(tag: bytes, exemplars: Any) -> bytes:
    return b"".join(
        delimited(
            tag,
            b"".join(
                (
                    _pack_fixed(b"\x11", one.time_unix_nano),
                    _number(b"\x19", b"\x31", one.value),
                    b"\x22\x08" + one.span_id.to_bytes(8, "big") if one.span_id else b"",
                    b"\x2a\x10" + one.trace_id.to_bytes(16, "big") if one.trace_id else b"",
                    attributes(b"\x3a", mapping(one.filtered_attributes)),
                )
            ),
        )
        for one in exemplars or ()
    )


def _times(point: Any) -> bytes:
    return _pack_fixed(b"\x11", point.start_time_unix_nano or 0) + _pack_fixed(b"\x19", point.time_unix_nano)


def _number_point(point: Any) -> bytes:
    return b"".join(
        (
            _times(point),
            _number(b"\x21", b"\x31", point.value),
            _exemplars(b"\x2a", point.exemplars),
            attributes(b"\x3a", mapping(point.attributes)),
        )
    )


def _extremes(point: Any, least: bytes, greatest: bytes) -> bytes:
    if not point.count or point.min is None or point.max is None:
        return b""
    return least + pack_double(point.min) + greatest + pack_double(point.max)


def _histogram_point(point: Any) -> bytes:
    counts, bounds = point.bucket_counts, point.explicit_bounds
    return b"".join(
        (
            _times(point),
            _pack_fixed(b"\x21", point.count),
            b"\x29" + pack_double(point.sum),
            delimited(b"\x32", pack(f"<{len(counts)}Q", *counts)),
            delimited(b"\x3a", pack(f"<{len(bounds)}d", *bounds)),
            _exemplars(b"\x42", point.exemplars),
            attributes(b"\x4a", mapping(point.attributes)),
            _extremes(point, b"\x59", b"\x61"),
        )
    )


def _buckets(tag: bytes, buckets: Any) -> bytes:
    if not buckets.bucket_counts:
        return b""
    counts = b"".join([varint(count) for count in buckets.bucket_counts])
    return delimited(tag, b"\x08" + varint(_zigzag(buckets.offset)) + delimited(b"\x12", counts))


def _zigzag(value: int) -> int:
    return (value << 1 ^ value >> 63) & _UINT64


def _exponential_point(point: Any) -> bytes:
    return b"".join(
        (
            attributes(b"\x0a", mapping(point.attributes)),
            _times(point),
            _pack_fixed(b"\x21", point.count),
            b"\x29" + pack_double(point.sum),
            b"\x30" + varint(_zigzag(point.scale)),
            _pack_fixed(b"\x39", point.zero_count),
            _buckets(b"\x42", point.positive),
            _buckets(b"\x4a", point.negative),
            _exemplars(b"\x5a", point.exemplars),
            _extremes(point, b"\x61", b"\x69"),
        )
    )


_POINTS = {GAUGE: _number_point, SUM: _number_point, HISTOGRAM: _histogram_point, EXPONENTIAL: _exponential_point}


class _Protobuf:
    heads = encoder.heads_around
    points = _POINTS
    request = staticmethod(encoder.request)

    @staticmethod
    def metric(metric: Any, kind: int, points: list[bytes]) -> bytes:
        """Return a ``Metric`` with these points."""
        data = b"".join([delimited(b"\x0a", point) for point in points])
        if kind != GAUGE:
            data += b"\x10" + varint(metric.data.aggregation_temporality.value)
        if kind == SUM and metric.data.is_monotonic:
            data += b"\x18\x01"
        return b"".join(
            (
                delimited(b"\x0a", utf8(metric.name)),
                delimited(b"\x12", utf8(metric.description or "")),
                delimited(b"\x1a", utf8(metric.unit or "")),
                delimited(varint(kind << 3 | 2), data),
            )
        )


# ---------------------------------------------------------------------------- JSON


def _number_fields(value: Any) -> dict[str, Any]:
    return {"asInt": str(value)} if isinstance(value, int) else {"asDouble": value}


def _common(point: Any) -> dict[str, Any]:
    return {
        "attributes": encoder_json.attributes_of(mapping(point.attributes)),
        "startTimeUnixNano": str(point.start_time_unix_nano or 0),
        "timeUnixNano": str(point.time_unix_nano),
        "exemplars": [
            {
                "timeUnixNano": str(one.time_unix_nano),
                **_number_fields(one.value),
                **({"spanId": f"{one.span_id:016x}"} if one.span_id else {}),
                **({"traceId": f"{one.trace_id:032x}"} if one.trace_id else {}),
                "filteredAttributes": encoder_json.attributes_of(mapping(one.filtered_attributes)),
            }
            for one in point.exemplars or ()
        ],
    }


def _number_json(point: Any) -> bytes:
    return _dumped({**_common(point), **_number_fields(point.value)})


def _counted(point: Any) -> dict[str, Any]:
    extremes = {} if not point.count or point.min is None else {"min": point.min, "max": point.max}
    return {**_common(point), "count": str(point.count), "sum": point.sum, **extremes}


def _histogram_json(point: Any) -> bytes:
    counts = [str(count) for count in point.bucket_counts]
    return _dumped({**_counted(point), "bucketCounts": counts, "explicitBounds": list(point.explicit_bounds)})


def _exponential_json(point: Any) -> bytes:
    def buckets(side: Any) -> dict[str, Any]:
        return {"offset": side.offset, "bucketCounts": [str(count) for count in side.bucket_counts]}

    both = {"positive": point.positive, "negative": point.negative}
    sides = {name: buckets(side) for name, side in both.items() if side.bucket_counts}
    return _dumped({**_counted(point), "scale": point.scale, "zeroCount": str(point.zero_count), **sides})


def _dumped(value: Any) -> bytes:
    encoded: bytes = encoder_json.dump(value).encode()
    return encoded


_JSON_POINTS = {GAUGE: _number_json, SUM: _number_json, HISTOGRAM: _histogram_json, EXPONENTIAL: _exponential_json}


class _Json:
    heads = encoder_json.heads_around
    points = _JSON_POINTS

    @staticmethod
    def request(groups: Any) -> bytes:
        """Return a request."""
        return encoder_json.request(groups, _NAMES)

    @staticmethod
    def metric(metric: Any, kind: int, points: list[bytes]) -> bytes:
        """Return a metric with these points."""
        data = b'"dataPoints":[%b]' % b",".join(points)
        if kind != GAUGE:
            data += b',"aggregationTemporality":%d' % metric.data.aggregation_temporality.value
        if kind == SUM and metric.data.is_monotonic:
            data += b',"isMonotonic":true'
        names = {"name": text(metric.name), "description": metric.description or "", "unit": metric.unit or ""}
        return _dumped(names)[:-1] + b',"%b":{%b}}' % (_NAME_OF[kind].encode(), data)
