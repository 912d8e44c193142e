# SPDX-License-Identifier: Apache-2.0
"""
Secrets do not leave: what of a statement, a URL, a header, an attribute or a text may be seen.

Pure functions over one redactor, which ``configure`` replaces. None of them
raises on any text, and none of them blocks: the built-in patterns take time in
proportion to the text. The table of what is covered and what is not stands in
``docs/explanation/redaction.md``.
"""

from __future__ import annotations

from tellwhy.redaction.words import REDACTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from tellwhy.redaction.redactor import Redactor
    from tellwhy.redaction.statements import Analysis

__all__ = [
    "REDACTED",
    "analyze",
    "configure",
    "current",
    "is_secret_key",
    "mask_dsn",
    "mask_headers",
    "redact_attributes",
    "redact_header",
    "redact_query",
    "redact_text",
    "redact_url",
    "redact_value",
    "scrub_db_error",
    "scrub_sql",
    "summarize_sql",
]

sql_mode = "scrubbed"
"""What becomes of statements before export: ``scrubbed``, ``raw`` or ``off`` (``TELLWHY_SQL``)."""

_current: Redactor | None = None
_patterns: str | None = None
_to_tell: list[Callable[[], None]] = []


def _redactor() -> Redactor:
    """Build the redactor when the first value is looked at, not when the program starts."""
    global _current
    if _current is None:
        from tellwhy.redaction.redactor import Redactor

        _current = Redactor(_patterns)
    return _current


def current() -> Redactor:
    """Return the redactor in force."""
    return _current or _redactor()


def configure(patterns: str | None) -> list[str]:
    """
    Add a user's patterns to the built-in lists, in place of those given before.

    Args:

        patterns: The text of ``TELLWHY_REDACT``; None or empty for none.

    Returns:

        What is wrong with it, in words; the rest is in force.
    """
    global _current, _patterns
    _current, _patterns = None, patterns
    for forget in _to_tell:
        forget()
    return _redactor().problems if patterns else []


def when_configured(forget: Callable[[], None]) -> None:
    """Call back whenever what was found before may no longer hold."""
    _to_tell.append(forget)


def is_secret_key(key: str) -> bool:
    """Say whether the value under this key is a secret."""
    return (_current or _redactor()).keys.name(key)


def redact_value(key: str, value: Any, *, text: bool = False) -> Any:
    """
    Return an attribute's value without its secrets; the same object if it has none.

    Args:

        key: The attribute's key.

        value: A string, a number, bytes, or sequences and maps of them.

        text: Whether a string of an ordinary key is searched like free text.
    """
    return (_current or _redactor()).value(key, value, text=text)


def redact_attributes(attributes: Mapping[str, Any], *, sql: bool = True) -> dict[str, Any] | None:
    """
    Return attributes without their secrets, or None if they have none: the last look before export.

    Args:

        attributes: A span's, an event's, a link's, a resource's or a log record's.

        sql: Whether statements are scrubbed too (``TELLWHY_SQL`` is not ``raw``).
    """
    return (_current or _redactor()).attributes(attributes, sql=sql)


def redact_text(text: str) -> str:
    """Return free text, such as an exception's message or a stack trace, without its secrets."""
    return (_current or _redactor()).text(text)


def redact_url(url: str) -> str:
    """Return a URL, absolute or relative, without userinfo and values of secret parameters."""
    return (_current or _redactor()).url(url)


def redact_query(query: str) -> str:
    """Return a query string or a form's body without the values of secret parameters."""
    return (_current or _redactor()).query(query)


def redact_header(name: str, value: str) -> str:
    """Return a header's value without its secrets; those of secret headers go whole."""
    return (_current or _redactor()).header(name, value)


def mask_headers(text: str) -> str:
    """Return ``OTEL_EXPORTER_OTLP_HEADERS`` (``key=value,key=value``) with every value hidden."""
    from tellwhy.redaction import masks

    return masks.mask_headers(text)


def mask_dsn(text: str) -> str:
    """Return a connection's URL or ``key=value`` string as diagnostics may show it."""
    from tellwhy.redaction import masks

    return masks.mask_dsn(text, _redactor().keys)


def analyze(statement: str, dialect: str = "postgresql") -> Analysis:
    """Return a statement's scrubbed text, summary, operation and collection; remembered."""
    from tellwhy.redaction import statements

    return statements.analyze(statement, dialect)


def scrub_sql(text: str, dialect: str = "postgresql") -> str:
    """Return a statement with its literals replaced by ``?``; ``dialect`` is a ``db.system.name``."""
    from tellwhy.redaction import sql

    return sql.scrub_sql(text, dialect)


def summarize_sql(text: str, dialect: str = "postgresql") -> str | None:
    """Return ``db.query.summary`` of a raw statement, or None if it begins with no known operation."""
    return analyze(text, dialect)[1]


def scrub_db_error(text: str) -> str:
    """Return a message that is known to be a database's without the values that it repeats."""
    from tellwhy.redaction import db_errors

    return (_current or _redactor()).text(db_errors.scrub_error(text))
