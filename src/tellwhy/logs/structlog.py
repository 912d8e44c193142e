# SPDX-License-Identifier: Apache-2.0
"""How do structlog's events get the ids of their span?"""

from __future__ import annotations

from tellwhy.logs import ids

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from typing import Any


def add_trace_context(
    logger: object,  # noqa: ARG001
    method_name: str,  # noqa: ARG001
    event_dict: MutableMapping[str, Any],
) -> MutableMapping[str, Any]:
    """
    Add ``trace_id``, ``span_id`` and ``trace_flags`` to an event; a structlog processor.

    Put it anywhere before the renderer. Outside a span it adds nothing; what the
    event already has under these names stays. An event that comes from a record of
    ``logging`` (``foreign_pre_chain``) gets the ids that the record brings, so that
    it is right in another thread too.
    """
    record = event_dict.get("_record")
    values = ids.current() if record is None else _brought_by(record)
    if values[0]:
        event_dict.setdefault("trace_id", values[0])
        event_dict.setdefault("span_id", values[1])
        event_dict.setdefault("trace_flags", values[2])
    return event_dict


def _brought_by(record: object) -> tuple[Any, ...]:
    if hasattr(record, "trace_id"):
        return tuple([getattr(record, name, "") for name in ids.NAMES])
    return ids.current()
