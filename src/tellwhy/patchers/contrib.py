# SPDX-License-Identifier: Apache-2.0
"""
OpenTelemetry's own instrumentors: each applied when its library is imported.

Whatever is installed under the entry point group ``opentelemetry_instrumentor``
is used. One that fails, or does not know the library's version, is left out
with a line that says why; the next ones are not touched by that.
"""

from __future__ import annotations

from tellwhy import diagnostics
from tellwhy.imports import when_imported
from tellwhy.patchers import records
from tellwhy.patchers.first_call import before_first_call, forget_all
from tellwhy.patchers.lent import lent_environment
from tellwhy.plugins import entry_points, load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import ModuleType
    from typing import Any

    from tellwhy.settings import Settings

GROUP = "opentelemetry_instrumentor"

# Where instrumentors live: only these distributions are looked into at start.
_DISTRIBUTIONS = ("instrumentation", "opentelemetry", "otel")

# The module whose import is the moment, where it is not the instrumentor's name.
# Modules of the standard library are always there: their instrumentors wait
# until something of OpenTelemetry is in use.
_API = "opentelemetry.trace"
_TRIGGERS: Mapping[str, tuple[str, ...]] = {
    "aio-pika": ("aio_pika",),
    "aiohttp-client": ("aiohttp",),
    "aiohttp-server": ("aiohttp.web",),
    "asyncio": (_API,),
    "aws-lambda": (_API,),
    "boto": ("boto",),
    "boto3": ("boto3",),
    "confluent_kafka": ("confluent_kafka",),
    "dbapi": (_API,),
    "google-genai": ("google.genai",),
    "grpc_aio_client": ("grpc",),
    "grpc_aio_server": ("grpc",),
    "grpc_client": ("grpc",),
    "grpc_server": ("grpc",),
    "kafka": ("kafka",),
    "logging": (_API,),
    "mysql": ("mysql.connector",),
    "mysqlclient": ("MySQLdb",),
    "openai": ("openai",),
    "sqlite3": ("sqlite3",),
    "system_metrics": (_API,),
    "threading": (_API,),
    "tortoiseorm": ("tortoise",),
    "urllib": ("urllib.request",),
    "vertexai": ("vertexai",),
}

# Applied right before the first call of a method. Django's instrumentor puts a
# middleware into the settings; where it finds none yet, as in every wsgi.py that
# imports Django first and names its settings then, it would make empty ones.
_FIRST_CALLS: Mapping[str, tuple[str, str, str]] = {
    "django": ("django.core.handlers.base", "BaseHandler", "load_middleware"),
}

# Not used unless asked for by name, with the reason that the doctor gives.
_ON_REQUEST: Mapping[str, str] = {
    "logging": "tellwhy puts the trace ids on log records itself (TELLWHY_LOG_CORRELATION)",
    "system_metrics": "it makes metrics only",
}

_active: dict[str, Any] = {}


def install(settings: Settings, ours: Iterable[str] = ()) -> None:
    """
    Wait for the libraries of all installed instrumentors that the settings allow.

    Args:

        settings: Which are disabled, and which alone are wanted.

        ours: The libraries that tellwhy's own patchers take care of.
    """
    own = set(ours)
    for name, target in entry_points(GROUP, like=_DISTRIBUTIONS).items():
        reason = _unwanted(name, settings)
        if name in own:
            continue
        if reason:
            records.put(name, "skipped", reason)
            continue
        records.put(name, "waiting")
        _wait(name, _Apply(name, target, settings))


def _wait(name: str, apply: _Apply) -> None:
    """Apply an instrumentor when its moment has come."""
    if name in _FIRST_CALLS:
        module_name, owner, method = _FIRST_CALLS[name]
        when_imported(
            module_name, lambda module: before_first_call(getattr(module, owner), method, lambda: apply(module))
        )
        return
    for module_name in _TRIGGERS.get(name, (name.replace("-", "_"),)):
        when_imported(module_name, apply)


def apply(name: str, settings: Settings, reason: str) -> None:
    """Apply one instrumentor now, where our own patcher cannot; the reason is on record if this one cannot either."""
    target = entry_points(GROUP, like=_DISTRIBUTIONS).get(name)
    if target is None:
        records.put(name, "skipped", reason)
    else:
        _Apply(name, target, settings)(None)


def uninstall() -> None:
    """Take every instrumentor away that was applied here, and wait for no more."""
    forget_all()
    while _active:
        name, instrumentor = _active.popitem()
        try:
            instrumentor.uninstrument()
        except Exception as error:
            diagnostics.fault(f"the removal of the instrumentation of {name}", error)


def _unwanted(name: str, settings: Settings) -> str:
    """Return why an instrumentation is not to be used; nothing if it is."""
    disabled = settings.python_disabled_instrumentations
    if name in disabled or "*" in disabled:
        return "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS names it"
    wanted = {word.partition(":")[0] for word in settings.instrument}
    if wanted and name not in wanted:
        return "TELLWHY_INSTRUMENT does not name it"
    return "" if name in wanted else _ON_REQUEST.get(name, "")


class _Apply:
    """Applies one instrumentor, once, when its library is there."""

    __slots__ = ("name", "settings", "target")

    def __init__(self, name: str, target: str, settings: Settings) -> None:
        self.name = name
        self.target = target
        self.settings = settings

    def __call__(self, _module: ModuleType | None) -> None:
        if self.name in _active:
            return
        try:
            with lent_environment(self.settings, self._done_by_the_engine()):
                self._apply()
        except ImportError as error:
            # Its library has many parts, and the one that it needs is not here.
            records.put(self.name, "skipped", f"it cannot be imported: {error}")
            diagnostics.debug(f"{self.name} is not instrumented: {error}")
        except (Exception, SystemExit) as error:
            reason = f"{type(error).__name__}: {error}"
            records.put(self.name, "skipped", reason)
            diagnostics.warn(f"{self.name} is not instrumented: {reason}")

    def _done_by_the_engine(self) -> tuple[str, ...]:
        """Return the variables that are not for the instrumentor: what they ask for is done below it."""
        if self.settings.engine != "lean":
            return ()
        from tellwhy.patchers import exclusion

        return (exclusion.GENERAL, exclusion.variable(self.name)) if self.name in exclusion.SERVERS else ()

    def _apply(self) -> None:
        instrumentor: Any = load(self.target)()  # type: ignore[operator]  # a class, by the group's contract
        if getattr(instrumentor, "is_instrumented_by_opentelemetry", False):
            records.put(self.name, "instrumented", "by the program itself")
            return
        instrumentor.instrument(raise_exception_on_conflict=True)
        _active[self.name] = instrumentor
        records.put(self.name, "instrumented")
        diagnostics.debug(f"{self.name} is instrumented by {self.target.partition(':')[0]}")
