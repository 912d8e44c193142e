# SPDX-License-Identifier: Apache-2.0
"""
Which spans go into one request, and what becomes of one that is too large for any?

Spans are taken in order until the next would exceed the bound. The account is
kept on the safe side: lengths are counted with the most bytes they may need.
"""

from __future__ import annotations

from tellwhy import diagnostics
from tellwhy.delivery.span_fields import SpanFields
from tellwhy.delivery.truncation import truncate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence
    from typing import Any, TypeAlias

    Group: TypeAlias = tuple[Any, list[bytes]]  # what stands around the spans, and their bodies


def batches(
    spans: Sequence[Any],
    max_bytes: int | None,
    body: Callable[[Any], bytes],
    body_of_fields: Callable[[SpanFields], bytes],
    head_of: Callable[[Any], tuple[bytes, ...]],
    frame: tuple[int, int],
) -> Iterator[tuple[list[Group], list[Any]]]:
    """
    Yield groups of encoded spans that fit into one request, and the spans themselves.

    Args:

        spans: The spans, in order.

        max_bytes: The bound; None for none.

        body: Encodes a span.

        body_of_fields: Encodes a span's fields, cut ones.

        head_of: Returns what stands around a span, of which equal ones are shared in a request.

        frame: The most bytes that enclose a span, and that enclose the spans of one head: tags, lengths, braces.
    """
    groups: dict[Hashable, list[bytes]] = {}
    held: list[Any] = []
    size = 0
    of_span, of_group = frame
    for span in spans:
        try:
            head = head_of(span)
            encoded = body(span)
            around = sum(map(len, head)) + of_group
            if max_bytes is not None and len(encoded) + of_span + around > max_bytes:
                encoded = truncate(SpanFields(span), max_bytes - of_span - around, body_of_fields)
        except Exception as error:
            diagnostics.fault("the encoding of a span", error)
            continue
        more = len(encoded) + of_span + (0 if head in groups else around)
        if max_bytes is not None and held and size + more > max_bytes:
            yield list(groups.items()), held
            groups, held, size = {}, [], 0
            more = len(encoded) + of_span + around
        groups.setdefault(head, []).append(encoded)
        held.append(span)
        size += more
    if held:
        yield list(groups.items()), held
