# SPDX-License-Identifier: Apache-2.0
"""
Which spans (or log records) go into one request, and what becomes of one that is too large for any?

Spans are taken in order until the next would exceed the bound. The account is
kept on the safe side: lengths are counted with the most bytes they may need.
"""

from __future__ import annotations

from tellwhy import diagnostics
from tellwhy.delivery.otlp.span_fields import read
from tellwhy.engine.span import Span

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any, TypeAlias

    Head: TypeAlias = tuple[bytes, bytes, bytes, bytes]  # resource, its schema URL, scope, its schema URL
    Group: TypeAlias = tuple[Head, list[bytes]]  # and the bodies of the spans that they stand around


_MOST_HEADS = 256


class Heads:
    """
    What stands around spans: made once for a resource and a scope, and known again by their identity.

    Args:

        make: Encodes a resource and a scope.
    """

    def __init__(self, make: Callable[[Any, Any], Head]) -> None:
        self._make = make
        self._known: dict[tuple[int, int], tuple[Head, Any, Any]] = {}

    def of(self, span: Any) -> Head:
        """Return what stands around a span; the same object for the same resource and scope."""
        if type(span) is Span:
            resource: Any = span._core.resource
            scope: Any = span._scope
        else:
            resource = read(span, "resource")
            scope = read(span, "instrumentation_scope")
        key = (id(resource), id(scope))
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _MOST_HEADS:
                self._known.clear()
            # With the things themselves, so that nothing else can come to have their identity.
            found = self._known[key] = (self._make(resource, scope), resource, scope)
        return found[0]


def batches(
    spans: Sequence[Any],
    max_bytes: int | None,
    body: Callable[[Any], bytes],
    cut: Callable[[Any, int], bytes],
    head_of: Callable[[Any], Head],
    frame: tuple[int, int],
) -> Iterator[tuple[list[Group], list[Any]]]:
    """
    Yield groups of encoded spans that fit into one request, and the spans themselves.

    Args:

        spans: The spans, in order.

        max_bytes: The bound; None for none.

        body: Encodes a span.

        cut: Encodes a span that is too large, cut to a number of bytes.

        head_of: Returns what stands around a span, of which equal ones are shared in a request.

        frame: The most bytes that enclose a span, and that enclose the spans of one head: tags, lengths, braces.
    """
    groups: dict[Head, list[bytes]] = {}
    held: list[Any] = []
    size = 0
    of_span, of_group = frame
    head: Head | None = None
    bodies: list[bytes] | None = None
    around = 0
    for span in spans:
        try:
            before, head = head, head_of(span)
            if head is not before:
                around = sum(map(len, head)) + of_group
                bodies = groups.get(head)
            encoded = body(span)
            if max_bytes is not None and len(encoded) + of_span + around > max_bytes:
                encoded = cut(span, max_bytes - of_span - around)
        except Exception as error:
            diagnostics.fault("the encoding of a span", error)
            continue
        more = len(encoded) + of_span
        if max_bytes is not None and held and size + more + (around if bodies is None else 0) > max_bytes:
            yield list(groups.items()), held
            groups, held, size, bodies = {}, [], 0, None
        if bodies is None:
            bodies = groups[head] = []
            size += around
        bodies.append(encoded)
        held.append(span)
        size += more
    if held:
        yield list(groups.items()), held
