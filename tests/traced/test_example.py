# SPDX-License-Identifier: Apache-2.0
"""The example of the manual API does what it says."""

from __future__ import annotations

import runpy
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "traced_shop.py"


def test_traced_shop(spans):
    """The example makes the spans that its comments promise."""
    runpy.run_path(str(EXAMPLE), run_name="__main__")

    spans.assert_tree(
        """
        checkout cart.total=19.9
          cart.read
          Warehouse.pick item.sku=socks
          Warehouse.pick item.sku=hat
          payment.charge order.id=1
            payment.connect
          updates
        checkout cart.total=99.0 !out of stock
          cart.read
          Warehouse.pick item.sku=unicorn !__main__.OutOfStock
        """,
        "cart.total",
        "item.sku",
        "order.id",
    )
    first = spans.roots[0].attributes
    assert (first["order.state"], first["payment.status"]) == ("1 sent", "settled")
    sizes = [span.attributes.get("cart.size") for span in spans.named("cart.read")]
    assert sizes == [2, None]
    assert not any("4111" in str(span.attributes) for span in spans)
