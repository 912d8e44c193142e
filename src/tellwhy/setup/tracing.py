# SPDX-License-Identifier: Apache-2.0
"""
The story of setting tracing up: load -> report -> prepare -> patch -> correlate.

Nothing heavy happens here. The provider is built when OpenTelemetry's API is
first imported (by a patched library, or by the program itself) or when a
decorated function is first called.
"""

from __future__ import annotations

import os
import sys
from _thread import RLock

from tellwhy import diagnostics, imports
from tellwhy.engine import active
from tellwhy.errors import ConfigurationError
from tellwhy.settings import ROWS, load, read_pyproject

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType
    from typing import Any

    from tellwhy.delivery.leaving.serverless import Invocations
    from tellwhy.resource import Identity
    from tellwhy.settings import Problem, Settings
    from tellwhy.setup.pipeline import Pipeline

# What decides on how libraries are instrumented, beside all instrument… and python_….
_OF_LIBRARIES = ("engine", "redact", "semconv_stability_opt_in", "sql", "trace", "trust_incoming")
_PREFIXES = ("context_", "instrument", "python_")

_lock = RLock()
_current: Tracing | None = None


def setup_tracing(**settings: Any) -> Tracing:
    """
    Trace this program from now on.

    Call it at any line, also under ``tellwhy run``, and more than once: later
    keywords are added to earlier ones, and each span is still made once.

    Args:

        settings: Every setting by its name, ``service_name="payments"``; they
            win over the environment. ``tellwhy settings`` lists them all.

    Raises:

        ConfigurationError: A keyword is unknown or its value wrong; under
            ``TELLWHY_STRICT=true`` anything in the environment or pyproject.toml.
    """
    with _lock:
        tracing = _setup(settings)
    assert tracing is not None  # only a child is ever left alone
    return tracing


def setup_from_environment(*, child: bool = False) -> Tracing | None:
    """
    Do what ``setup_tracing()`` does, for those who start programs.

    Args:

        child: Whether this is a child process of a program that has said what
            there is to say: it says neither the start line nor what is wrong.

    Returns:

        Tracing as it is set up, or None in a child that is to be left alone
        (``TELLWHY_CHILDREN=off``).
    """
    with _lock:
        return _setup({}, child=child)


def current() -> Tracing | None:
    """Return what ``setup_tracing()`` returned last, or None before it."""
    return _current


