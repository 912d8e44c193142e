# SPDX-License-Identifier: Apache-2.0
"""
What happens in an interpreter that ``tellwhy run`` started, before the program's first line.

Importing this module is the action. No exception may leave it: the program
starts whatever becomes of its tracing.
"""

from __future__ import annotations

import os

from tellwhy.bootstrap.wrapper import is_wrapped_program


def start() -> None:
    """Set tracing up, unless this is a child process and children are to be left alone."""
    child = not is_wrapped_program()
    if child and os.environ.get("TELLWHY_CHILDREN", "").strip().lower() == "off":
        return
    from tellwhy import diagnostics
    from tellwhy.errors import ConfigurationError

    try:
        from tellwhy.setup.tracing import setup_from_environment

        setup_from_environment(quiet=child)
    except ConfigurationError as error:
        # TELLWHY_STRICT=true: the start is refused, before anything of the program ran.
        for line in str(error).splitlines():
            diagnostics.warn(line)
        diagnostics.warn("not started, because TELLWHY_STRICT=true")
        os._exit(1)
    except Exception as error:
        diagnostics.fault("the start of tracing", error)


start()
