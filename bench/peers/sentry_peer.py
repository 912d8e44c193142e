# SPDX-License-Identifier: Apache-2.0
"""sentry-sdk: a transaction for each span that stands alone, sent to the sink."""

from __future__ import annotations

import sentry_sdk
from sentry_sdk.consts import VERSION

from common import ENDPOINT, eight_attributes, serve

sentry_sdk.init(
    dsn=f"{ENDPOINT.replace('://', '://key@')}/1",
    traces_sample_rate=1.0,
    default_integrations=False,
    auto_enabling_integrations=False,
)


@sentry_sdk.trace
def decorated(value: int) -> int:
    return value


def off(count: int) -> None:
    for _ in range(count):
        decorated(1)


def span(count: int) -> None:
    for _ in range(count):
        with sentry_sdk.start_transaction(name="checkout") as made:
            made.set_data("order.id", "A-17")
            made.set_data("order.items", 3)
            made.set_data("order.paid", True)


def traced(count: int) -> None:
    for _ in range(count):
        with sentry_sdk.start_transaction(name="outer"):
            decorated(1)


def export(count: int) -> None:
    for number in range(count):
        with sentry_sdk.start_transaction(name="checkout") as made:
            for key, value in eight_attributes(number).items():
                made.set_data(key, value)


def current(count: int) -> None:
    with sentry_sdk.start_transaction(name="outer"):
        for _ in range(count):
            sentry_sdk.get_current_span()


def set_attribute(count: int) -> None:
    with sentry_sdk.start_transaction(name="outer") as made:
        for _ in range(count):
            made.set_data("order.id", "A-17")


serve(
    VERSION,
    {"span": span, "traced": traced, "export": export, "off": off, "current": current, "set_attribute": set_attribute},
    lambda: sentry_sdk.flush(5),
)