class Tracing:
    """
    Tracing as it is set up: its settings, what is wrong with them, and its end.

    Args:

        settings: The settings in force.

        problems: What was wrong with what was given.
    """

    def __init__(self, settings: Settings, problems: tuple[Problem, ...], overrides: Mapping[str, Any]) -> None:
        self.settings = settings
        self.problems = problems
        self._overrides = dict(overrides)
        self._identity: Identity | None = None
        self._pipeline: Pipeline | None = None
        self._invocations: Invocations | None = None

    @property
    def enabled(self) -> bool:
        """Whether spans are made at all: not under ``OTEL_SDK_DISABLED=true``."""
        return not self.settings.sdk_disabled

    @property
    def provider(self) -> Any:
        """The ``TracerProvider``, built if nothing needed it yet; None if tracing is off."""
        if not self.enabled:
            return None
        return self._build().provider

    def flush(self, timeout: float = 2.0) -> bool:
        """
        Deliver all ended spans.

        Args:

            timeout: The longest wait, in seconds.

        Returns:

            True if everything was delivered in time.
        """
        return self._pipeline is None or self._pipeline.flush(timeout)

    def shutdown(self, timeout: float = 2.0) -> None:
        """
        Deliver all ended spans, stop tracing and take the instrumentations away.

        Args:

            timeout: The longest wait, in seconds.
        """
        global _current
        with _lock:
            _unwatch()
            _leave_libraries()
            if self._invocations is not None:
                self._invocations.forget()
                self._invocations = None
            if "logging" in sys.modules:
                from tellwhy.logs import capture, correlation

                correlation.uninstall()
                capture.uninstall()
            if self._pipeline is not None:
                self._pipeline.shutdown(timeout)
            active.deactivate()
            if _current is self:
                _current = None

    def stats(self) -> dict[str, Any]:
        """Return what became of the spans of this process; see ``tellwhy.stats``."""
        return {} if self._pipeline is None else self._pipeline.lifecycle.stats()

    @property
    def identity(self) -> Identity:
        """The service's name and version, and where they are from."""
        if self._identity is None:
            from tellwhy.resource import Identity

            self._identity = Identity(self.settings)
        return self._identity

    def _build(self) -> Pipeline:
        with _lock:
            if self._pipeline is None:
                from tellwhy.patchers.lent import lent_environment
                from tellwhy.setup.pipeline import Pipeline

                with lent_environment(self.settings):
                    import opentelemetry.trace  # noqa: F401  # may call back here; then it is built

                    if self._pipeline is None:
                        self._pipeline = Pipeline(self.settings, self.identity)
                        active.activate(self._pipeline.provider)
            return self._pipeline

    def _start(self) -> None:
        active.prepare(lambda: self._build().provider)
        if "prometheus" in self.settings.metrics_exporter:
            self._stand_by()
        self._wait()

    def _stand_by(self) -> None:
        """Keep what the processes of this service count from here on: a server's workers may all be dead at a time."""
        from tellwhy.metrics.commons import hold

        settings = self.settings
        try:
            hold(settings.exporter_prometheus_host, settings.exporter_prometheus_port, self.identity.name)
        except OSError as error:
            diagnostics.warn(f"OTEL_METRICS_EXPORTER=prometheus: {error}")

    def _wait(self) -> None:
        """Wait for everything that the program may import, and see to what it has imported."""
        from tellwhy.setup import libraries

        libraries.around_their_imports(lambda: self.settings)
        if "opentelemetry.propagate" in sys.modules:
            self._propagate()
        else:
            imports.when_imported("opentelemetry.propagate", self._propagate)
        imports.when_imported("opentelemetry.trace", self._api_imported)
        imports.when_imported("logging", self._correlate)
        if "AWS_LAMBDA_RUNTIME_API" in os.environ:
            imports.when_imported("awslambdaric.lambda_runtime_client", self._follow_invocations)
        libraries.instrument(self.settings)

    def _follow_invocations(self, module: ModuleType) -> None:
        """Deliver before each reply: afterwards the process is frozen."""
        if self._invocations is None:
            from tellwhy.delivery.leaving.serverless import Invocations

            self._invocations = Invocations(self.flush, self._cut, self.settings.exit_budget / 1000)
            self._invocations.follow(module.LambdaRuntimeClient)

    def _cut(self, timeout: float) -> bool:
        return self._pipeline is None or self._pipeline.lifecycle.cut(timeout)

    def _propagate(self, _module: ModuleType | None = None) -> None:
        """Put the propagators in force that were chosen; ours in place of the API's own where those were."""
        if "opentelemetry.propagate" in sys.modules:
            from tellwhy.setup import propagators

            propagators.put(self.settings)

    def _api_imported(self, module: ModuleType) -> None:
        from tellwhy.setup import foreign

        watch = foreign.watch(module)
        watch.first_need = self._build
        watch.adopt = self._adopt
        if not foreign.is_being_imported(sys.modules):
            self._build()

    def _adopt(self, provider: Any) -> None:
        with _lock:
            pipeline = self._build()
            pipeline.adopt(provider)
            if pipeline.provider is provider:
                active.activate(provider)

    def _correlate(self, _module: ModuleType | None = None) -> None:
        """Put the trace's ids on log records, and see to it that they are exported if they shall be."""
        from tellwhy.logs import correlation

        correlation.install(self.settings.log_correlation, self.identity.name)  # type: ignore[arg-type]
        if self.settings.logs_exporter != ("none",):
            from tellwhy.logs import capture

            capture.install(self._first_record)

    def _first_record(self) -> None:
        """Build what exports log records; a record that an import of OpenTelemetry logs is held until that is over."""
        from tellwhy.setup import foreign

        if not foreign.is_being_imported(sys.modules):
            self._build()

    def _change(self, settings: Settings, problems: tuple[Problem, ...], overrides: Mapping[str, Any]) -> None:
        self._overrides = dict(overrides)
        if settings == self.settings:
            return
        before = self.settings
        self.settings = settings
        self.problems = problems
        self._identity = None
        if (settings.propagators, settings.trust_incoming) != (before.propagators, before.trust_incoming):
            self._propagate()
        if _of_libraries(settings) != _of_libraries(before):
            _leave_libraries()
            self._wait()
        if "logging" in sys.modules:
            self._correlate()
        if self._pipeline is not None:
            from tellwhy.patchers.lent import lent_environment

            with lent_environment(settings):
                self._pipeline.change(settings, self.identity)

    def start_line(self) -> str:
        """Return the one line that is said when tracing starts."""
        settings, who = self.settings, self.identity
        if not self.enabled:
            return "tracing is off: OTEL_SDK_DISABLED=true"
        name = who.name if who.name_from.startswith("OTEL_") else f"{who.name} ({who.name_from})"
        version = f" {who.version}" if who.version else ""
        return f"tracing {name}{version} to {_destination(settings)}, sampler {_sampler(settings)}"


