# SPDX-License-Identifier: Apache-2.0
"""
What does a span cost at export, the last look for secrets included?

``python bench/micro_export.py``: CPU time per span of 8 attributes, the least of several rounds that take turns.
"""

from __future__ import annotations

import sys
from time import thread_time_ns
from typing import Any

from tellwhy.delivery.otlp import encoder
from tellwhy.engine import TracerProvider

ROUNDS = 25
BATCH = 512


def spans(kind: str) -> list[Any]:
    made: list[Any] = []

    class Collect:
        def on_end(self, span: Any) -> None:
            made.append(span)

        def shutdown(self) -> None: ...

        def force_flush(self, timeout_millis: int = 0) -> bool:
            return True

    provider = TracerProvider.lean({"service.name": "bench"})
    provider.add_span_processor(Collect())
    tracer = provider.get_tracer("bench")
    for number in range(BATCH):
        with tracer.start_as_current_span("GET /orders/<id>") as span:
            for key, value in ATTRIBUTES[kind](number).items():
                span.set_attribute(key, value)
            if kind == "an exception":
                try:
                    raise ValueError(f"order {number} is not known")
                except ValueError as error:
                    span.record_exception(error)
    return made


SERVER = {
    "http.request.method": "GET",
    "http.route": "/orders/<id>",
    "url.scheme": "http",
    "server.address": "shop",
    "server.port": 8000,
    "http.response.status_code": 200,
}
ATTRIBUTES: dict[str, Any] = {
    "values that repeat": lambda n: {**SERVER, "network.protocol.version": "1.1", "url.path": f"/orders/{n % 5}"},
    "a path and an id of its own": lambda n: {**SERVER, "url.path": f"/orders/{n}", "order.id": f"ord-{n:08x}"},
    "a URL of its own": lambda n: {
        "http.request.method": "GET",
        "url.full": f"http://bank:8001/pay?order={n}",
        "server.address": "bank",
        "server.port": 8001,
        "http.response.status_code": 200,
        "network.protocol.version": "1.1",
        "peer.service": "bank",
        "attempt": 1,
    },
    "a statement": lambda n: {
        "db.system.name": "postgresql",
        "db.query.text": "SELECT id, name FROM orders WHERE id = %s",
        "db.query.summary": "SELECT orders",
        "db.operation.name": "SELECT",
        "db.collection.name": "orders",
        "server.address": "db",
        "server.port": 5432,
        "db.namespace": "shop",
    },
    "nothing that repeats": lambda n: {f"key{i}": f"value {n} of {i}" for i in range(8)},
    "a secret": lambda n: {**SERVER, "user.password": f"hunter{n}", "url.path": "/login"},
    "an exception": lambda n: {**SERVER},
}


def main() -> None:
    batches = {kind: spans(kind) for kind in ATTRIBUTES}
    least = dict.fromkeys(batches, sys.float_info.max)
    for _ in range(ROUNDS):
        for kind, batch in batches.items():
            begun = thread_time_ns()
            encoder.encode(batch)
            least[kind] = min(least[kind], (thread_time_ns() - begun) / BATCH / 1000)
    for kind, took in least.items():
        print(f"{kind:40} {took:8.2f} µs")


if __name__ == "__main__":
    main()
