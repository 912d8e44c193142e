# SPDX-License-Identifier: Apache-2.0
"""Is there something to read on a socket or pipe?"""

from __future__ import annotations

import select
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def is_readable(file: Any, timeout: float | None) -> bool:
    """
    Tell whether there is something to read, or its end.

    Args:

        file: A descriptor, or what has one.

        timeout: The longest wait, in seconds; None for any.
    """
    module: Any = select
    if not hasattr(select, "poll"):  # eventlet has taken it away, and lets one greenlet wait for a descriptor
        if timeout != 0:
            return bool(select.select([file], [], [], timeout)[0])
        module = sys.modules["eventlet.patcher"].original("select")  # a glance disturbs nobody
    poll = module.poll()
    poll.register(file, module.POLLIN)
    return bool(poll.poll(None if timeout is None else timeout * 1000))
