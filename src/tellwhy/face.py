# SPDX-License-Identifier: Apache-2.0
"""What can be asked of tracing from anywhere, set up or not: flush, shutdown, stats."""

from __future__ import annotations

import sys

from tellwhy.setup.tracing import current

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def flush(timeout: float = 2.0) -> bool:
    """
    Deliver all ended spans now; for runtimes that freeze the process after a reply.

    Args:

        timeout: The longest wait, in seconds.

    Returns:

        True if everything was delivered in time, or there was nothing to deliver.
    """
    tracing = current()
    return tracing is None or tracing.flush(timeout)


def shutdown(timeout: float = 2.0) -> None:
    """
    Deliver all ended spans and stop tracing; instrumented libraries are as before.

    Args:

        timeout: The longest wait, in seconds.
    """
    tracing = current()
    if tracing is not None:
        tracing.shutdown(timeout)


def stats() -> dict[str, Any]:
    """
    Return what became of the spans of this process.

    Returns:

        ``produced``, ``delivered``, ``queued``, ``spooled``, ``folded``, ``dropped`` by
        reason, ``export_failures``, ``last_error``: produced is always the sum of the
        next four and the drops. ``snapshots`` were sent of spans that were still open.
        Of the manual API ``traced_functions``, ``spans_too_short`` (for their
        ``min_duration``), ``attributes_failed`` and ``annotations_unresolved``. Empty
        while nothing is set up.
    """
    tracing = current()
    if tracing is None:
        return {}
    counts = sys.modules.get("tellwhy.manual.counts")  # who has not used the API has nothing to count
    return {**tracing.stats(), **(counts.stats() if counts is not None else {})}
