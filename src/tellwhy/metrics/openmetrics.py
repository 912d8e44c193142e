# SPDX-License-Identifier: Apache-2.0
"""
How are metrics said in OpenMetrics, and in the Prometheus text format before it?

First as plain families, which processes can hand to each other and add up; then
as text. Names and units follow
https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/.
"""

from __future__ import annotations

import json
import re
from math import isinf, isnan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any, Final, TypeAlias

    Labels: TypeAlias = list[list[str]]  # pairs, in order
    Family: TypeAlias = dict[str, Any]

OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
ADDED, ADDED_WHILE_ALIVE, LATEST = "added", "added while alive", "latest"
"""What becomes of the same series of several processes."""

_NOT_IN_NAMES: Final = re.compile(r"[^a-zA-Z0-9_:]+")
_NOT_IN_LABELS: Final = re.compile(r"[^a-zA-Z0-9_]+")
_UNITS: Final = {
    "d": "days", "h": "hours", "min": "minutes", "s": "seconds", "ms": "milliseconds", "us": "microseconds",
    "ns": "nanoseconds", "By": "bytes", "KiBy": "kibibytes", "MiBy": "mebibytes", "GiBy": "gibibytes",
    "KBy": "kilobytes", "MBy": "megabytes", "GBy": "gigabytes", "m": "meters", "V": "volts", "A": "amperes",
    "J": "joules", "W": "watts", "g": "grams", "Cel": "celsius", "Hz": "hertz", "%": "percent",
}  # fmt: skip
_OF_A_PROCESS: Final = ("process.pid", "service.instance.id")


def families(scope_metrics: Iterable[Any]) -> list[Family]:
    """Return the SDK's metrics as plain lists and dicts."""
    found: dict[str, Family] = {}
    for of_scope in scope_metrics:
        around = {"otel_scope_name": of_scope.scope.name, "otel_scope_version": of_scope.scope.version}
        scope = [[name, value] for name, value in around.items() if value]
        for metric in of_scope.metrics:
            family = _family(metric)
            known = found.setdefault(family["name"], family)
            if known["type"] == family["type"]:  # of two metrics with one name and two types, the first
                known["points"] += [_point(point, family["type"], scope) for point in metric.data.data_points]
    return list(found.values())


def target(resource: Mapping[str, Any]) -> Labels:
    """Return the labels of ``target_info``: the resource, without what only one of several processes has."""
    return _labels({key: value for key, value in resource.items() if key not in _OF_A_PROCESS})


def add(snapshots: Iterable[tuple[bool, list[Family]]]) -> list[Family]:
    """Return the families of several processes as one; each snapshot says first whether its process is alive."""
    found: dict[str, Family] = {}
    places: dict[str, dict[str, Any]] = {}
    for alive, snapshot in snapshots:
        for family in snapshot:
            if not alive and family["merge"] != ADDED:
                continue
            name = family["name"]
            known = found.setdefault(name, {**family, "points": []})
            if known["type"] != family["type"]:
                continue
            known_points = places.setdefault(name, {})
            for point in family["points"]:
                key = json.dumps(point["labels"])
                before = known_points.get(key)
                known_points[key] = point if before is None else _added(before, point, family["merge"])
    for name, family in found.items():
        family["points"] = list(places.get(name, {}).values())
    return list(found.values())


def render(found: Iterable[Family], target_labels: Labels, *, openmetrics: bool) -> str:
    """Return the text; exemplars are in OpenMetrics only."""
    lines: list[str] = []
    if openmetrics:
        lines += ["# TYPE target info", "# HELP target Target metadata"]
    else:
        lines += ["# HELP target_info Target metadata", "# TYPE target_info gauge"]
    lines.append(f"target_info{_braces(target_labels)} 1")
    for family in found:
        _render_family(lines, family, openmetrics=openmetrics)
    if openmetrics:
        lines.append("# EOF")
    return "\n".join(lines) + "\n"


# -------------------------------------------------------------------- one process


def _family(metric: Any) -> Family:
    kind, merge = "gauge", LATEST
    data = metric.data
    if hasattr(data, "is_monotonic"):
        kind, merge = ("counter", ADDED) if data.is_monotonic else ("gauge", ADDED_WHILE_ALIVE)
    elif hasattr(data, "aggregation_temporality"):
        kind, merge = "histogram", ADDED
    unit = metric.unit or ""
    unit = "ratio" if unit == "1" and kind == "gauge" else _UNITS.get(unit, "")
    name = _name(metric.name, _NOT_IN_NAMES)
    if kind == "counter":
        name = name.removesuffix("_total")
    if unit and not name.endswith(f"_{unit}"):
        name = f"{name}_{unit}"
    return {
        "name": name,
        "type": kind,
        "unit": unit,
        "help": metric.description or "",
        "merge": merge,
        "points": [],
    }


