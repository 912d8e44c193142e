# SPDX-License-Identifier: Apache-2.0
"""
How are our own settings shown, in diagnostics, ``tellwhy settings`` and ``tellwhy doctor``?

More is hidden here than in telemetry: a person who shares a screen or pastes an
output into an issue reads the name of a header, and nobody needs its value.
"""

from __future__ import annotations

from tellwhy.redaction.text import redact_text
from tellwhy.redaction.urls import redact_url
from tellwhy.redaction.words import REDACTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tellwhy.redaction.keys import Keys


def mask_headers(text: str) -> str:
    """Return ``OTEL_EXPORTER_OTLP_HEADERS`` (``key=value,key=value``) with every value hidden."""
    members = []
    for member in text.split(","):
        name, equals, value = member.partition("=")
        if equals:
            members.append(f"{name}={REDACTED}" if value.strip() else member)
        else:
            members.append(REDACTED if member.strip() else member)  # a value with a comma in it
    return ",".join(members)


def mask_dsn(text: str, keys: Keys) -> str:
    """Return a connection's URL or ``key=value`` string without password, and without the user of a URL."""
    if "://" in text:
        return redact_url(text, keys)
    if "=" not in text and "@" in text:  # user:password@host:port
        return f"{REDACTED}@{text.rpartition('@')[2]}"
    return redact_text(text, keys)
