# SPDX-License-Identifier: Apache-2.0
"""
The demo's shop: an ordinary Flask program. Its one line about tracing is the decorator on ``process_payment``.

Everything else in its traces, requests, queries, Redis commands, calls of the bank, comes from
``tellwhy run``, under which it is started.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import redis
import requests
from flask import Flask, Response, abort, jsonify, request
from psycopg2.pool import ThreadedConnectionPool
from werkzeug.serving import make_server

from tellwhy import SpanAttr, traced

BANK_TIMEOUT = 0.4  # seconds; our customers have no more patience

app = Flask("shop")
cache = redis.Redis.from_url(os.environ["SHOP_REDIS"], decode_responses=True)
connections = ThreadedConnectionPool(0, 8, os.environ["SHOP_DATABASE"])


@contextmanager
def cursor() -> Iterator[Any]:
    """Borrow a connection for one transaction."""
    connection = connections.getconn()
    try:
        with connection, connection.cursor() as it:
            yield it
    finally:
        connections.putconn(connection)


@app.get("/healthz")
def health() -> str:
    """Tell that the shop is open."""
    return "open"


@app.get("/products")
def list_products() -> Response:
    """List the products and what is in stock: one query for the list, and one more for each product."""
    page = cache.get("page:products")
    if page is not None:
        return Response(str(page), mimetype="application/json")
    products = []
    with cursor() as query:
        query.execute("SELECT id, name FROM product ORDER BY name")
        for number, name in query.fetchall():
            query.execute("SELECT sum(pieces) FROM delivery WHERE product_id = %s", (number,))
            products.append({"id": number, "name": name, "in_stock": query.fetchone()[0]})
    response = jsonify(products)
    cache.set("page:products", response.get_data(as_text=True), px=100)
    return response


@app.post("/checkout/<int:order_id>")
def checkout(order_id: int) -> tuple[dict[str, Any], int]:
    """Pay an order with the card of the form's field ``card``."""
    try:
        return {"paid": process_payment(order_id, request.form.get("card", "domestic"))}, 200
    except requests.Timeout:
        return {"error": "the bank did not answer, try again later"}, 504


@traced("payment.process")
def process_payment(order_id: Annotated[int, SpanAttr("payment.order_id")], card: str) -> str:
    """Have the bank charge the card, once per order, unless the card has a bad past."""
    if not cache.set(f"order:{order_id}", "paying", nx=True, ex=60):
        abort(409, "this order is being paid")
    with cursor() as query:
        query.execute(
            "SELECT count(*) FROM payment WHERE card_holder ILIKE %s AND outcome = 'chargeback'", (f"%{card}%",)
        )
        if query.fetchone()[0]:
            abort(402, "this card is not accepted")
    charge = {"order": order_id, "card": card, "amount": "129.00"}
    answer = requests.post(f"{os.environ['SHOP_BANK']}/charge", json=charge, timeout=BANK_TIMEOUT)
    answer.raise_for_status()
    with cursor() as query:
        query.execute(
            "INSERT INTO payment (order_id, card_holder, amount, outcome) VALUES (%s, %s, %s, 'paid')",
            (order_id, card, charge["amount"]),
        )
    return str(answer.json()["receipt"])


if __name__ == "__main__":
    make_server("127.0.0.1", 0, app, threaded=True, fd=int(os.environ["SHOP_SOCKET"])).serve_forever()