def _point(point: Any, kind: str, scope: Labels) -> dict[str, Any]:
    found: dict[str, Any] = {
        "labels": _labels(dict(point.attributes or {})) + scope,
        "time": point.time_unix_nano,
    }
    if kind != "histogram":
        exemplar = max(point.exemplars or (), key=lambda one: one.time_unix_nano, default=None)
        return {**found, "value": point.value, "exemplar": _exemplar(exemplar)}
    bounds = [float(bound) for bound in getattr(point, "explicit_bounds", ())]
    counts = list(point.bucket_counts) if bounds else [point.count]  # exponential buckets have no place in the text
    exemplars: dict[str, Any] = {}
    for one in sorted(point.exemplars or (), key=lambda one: one.time_unix_nano):
        bucket = next((number for number, bound in enumerate(bounds) if one.value <= bound), len(counts) - 1)
        exemplars[str(bucket)] = _exemplar(one)
    return {**found, "bounds": bounds, "counts": counts, "sum": point.sum, "exemplars": exemplars}


def _exemplar(exemplar: Any) -> list[Any] | None:
    """Return what an exemplar says: trace id, span id, value, seconds since the epoch."""
    if exemplar is None or not exemplar.trace_id:
        return None
    ids = f"{exemplar.trace_id:032x}", f"{exemplar.span_id or 0:016x}"
    return [*ids, exemplar.value, exemplar.time_unix_nano / 1e9]


def _name(name: str, pattern: re.Pattern[str]) -> str:
    clean = pattern.sub("_", name)
    return f"_{clean}" if clean[:1].isdigit() else clean


def _labels(attributes: Mapping[str, Any]) -> Labels:
    labels: dict[str, str] = {}
    for key in sorted(attributes):
        name = _name(key, _NOT_IN_LABELS)
        value = _text(attributes[key])
        # Two attributes may come to have one name: the specification has their values joined.
        labels[name] = f"{labels[name]};{value}" if name in labels else value
    return [[name, value] for name, value in labels.items()]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return json.dumps(value, separators=(",", ":"), default=str)
    return str(value)


# --------------------------------------------------------------- several processes


def _added(before: dict[str, Any], point: dict[str, Any], merge: str) -> dict[str, Any]:
    newer = point if point["time"] >= before["time"] else before
    if merge == LATEST:
        return newer
    if "counts" not in point:
        exemplar = _later(before["exemplar"], point["exemplar"])
        return {**newer, "value": before["value"] + point["value"], "exemplar": exemplar}
    if before["bounds"] != point["bounds"]:
        return newer
    exemplars = {
        bucket: _later(before["exemplars"].get(bucket), point["exemplars"].get(bucket))
        for bucket in {**before["exemplars"], **point["exemplars"]}
    }
    return {
        **newer,
        "counts": [one + other for one, other in zip(before["counts"], point["counts"], strict=True)],
        "sum": before["sum"] + point["sum"],
        "exemplars": exemplars,
    }


def _later(one: list[Any] | None, other: list[Any] | None) -> list[Any] | None:
    if one is None or other is None:
        return one or other
    return one if one[3] >= other[3] else other


# ---------------------------------------------------------------------------- text


def _render_family(lines: list[str], family: Family, *, openmetrics: bool) -> None:
    name, kind = family["name"], family["type"]
    shown = f"{name}_total" if kind == "counter" and not openmetrics else name
    if family["help"]:
        escaped = family["help"].replace("\\", "\\\\").replace("\n", "\\n")
        lines.append(f"# HELP {shown} " + (escaped.replace('"', '\\"') if openmetrics else escaped))
    lines.append(f"# TYPE {shown} {kind}")
    if family["unit"] and openmetrics:
        lines.append(f"# UNIT {shown} {family['unit']}")
    for point in family["points"]:
        if kind == "histogram":
            _render_histogram(lines, name, point, openmetrics=openmetrics)
        else:
            sample = f"{name}_total" if kind == "counter" else name
            mark = _mark(point["exemplar"]) if openmetrics and kind == "counter" else ""
            lines.append(f"{sample}{_braces(point['labels'])} {_number(point['value'])}{mark}")


def _render_histogram(lines: list[str], name: str, point: dict[str, Any], *, openmetrics: bool) -> None:
    total = 0
    for number, count in enumerate(point["counts"]):
        total += count
        bound = _number(point["bounds"][number]) if number < len(point["bounds"]) else "+Inf"
        mark = _mark(point["exemplars"].get(str(number))) if openmetrics else ""
        lines.append(f"{name}_bucket{_braces([*point['labels'], ['le', bound]])} {total}{mark}")
    lines.append(f"{name}_sum{_braces(point['labels'])} {_number(point['sum'])}")
    lines.append(f"{name}_count{_braces(point['labels'])} {total}")


def _mark(exemplar: list[Any] | None) -> str:
    if exemplar is None:
        return ""
    trace_id, span_id, value, when = exemplar
    return f' # {{trace_id="{trace_id}",span_id="{span_id}"}} {_number(value)} {when:.3f}'


def _braces(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(value: str) -> str:
    value = value.encode("utf-8", "replace").decode()  # lone surrogates
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    if isnan(value):
        return "NaN"
    if isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)
