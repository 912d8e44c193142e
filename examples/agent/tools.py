# SPDX-License-Identifier: Apache-2.0
"""What the agent can do. A tool that fails raises; the agent tells the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from knowledge import Knowledge

_ASKED: set[str] = set()


def find_order(knowledge: Knowledge, order: int) -> dict[str, Any]:
    """Look an order up."""
    rows = knowledge.run("SELECT order", 'select parcel, total from "order" where id = ?', order)
    if not rows:
        raise LookupError(f"there is no order {order}")
    return {"parcel": rows[0][0], "total": rows[0][1]}


def track_parcel(_: Knowledge, parcel: str) -> dict[str, Any]:
    """Ask the carrier, which does not answer the first time."""
    if parcel not in _ASKED:
        _ASKED.add(parcel)
        raise TimeoutError("the carrier does not answer")
    return {"state": "lost", "days": 12}


def refund(knowledge: Knowledge, order: int) -> dict[str, Any]:
    """Pay an order back."""
    knowledge.run("UPDATE order", 'update "order" set refunded = total where id = ?', order)
    rows = knowledge.run("SELECT order", 'select refunded from "order" where id = ?', order)
    return {"refunded": rows[0][0]}


TOOLS: dict[str, Callable[..., dict[str, Any]]] = {
    "find_order": find_order,
    "track_parcel": track_parcel,
    "refund": refund,
}
