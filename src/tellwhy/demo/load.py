# SPDX-License-Identifier: Apache-2.0
"""What do the shop's customers do? Requests over a real socket, each with an id that its trace will show."""

from __future__ import annotations

import itertools
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Final

REQUEST_ID: Final = "x-request-id"
_TIMEOUT: Final = 20.0  # seconds
# Whatever proxy the user has configured: the shop is on this machine.
_DIRECT: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class Visit:
    """One request: what the customer wants, and how it should be answered."""

    name: str
    method: str
    path: str  # {} stands for a number used once
    body: bytes | None
    status: int


PRODUCTS: Final = Visit("the product page", "GET", "/products", None, 200)
CHECKOUT: Final = Visit("a checkout", "POST", "/checkout/{}", b"card=domestic", 200)
ABROAD: Final = Visit("a checkout with a foreign card", "POST", "/checkout/{}", b"card=foreign", 504)
_numbers = itertools.count(1001)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a visit: the id it was sent with and the status, 0 if there was no answer at all."""

    request_id: str
    status: int


def send(shop_url: str, visit: Visit) -> Answer:
    """Send one request and wait for its answer, whatever it is."""
    number = next(_numbers)
    request_id = f"demo-{number}"
    request = urllib.request.Request(  # noqa: S310  # the URL is the demo's own
        shop_url + visit.path.format(number),
        data=visit.body,
        method=visit.method,
        headers={REQUEST_ID: request_id},
    )
    try:
        with _DIRECT.open(request, timeout=_TIMEOUT) as response:
            response.read()
            return Answer(request_id, response.status)
    except urllib.error.HTTPError as error:
        error.close()
        return Answer(request_id, error.code)
    except OSError:
        return Answer(request_id, 0)


def is_open(url: str) -> bool:
    """Tell whether a service answers; waits until it does."""
    try:
        with _DIRECT.open(f"{url}/healthz", timeout=_TIMEOUT) as response:
            return bool(response.status == 200)
    except OSError:
        return False