def _destination(settings: Settings) -> str:
    from tellwhy.setup import otlp

    targets = []
    for name in settings.traces_exporter:
        if name == "otlp":
            targets.append(f"{otlp.endpoint(settings)} ({otlp.protocol(settings)})")
        else:
            targets.append("nowhere (OTEL_TRACES_EXPORTER=none)" if name == "none" else name)
    return " and ".join(targets)


def _sampler(settings: Settings) -> str:
    argument = f"({settings.traces_sampler_arg})" if settings.traces_sampler_arg is not None else ""
    return f"{settings.traces_sampler}{argument}"


def _of_libraries(settings: Settings) -> tuple[Any, ...]:
    """Return what decides on how libraries are instrumented."""
    return tuple(getattr(settings, name) for name in ROWS if name in _OF_LIBRARIES or name.startswith(_PREFIXES))


def _leave_libraries() -> None:
    """Leave every library as it was; nothing to do where none was waited for."""
    imports.forget_all()
    libraries = sys.modules.get("tellwhy.setup.libraries")
    if libraries is not None:
        libraries.leave()


def _unwatch() -> None:
    module = sys.modules.get("opentelemetry.trace")
    if module is not None:
        from tellwhy.setup import foreign

        watch = foreign.watch(module)
        watch.first_need = watch.adopt = None


def _setup(overrides: Mapping[str, Any], *, child: bool = False) -> Tracing | None:
    global _current
    merged = {**(_current._overrides if _current is not None else {}), **overrides}
    pyproject, file_problems = read_pyproject()
    settings, problems = load(os.environ, pyproject=pyproject, overrides=merged)
    problems = (*file_problems, *problems)
    if child and settings.children == "off":
        return None
    _refuse(settings, problems)
    diagnostics.mask = None if settings.sdk_disabled and not problems else _masked  # what is off loads nothing
    diagnostics.configure(settings.diagnostics)  # type: ignore[arg-type]  # its grammar allows the levels only
    if not child:
        for problem in problems:
            diagnostics.warn(str(problem))
    if _current is not None and _current.enabled != settings.sdk_disabled:
        _current._change(settings, problems, merged)
        return _current
    if _current is not None:  # switched off, or on again
        _current.shutdown()
    _current = Tracing(settings, problems, merged)
    if not child:
        diagnostics.note(_current.start_line())
    if _current.enabled:
        _current._start()
    return _current


def _masked(line: str) -> str:
    from tellwhy import redaction  # loaded for the first line that may need it

    return redaction.redact_text(line)


def _refuse(settings: Settings, problems: tuple[Problem, ...]) -> None:
    """Raise for what was given in code, and for everything where the user asked for strictness."""
    serious = [problem for problem in problems if settings.strict or problem.origin == "argument"]
    if serious:
        raise ConfigurationError("\n".join(map(str, serious)))
