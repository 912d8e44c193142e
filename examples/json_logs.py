# SPDX-License-Identifier: Apache-2.0
"""
JSON lines with the ids of their span: ``python examples/json_logs.py``.

The program sets its logging up itself, so nothing needs to be said to tellwhy
about it; under ``tellwhy run`` the call of ``setup_tracing`` would not be needed
either. Try ``TELLWHY_LOG_CORRELATION=text`` with a formatter of your own.
"""

import logging
import logging.config

from tellwhy import setup_tracing, traced

logging.config.dictConfig(
    {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "tellwhy.logs.JsonFormatter", "include": ["threadName"]}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"level": "INFO", "handlers": ["console"]},
    }
)
log = logging.getLogger("shop.orders")


@traced
def take(order_id: int) -> None:
    log.info("order %d taken", order_id, extra={"order_id": order_id})
    try:
        charge(order_id)
    except ConnectionError:
        log.exception("order %d not charged", order_id)


@traced
def charge(order_id: int) -> None:
    raise ConnectionError(f"the bank did not answer for order {order_id}")


if __name__ == "__main__":
    setup_tracing(service_name="shop", traces_exporter="none")
    log.info("outside of any span: no ids")
    take(7)
