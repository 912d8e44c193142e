# SPDX-License-Identifier: Apache-2.0
"""
The two entry points that make ``opentelemetry-instrument`` do what ``tellwhy run`` does.

The distro sets tracing up; the configurator and the loop over instrumentors
that come after it find everything done.
"""

from __future__ import annotations

from opentelemetry.instrumentation.distro import BaseDistro  # type: ignore[attr-defined]  # untyped

from tellwhy.bootstrap.begin import begin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from opentelemetry.util._importlib_metadata import EntryPoint


class Distro(BaseDistro):  # type: ignore[misc]  # untyped
    """Entry point of the group ``opentelemetry_distro``."""

    def _configure(self, **_: Any) -> None:
        begin()

    def load_instrumentor(self, entry_point: EntryPoint, **kwargs: Any) -> None:
        """Do nothing: each library is instrumented when it is imported."""


class Configurator:
    """Entry point of the group ``opentelemetry_configurator``; the distro has configured everything."""

    def configure(self, **kwargs: Any) -> None:
        """Do nothing."""
