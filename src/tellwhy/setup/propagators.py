# SPDX-License-Identifier: Apache-2.0
"""Which propagators carry trace context: the ones that the settings name, put in force."""

from __future__ import annotations

from opentelemetry.context import Context
from opentelemetry.propagate import get_global_textmap, set_global_textmap
from opentelemetry.propagators.textmap import TextMapPropagator

from tellwhy.plugins import entry_points, load
from tellwhy.propagation import trust
from tellwhy.propagation.propagators import OURS, Propagators, improved
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

    def extract(self, carrier: Any, context: Context | None = None, getter: Any = None) -> Context:  # noqa: ARG002
        """Return the context that was given, or an empty one."""
        return Context() if context is None else context

    def inject(self, carrier: Any, context: Context | None = None, setter: Any = None) -> None:
        """Do nothing."""

    @property
    def fields(self) -> set[str]:
        """No header."""
        return set()


def put(settings: Settings) -> None:
    """Make the propagators that the settings name the global ones, and see to whom is believed."""
    trust.configure(settings.trust_incoming)
    if settings.origin("propagators") == "default":
        better = improved(get_global_textmap())
        if better is not None:
            set_global_textmap(better)
        return
    group = entry_points("opentelemetry_propagator")
    found = [
        made(f"OTEL_PROPAGATORS={name}", lambda target=group[name]: _make(target))
        for name in settings.propagators
        if name in group
    ]
    usable = [propagator for propagator in found if propagator is not None]
    set_global_textmap(Propagators(usable) if usable else NoPropagator())


def _make(target: str) -> Any:
    propagator_class: Any = load(target)
    return OURS.get(propagator_class, propagator_class)()
