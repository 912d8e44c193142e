# SPDX-License-Identifier: Apache-2.0
"""
A shop whose own functions are spans: every form of ``@traced`` in sixty lines.

Run it with ``tellwhy run --console python examples/traced_shop.py`` and see the tree; without
``tellwhy run`` it does the same work untraced.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Annotated

import tellwhy
from tellwhy import SpanAttr, traced


@dataclass
class Item:
    sku: str
    price: float


class OutOfStock(Exception):
    pass


@traced
class Warehouse:
    """All public methods are traced."""

    def pick(self, item: Annotated[Item, SpanAttr("item.sku", get="sku")]) -> None:
        if item.sku == "unicorn":
            raise OutOfStock(item.sku)

    @tellwhy.untraced
    def ping(self) -> str:
        return "ok"


@traced("cart.read", result=lambda items: {"cart.size": items})
def lines(cart: list[Item]) -> Iterator[Item]:
    """A generator: the span is current while it works, not while its consumer does."""
    yield from cart
    return len(cart)


@traced("payment.charge", kind="client", expected=(TimeoutError,))
async def charge(order_id: Annotated[int, SpanAttr("order.id")], amount: float, card: str) -> str:
    """Nothing of the arguments is captured but what is annotated: not the card."""
    with tellwhy.span("payment.connect", provider="acme"):
        await asyncio.sleep(0.01)
    print(f"order {order_id}: {amount} charged to the card ending in {card[-4:]}")
    tellwhy.event("payment.accepted")
    return "settled"


@traced
async def updates(order_id: int) -> AsyncIterator[str]:
    for state in ("packed", "sent"):
        await asyncio.sleep(0.001)
        yield f"{order_id} {state}"


@traced("checkout", new_trace=True, attributes={"cart.total": lambda cart: sum(item.price for item in cart)})
async def checkout(order_id: int, cart: list[Item]) -> None:
    warehouse = Warehouse()
    for item in lines(cart):
        try:
            warehouse.pick(item)
        except OutOfStock:
            tellwhy.fail("out of stock")
            return
    tellwhy.annotate({"payment.status": await charge(order_id, 19.9, "4111 1111 1111 1111")})
    async for state in updates(order_id):
        tellwhy.annotate_root({"order.state": state})


if __name__ == "__main__":
    asyncio.run(checkout(1, [Item("socks", 9.9), Item("hat", 10.0)]))
    asyncio.run(checkout(2, [Item("unicorn", 99.0)]))
