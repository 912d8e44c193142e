# SPDX-License-Identifier: Apache-2.0
"""How much may one span hold? The SDK's ``SpanLimits``, without the SDK."""

from __future__ import annotations

import os

from tellwhy import diagnostics

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_DEFAULT_COUNT = 128  # the specification's, for all five counts


class SpanLimits:
    """
    The limits of a span's attributes, events and links; None means no limit.

    Precedence as in the SDK: the specific argument, its environment variable,
    the general one (``max_attributes``, ``max_attribute_length``), the default
    of 128 items and no limit of length. ``SpanLimits.UNSET`` as an argument
    means no limit. A negative argument raises ValueError; a wrong environment
    value is warned about and ignored. Lengths are in characters.
    """

    UNSET = -1

    __slots__ = (
        "max_attribute_length",
        "max_attributes",
        "max_event_attributes",
        "max_events",
        "max_link_attributes",
        "max_links",
        "max_span_attribute_length",
        "max_span_attributes",
    )

    def __init__(
        self,
        max_attributes: int | None = None,
        max_events: int | None = None,
        max_links: int | None = None,
        max_span_attributes: int | None = None,
        max_event_attributes: int | None = None,
        max_link_attributes: int | None = None,
        max_attribute_length: int | None = None,
        max_span_attribute_length: int | None = None,
        *,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        env = os.environ if environ is None else environ

        def limit(value: int | None, variable: str, default: int | None) -> int | None:
            return _limit(value, variable, default, env)

        count = limit(max_attributes, "OTEL_ATTRIBUTE_COUNT_LIMIT", None)
        general = _DEFAULT_COUNT if count is None else count
        self.max_attributes = general
        self.max_events = limit(max_events, "OTEL_SPAN_EVENT_COUNT_LIMIT", _DEFAULT_COUNT)
        self.max_links = limit(max_links, "OTEL_SPAN_LINK_COUNT_LIMIT", _DEFAULT_COUNT)
        self.max_span_attributes = limit(max_span_attributes, "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", general)
        self.max_event_attributes = limit(max_event_attributes, "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", general)
        self.max_link_attributes = limit(max_link_attributes, "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", general)
        length = limit(max_attribute_length, "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", None)
        self.max_attribute_length = length
        self.max_span_attribute_length = limit(
            max_span_attribute_length, "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", length
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)}' for name in self.__slots__)})"


def _limit(value: int | None, variable: str, default: int | None, environ: Mapping[str, str]) -> int | None:
    if value == SpanLimits.UNSET:
        return None
    if value is not None:
        if value < 0:
            raise ValueError(f"{variable}={value}: expected a number from 0")
        return value
    if variable not in environ:
        return default
    text = environ[variable].strip()
    if not text:
        return None  # as the SDK reads it: set and empty lifts the limit
    if text.isdecimal():
        return int(text)
    diagnostics.warn(f"{variable}={text!r}: expected a number from 0; ignored, using {default}")
    return default
