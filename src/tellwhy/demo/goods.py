# SPDX-License-Identifier: Apache-2.0
"""What is in the shop's database? Products, deliveries, payments: rows enough, and no index where one is needed."""

from __future__ import annotations

from typing import Final

_SCHEMA: Final = """
CREATE TABLE product (id integer PRIMARY KEY, name text NOT NULL, price numeric(9, 2) NOT NULL);
CREATE TABLE delivery (product_id integer NOT NULL REFERENCES product, pieces integer NOT NULL);
CREATE UNLOGGED TABLE payment (
    id bigint GENERATED ALWAYS AS IDENTITY,
    order_id integer NOT NULL,
    card_holder text NOT NULL,
    amount numeric(9, 2) NOT NULL,
    outcome text NOT NULL
);
INSERT INTO product
    SELECT n, 'product ' || n, 5 + n % 20 FROM generate_series(1, 40) AS n;
INSERT INTO delivery
    SELECT 1 + n % 40, n % 7 - 2 FROM generate_series(1, 15000) AS n;
INSERT INTO payment (order_id, card_holder, amount, outcome)
    SELECT n, 'holder ' || md5(n::text), 10 + n % 90, CASE WHEN n % 50 = 0 THEN 'chargeback' ELSE 'paid' END
    FROM generate_series(1, 250000) AS n;
ANALYZE;
"""


def fill(url: str) -> None:
    """Create the shop's tables and rows in an empty database; about half a second."""
    import psycopg2

    connection = psycopg2.connect(url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(_SCHEMA)
    finally:
        connection.close()
