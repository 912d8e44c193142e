# SPDX-License-Identifier: Apache-2.0
"""Who made a span? The instrumentation scope, as plain data, and as the SDK's objects for who asks."""

from __future__ import annotations

import warnings

from tellwhy.engine.values import clean_attributes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from opentelemetry.sdk.util.instrumentation import InstrumentationInfo, InstrumentationScope

    from tellwhy.engine.values import Attributes


class Scope:
    """Name, version, schema URL and attributes of a tracer."""

    __slots__ = ("_sdk", "attributes", "name", "schema_url", "version")

    def __init__(self, name: str, version: str = "", schema_url: str = "", attributes: Any = None) -> None:
        self.name = name
        self.version = version
        self.schema_url = schema_url
        self.attributes: Attributes = {}
        clean_attributes(attributes, None, self.attributes)
        self._sdk: InstrumentationScope | None = None

    def sdk(self) -> InstrumentationScope:
        """Return the SDK's ``InstrumentationScope``; always the same object."""
        if self._sdk is None:
            from opentelemetry.sdk.util.instrumentation import InstrumentationScope

            self._sdk = InstrumentationScope(self.name, self.version, self.schema_url, self.attributes)
        return self._sdk

    def sdk_info(self) -> InstrumentationInfo:
        """Return the SDK's ``InstrumentationInfo``, deprecated since 1.11."""
        from opentelemetry.sdk.util.instrumentation import InstrumentationInfo

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return InstrumentationInfo(self.name, self.version, self.schema_url)
