# SPDX-License-Identifier: Apache-2.0
"""What is wrong although each value by itself is right: settings that contradict, or do nothing."""

from __future__ import annotations

from tellwhy.settings.grammar import Rejected, did_you_mean, ratio
from tellwhy.settings.setting import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from tellwhy.settings.load import Settings

# Opentelemetry-python reads OTEL_EXPORTER_OTLP_TIMEOUT in seconds, the
# specification in milliseconds; nobody means to give up after a tenth of a second.
_SECONDS_SUSPECTED = 100
_LAST_PORT = 65535

# Names of one family are alike anyway: OTEL_EXPORTER_JAEGER_ENDPOINT is no slip (0.82), OTEL_SERVCE_NAME is (0.97).
_MISSPELT = 0.85

WRAPPER_VARIABLE = "TELLWHY_RUN"
"""What ``tellwhy run`` sets for the program that it starts; no setting of the user's."""


def check(settings: Settings, environ: Mapping[str, str], variables: Collection[str]) -> Iterator[Problem]:
    """
    Yield what is wrong across settings, putting safe values in force where needed.

    Args:

        settings: What was read; changed in place.

        environ: The environment that it was read from.

        variables: The names of the variables that the table declares.
    """
    for rule in _RULES:
        yield from rule(settings)
    yield from _unknown_variables(environ, variables)


def _sampler_argument(settings: Settings) -> Iterator[Problem]:
    argument = settings.traces_sampler_arg
    if argument is None:
        return
    sampler = settings.traces_sampler
    if sampler.endswith("traceidratio"):
        try:
            ratio.parse(argument)
        except Rejected as wrong:
            assert wrong.use is not None  # a ratio always names a safe value
            value, label = wrong.use
            yield _of(settings, "traces_sampler_arg", f"expected {wrong.expected}", f"using {label}")
            settings._put("traces_sampler_arg", f"{value:g}", settings.origin("traces_sampler_arg"))
    elif sampler.endswith(("always_on", "always_off")):
        yield _of(
            settings,
            "traces_sampler_arg",
            f"{sampler} takes no argument",
            "ignored; a ratio needs OTEL_TRACES_SAMPLER=parentbased_traceidratio",
        )
        settings._put("traces_sampler_arg", None, settings.origin("traces_sampler_arg"))


def _batch_larger_than_queue(settings: Settings) -> Iterator[Problem]:
    for kind in ("bsp", "blrp"):
        queue, batch = getattr(settings, f"{kind}_max_queue_size"), f"{kind}_max_export_batch_size"
        if getattr(settings, batch) > queue:
            # The default batch is no fault of the user's: only a small queue was asked for.
            if settings.origin(batch) != "default":
                yield _of(settings, batch, f"larger than the queue of {queue}", f"using {queue}")
            settings._put(batch, queue, settings.origin(batch))


def _timeout_in_seconds(settings: Settings) -> Iterator[Problem]:
    for signal in ("", "traces_", "logs_", "metrics_"):
        name = f"exporter_otlp_{signal}timeout"
        value = getattr(settings, name)
        if value is not None and value < _SECONDS_SUSPECTED:
            yield _of(
                settings,
                name,
                "the specification counts milliseconds",
                f"exports give up after {value} ms; for seconds write {value * 1000}",
            )


def _exporters(settings: Settings) -> Iterator[Problem]:
    for name in ("traces_exporter", "metrics_exporter", "logs_exporter"):
        words = getattr(settings, name)
        if "none" in words and len(words) > 1:
            others = tuple(word for word in words if word != "none")
            yield _of(settings, name, "`none` stands beside others", f"using {','.join(others)}")
            settings._put(name, others, settings.origin(name))


def _configuration_file(settings: Settings) -> Iterator[Problem]:
    if settings.config_file:
        yield _of(
            settings,
            "config_file",
            "declarative configuration files are not read by this version",
            "ignored; the other settings hold",
        )


def _port(settings: Settings) -> Iterator[Problem]:
    if settings.exporter_prometheus_port > _LAST_PORT:
        yield _of(settings, "exporter_prometheus_port", f"expected a port up to {_LAST_PORT}", "using 9464")
        settings._put("exporter_prometheus_port", 9464, settings.origin("exporter_prometheus_port"))


_RULES: tuple[Callable[[Settings], Iterator[Problem]], ...] = (
    _sampler_argument,
    _batch_larger_than_queue,
    _timeout_in_seconds,
    _exporters,
    _configuration_file,
    _port,
)


def _of(settings: Settings, name: str, cause: str, consequence: str) -> Problem:
    row = getattr(type(settings), name)
    return Problem(row.variable, settings.shown(name), cause, consequence, origin=settings.origin(name))


def _unknown_variables(environ: Mapping[str, str], variables: Collection[str]) -> Iterator[Problem]:
    """
    Yield a problem for a variable that nobody reads and that looks like one that somebody does.

    Instrumentations and exporters define variables of their own, so an unknown
    ``OTEL_`` name is only suspect when it is close to a known one; an unknown
    ``TELLWHY_`` name always is.
    """
    suspects = [name for name in environ if name.startswith(("OTEL_", "TELLWHY_")) and name not in variables]
    if not suspects:
        return
    from tellwhy.settings.known import OTHERS

    known = (*variables, *OTHERS)
    for name in sorted(suspects):
        if name in OTHERS or name.endswith("_EXCLUDED_URLS") or name == WRAPPER_VARIABLE:
            continue
        hint = did_you_mean(name, known, likeness=_MISSPELT)
        if hint or name.startswith("TELLWHY_"):
            yield Problem(name, None, f"no such setting{hint}", "ignored")
