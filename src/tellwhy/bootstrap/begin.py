# SPDX-License-Identifier: Apache-2.0
"""How tracing begins in an interpreter that a wrapper started, ours or ``opentelemetry-instrument``."""

from __future__ import annotations

import os

from tellwhy.bootstrap.wrapper import claim


def begin() -> None:
    """Set tracing up, in silence if this is a child of the program. Nothing is raised."""
    child = not claim()
    from tellwhy import diagnostics
    from tellwhy.errors import ConfigurationError

    try:
        from tellwhy.setup.tracing import setup_from_environment

        setup_from_environment(child=child)
    except ConfigurationError as error:
        # TELLWHY_STRICT=true: the start is refused, before anything of the program ran.
        for line in str(error).splitlines():
            diagnostics.warn(line)
        diagnostics.warn("not started, because TELLWHY_STRICT=true")
        os._exit(1)
    except Exception as error:
        diagnostics.fault("the start of tracing", error)
