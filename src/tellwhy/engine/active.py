# SPDX-License-Identifier: Apache-2.0
"""
Which tracer is in force: the one switch between those who make spans and the setup.

``@traced`` and the patchers look here on every call, so it is plain module
globals: reading two of them is all that an untraced program pays. The provider
is built when the first span needs it, not when tracing is set up.
"""

from __future__ import annotations

from contextvars import ContextVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.trace import Tracer, TracerProvider

SCOPE_NAME = "tellwhy"
INSTRUMENTATIONS = "opentelemetry.instrumentation."
"""How the scopes of OpenTelemetry's own instrumentations begin."""

tracer: Tracer | None = None
"""The tracer of scope ``tellwhy``; None while tracing is off, or set up and not needed yet."""

provider: TracerProvider | None = None
"""Whose tracer that is; each instrumentation takes a tracer of its own scope from it."""

pending: Callable[[], TracerProvider] | None = None
"""Builds the provider; not None from ``setup_tracing()`` until the first span."""

suppress: ContextVar[bool] = ContextVar("tellwhy-suppress", default=False)
"""True inside ``tellwhy.suppressed()``."""


def get_tracer() -> Tracer | None:
    """Return the tracer in force, building the provider if this is the first need; None if off."""
    if tracer is None and pending is not None:
        # A second thread that arrives here meanwhile builds too and gets the same
        # provider: the factory is idempotent and holds its own lock.
        activate(pending())
    return tracer


def activate(new_provider: TracerProvider) -> None:
    """Make the provider's tracer the one in force."""
    global tracer, provider, pending
    from tellwhy._version import __version__

    provider = new_provider
    tracer = new_provider.get_tracer(SCOPE_NAME, __version__)
    pending = None


def prepare(factory: Callable[[], TracerProvider]) -> None:
    """Switch tracing on; the provider is built by the factory when it is first needed."""
    global tracer, provider, pending
    tracer = provider = None
    pending = factory


def deactivate() -> None:
    """Switch tracing off: decorated functions run as if they were not."""
    global tracer, provider, pending
    tracer = provider = pending = None
