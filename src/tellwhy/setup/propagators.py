# SPDX-License-Identifier: Apache-2.0
"""Which propagators carry trace context: the ones that the settings name, put in force."""

from __future__ import annotations

from opentelemetry.context import Context
from opentelemetry.propagate import set_global_textmap
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import TextMapPropagator

from tellwhy.plugins import entry_points, load
from tellwhy.setup.components import made

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tellwhy.settings import Settings


class NoPropagator(TextMapPropagator):
    """
    Reads and writes nothing: ``OTEL_PROPAGATORS=none``.

    A composite of no propagators is not the same: its ``extract`` returns None,
    where callers expect a context, and requests fail.
    """

    def extract(self, carrier: Any, context: Context | None = None, *_: Any, **__: Any) -> Context:
        """Return the context that was given, or an empty one."""
        return Context() if context is None else context

    def inject(self, carrier: Any, *_: Any, **__: Any) -> None:
        """Do nothing."""

    @property
    def fields(self) -> set[str]:
        """No header."""
        return set()


def put(settings: Settings) -> None:
    """Make the propagators that the settings name the global ones."""
    group = entry_points("opentelemetry_propagator")
    names = [name for name in settings.propagators if name in group]
    found = [made(f"OTEL_PROPAGATORS={name}", lambda name=name: load(group[name])()) for name in names]
    usable = [propagator for propagator in found if propagator is not None]
    set_global_textmap(CompositePropagator(usable) if usable else NoPropagator())
