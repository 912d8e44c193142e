# SPDX-License-Identifier: Apache-2.0
"""
How does the database's own log learn of the trace? By a comment at the end of the statement.

https://google.github.io/sqlcommenter/spec/ ; options and keys are those of
``opentelemetry.instrumentation.psycopg2``, and a web framework's come from the
context, under the key that OpenTelemetry's instrumentations share.
"""

from __future__ import annotations

from urllib.parse import quote

import psycopg2

from tellwhy.engine.context import get_context
from tellwhy.patchers.propagation import write_trace
from tellwhy.patchers.server import Server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def with_comment(sql: str, span: Any, options: Mapping[str, Any]) -> str:
    """Return the statement with a comment that names the driver, the framework's route and the trace."""
    values: dict[str, Any] = {
        "db_driver": f"psycopg2:{str(vars(psycopg2)['__version__']).partition(' ')[0]}",
        "dbapi_threadsafety": psycopg2.threadsafety,
        "dbapi_level": psycopg2.apilevel,
        "driver_paramstyle": psycopg2.paramstyle,
        "libpq_version": psycopg2.__libpq_version__,
    }
    if options.get("opentelemetry_values", True):
        write_trace(values, span)
    values = {key: value for key, value in values.items() if options.get(key, True)}
    values.update(get_context().get(Server.COMMENT_KEY) or {})  # type: ignore[call-overload]
    pairs = [f"{_quoted(key)}={_quoted(value)!r}" for key, value in sorted(values.items()) if value is not None]
    if not pairs:
        return sql
    sql = sql.rstrip()
    end = ";" if sql.endswith(";") else ""
    return f"{sql.removesuffix(';')} /*{','.join(pairs)}*/{end}"


def _quoted(value: Any) -> Any:
    # Percent signs are doubled: psycopg2 takes single ones for placeholders.
    return quote(value).replace("%", "%%") if isinstance(value, str) else value
