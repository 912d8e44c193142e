# SPDX-License-Identifier: Apache-2.0
"""
May a caller say to which trace a request belongs? ``TELLWHY_TRUST_INCOMING``.

Where it may not, the request begins a trace of its own, sampled by this
service's rules, with a link to the span that the caller named; its
``tracestate`` and ``baggage`` are left out. The rules are for HTTP requests:
messages come from a queue that the program itself has subscribed to.
"""

from __future__ import annotations

from _operator import _compare_digest as same_in_constant_time  # hmac's own, without hashlib

from opentelemetry.context.context import Context
from opentelemetry.trace import SpanContext

from tellwhy.engine.carried import Carried
from tellwhy.engine.context import SPAN_KEY, put

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from ipaddress import IPv4Network, IPv6Network
    from typing import Any, Final

_HEADERS_ALONE: Final = ("CIMultiDict", "CIMultiDictProxy", "HTTPHeaders", "Headers")
_MOST_PEERS: Final = 4096

rules: Rules | None = None
"""Whom to believe; None: everybody."""


def configure(words: tuple[str, ...]) -> None:
    """Put the setting in force: ``("always",)``, ``("never",)``, or CIDR ranges and ``header:name=value``."""
    global rules
    rules = None if "always" in words else Rules(words)


class Rules:
    """
    Whom to believe: one rule that holds is enough.

    Args:

        words: Ranges of addresses (``10.0.0.0/8``, ``::1``), headers (``header:x-gateway``, there with any
            value, or ``header:x-gateway=value``), or ``never``.
    """

    def __init__(self, words: tuple[str, ...]) -> None:
        from ipaddress import ip_network

        self._networks: list[IPv4Network | IPv6Network] = []
        self._headers: list[tuple[str, bytes | None]] = []
        self._peers: dict[str, bool] = {}
        for word in words:
            if word.startswith("header:"):
                name, equals, value = word[7:].partition("=")
                self._headers.append((name.strip().lower(), value.strip().encode() if equals else None))
            elif word != "never":
                self._networks.append(ip_network(word, strict=False))

    def allow(self, request: Request) -> bool:
        """Tell whether a request's trace context is believed."""
        if self._networks and self._is_near(request.peer):
            return True
        for name, wanted in self._headers:
            for value in request.header(name):
                if wanted is None or same_in_constant_time(value, wanted):
                    return True
        return False

    def _is_near(self, peer: str) -> bool:
        known = self._peers.get(peer)
        if known is None:
            from ipaddress import IPv6Address, ip_address

            try:
                address = ip_address(peer.partition("%")[0])
            except ValueError:  # a Unix socket, or a server that does not tell
                known = False
            else:
                if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
                    address = address.ipv4_mapped
                known = any(address in network for network in self._networks)
            if len(self._peers) >= _MOST_PEERS:
                self._peers.clear()
            self._peers[peer] = known
        return known


class Request:
    """What can be known of a request: who sent it, and its headers."""

    __slots__ = ("_carrier", "_kind", "peer")

    def __init__(self, carrier: Any, kind: str, peer: str) -> None:
        self._carrier = carrier
        self._kind = kind
        self.peer = peer

    def header(self, name: str) -> Iterator[bytes]:
        """Yield the values of a header."""
        carrier = self._carrier
        if self._kind == "wsgi":
            value = carrier.get("HTTP_" + name.upper().replace("-", "_"))
            if value is not None:
                yield value.encode("latin-1", "replace")
        elif self._kind == "asgi":
            wanted = name.encode()
            yield from (value for key, value in carrier.get("headers") or () if key.lower() == wanted)
        else:
            value = carrier.get(name)
            if isinstance(value, str):
                yield value.encode("latin-1", "replace")


def request_of(carrier: Any) -> Request | None:
    """Return the HTTP request that a carrier of headers is, or None if it is something else."""
    if isinstance(carrier, dict):
        if "REQUEST_METHOD" in carrier:
            return Request(carrier, "wsgi", carrier.get("REMOTE_ADDR") or "")
        if carrier.get("type") in ("http", "websocket") and "headers" in carrier:
            client = carrier.get("client")
            return Request(carrier, "asgi", str(client[0]) if client else "")
        return None
    return Request(carrier, "", "") if type(carrier).__name__ in _HEADERS_ALONE else None


def judged(before: Context, after: Context, carrier: Mapping[str, Any]) -> Context:
    """
    Return the context that a request gets: what it brought if its sender is believed, else a link to that.

    Args:

        before: The context without what the request brought.

        after: The context with it.

        carrier: Where it was read from.
    """
    if rules is None or after is before:
        return after
    request = request_of(carrier)
    if request is None or rules.allow(request):
        return after
    span: Any = after.get(SPAN_KEY)
    if span is None or span is before.get(SPAN_KEY):
        return before
    about = span.get_span_context()
    inner = Context(before)
    put(inner, SPAN_KEY, Carried(None, about=SpanContext(about.trace_id, about.span_id, True, about.trace_flags)))
    return inner
