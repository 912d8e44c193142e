# SPDX-License-Identifier: Apache-2.0
"""
What is the span of a statement that a cursor runs?

Named by what it does on which table, with its text scrubbed.
https://opentelemetry.io/docs/specs/semconv/database/postgresql/
"""

from __future__ import annotations

from opentelemetry.context.context import Context
from psycopg2.sql import Composable

from tellwhy import diagnostics
from tellwhy.engine.context import enter, get_context, leave
from tellwhy.patchers import live
from tellwhy.redaction.statements import analyze

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from tellwhy.patchers.psycopg2 import Database

    Said: TypeAlias = tuple[str | None, str | None, str | None, str | None]

_KEYS = ("db.query.text", "db.query.summary", "db.operation.name", "db.collection.name")
_unnamed: Said = (None, None, None, None)


def run(database: Database, cursor: Any, method: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run a cursor's method in a span, unless none is wanted."""
    try:
        span = _begin(database, cursor, method, args, kwargs)
        if span is None:
            return method(cursor, *args, **kwargs)
        if database.commenter is not None and span.is_recording():
            args = _commented(database, cursor, span, method.__name__, args)
        token = enter(span)
    except Exception as error:
        diagnostics.fault("the tracing of a statement", error)
        return method(cursor, *args, **kwargs)
    try:
        result = method(cursor, *args, **kwargs)
    except BaseException as error:
        leave(token, span)
        live.fail(span, error)
        code = getattr(error, "pgcode", None)
        if code and database.db_forms[1]:
            span.set_attribute("db.response.status_code", code)
        live.end(span)
        raise
    leave(token, span)
    if span.is_recording():
        if database.db_forms[1] and cursor.description is not None and cursor.rowcount >= 0:
            span.set_attribute("db.response.returned_rows", cursor.rowcount)
        live.end(span)
    return result


def _begin(database: Database, cursor: Any, method: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    spans = database.spans
    tracer = spans.current()
    if tracer is None:
        return None
    context: Context = get_context()
    if live.is_silenced(context):
        return None
    if spans.eager:
        name, said = _said(database, cursor, method.__name__, args, kwargs)
        return live.begin(spans, tracer, name, live.CLIENT, said, context)
    span = live.begin(spans, tracer, "postgresql", live.CLIENT, None, context)
    if span is not None and span.is_recording():
        name, said = _said(database, cursor, method.__name__, args, kwargs)
        span.update_name(name)
        live.fill(span, said)
    return span


def _said(
    database: Database, cursor: Any, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Return the span's name and attributes before the statement has run."""
    said = dict(_target(database, cursor.connection))
    old, stable = database.db_forms
    if method == "callproc":
        text, summary, operation, collection = _called(_argument(args, kwargs, 0, "procname"), said)
    elif method in ("copy_from", "copy_to"):
        text, summary, operation, collection = _copied(_argument(args, kwargs, 1, "table"), method)
    else:
        sql = _text(_argument(args, kwargs, 0, "sql" if method == "copy_expert" else "query"), cursor)
        text, summary, operation, collection = _statement(database, sql)
    if stable:
        found = zip(_KEYS, (text, summary, operation, collection), strict=True)
        said.update((key, value) for key, value in found if value)
    if old and text:
        said["db.statement"] = text
    parameters = _argument(args, kwargs, 1, "vars_list" if method == "executemany" else "vars")
    if method == "executemany" and stable and hasattr(parameters, "__len__") and len(parameters) > 1:
        said["db.operation.batch.size"] = len(parameters)
    if database.capture_parameters and parameters is not None and method != "copy_from":
        said["db.statement.parameters"] = str(parameters)
    return summary or operation or said.get("db.namespace") or said.get("db.name") or "postgresql", said


def _statement(database: Database, sql: str) -> Said:
    """Return what is said of a statement: text, summary, operation, table."""
    if not sql:
        return _unnamed
    text, summary, operation, collection = analyze(sql)
    return {"scrubbed": text, "raw": sql}.get(database.sql), summary, operation, collection


def _called(procedure: Any, said: dict[str, Any]) -> Said:
    if not isinstance(procedure, str):
        return _unnamed
    said["db.stored_procedure.name"] = procedure
    return procedure, f"CALL {procedure}", "CALL", None


def _copied(table: Any, method: str) -> Said:
    if not isinstance(table, str):
        return _unnamed
    direction = "FROM STDIN" if method == "copy_from" else "TO STDOUT"
    return f"COPY {table} {direction}", f"COPY {table}", "COPY", table


def _argument(args: tuple[Any, ...], kwargs: dict[str, Any], place: int, name: str) -> Any:
    return args[place] if len(args) > place else kwargs.get(name)


def _text(query: Any, cursor: Any) -> str:
    """Return the text of what psycopg2 takes for a query."""
    if isinstance(query, str):
        return query
    if isinstance(query, (bytes, bytearray)):
        return bytes(query).decode("utf-8", "replace")
    if isinstance(query, Composable):
        try:
            return query.as_string(cursor)
        except Exception:  # psycopg2 will say what is wrong with it
            return ""
    return ""


def _target(database: Database, connection: Any) -> dict[str, Any]:
    """Return what is said of every statement of a connection."""
    try:
        return database.targets[connection]
    except KeyError:
        said = database.targets[connection] = _look_at(database, connection.info)
        return said


def _look_at(database: Database, info: Any) -> dict[str, Any]:
    old, stable = database.db_forms
    old_net, stable_net = database.net_forms
    rows = (
        (stable, "db.system.name", "postgresql"),
        (old, "db.system", "postgresql"),
        (stable, "db.namespace", info.dbname),
        (old, "db.name", info.dbname),
        (old, "db.user", info.user),
        (stable_net, "server.address", info.host),
        (old_net, "net.peer.name", info.host),
        (stable_net, "server.port", info.port),
        (old_net, "net.peer.port", info.port),
    )
    return {key: value for is_wanted, key, value in rows if is_wanted and value}


def _commented(database: Database, cursor: Any, span: Any, method: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the arguments with a comment in the statement that names the trace."""
    if method not in ("execute", "executemany") or not args:
        return args
    from tellwhy.patchers.sqlcomment import with_comment

    sql = _text(args[0], cursor)
    if not sql:
        return args
    commented = with_comment(sql, span, database.commenter or {})
    if database.comments_in_spans:
        text = _statement(database, commented)[0]
        for is_wanted, key in zip(database.db_forms, ("db.statement", "db.query.text"), strict=True):
            if is_wanted and text:
                span.set_attribute(key, text)
    return (commented, *args[1:])
