# SPDX-License-Identifier: Apache-2.0
"""The demo's bank, on which the shop depends: slow at the best of times. No line about tracing in it."""

from __future__ import annotations

import os
import time
from typing import Any

from flask import Flask, request
from werkzeug.serving import make_server

app = Flask("bank")


@app.get("/healthz")
def health() -> str:
    """Tell that the bank is open."""
    return "open"


@app.post("/charge")
def charge() -> dict[str, Any]:
    """Charge a card: the network of the card's own bank takes its time, abroad more of it."""
    order = request.get_json()
    time.sleep(0.9 if order["card"].startswith("foreign") else 0.06)
    return {"receipt": f"receipt-{order['order']}"}


if __name__ == "__main__":
    make_server("127.0.0.1", 0, app, threaded=True, fd=int(os.environ["BANK_SOCKET"])).serve_forever()
