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
from tellwhy.engine.context import SPAN_KEY, enter, get_context, leave
from tellwhy.engine.span import Unrecorded
from tellwhy.patchers import live
from tellwhy.redaction.statements import analyze

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from tellwhy.patchers.psycopg2 import Database

    Said: TypeAlias = tuple[str | None, str | None, str | None, str | None]

_KEYS = ("db.query.text", "db.query.summary", "db.operation.name", "db.collection.name")
_unnamed: Said = (None, None, None, None)

# What is said of a statement is remembered by its text; of those, the analysis itself remembers more.
_MAX_KNOWN = 512
_MAX_LENGTH = 2048  # characters
_MAX_PARAMETER = 1024  # characters of a parameter that is recorded


def run(database: Database, cursor: Any, method: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run a cursor's method in a span, unless none is wanted."""
    token: Any = None
    try:
        span = _begin(database, cursor, method, args, kwargs)
        if span is not None:
            if database.commenter is not None and span.is_recording():
                args = _commented(database, cursor, span, method.__name__, args)
            token = enter(span)
    except Exception as error:
        diagnostics.fault("the tracing of a statement", error)
        span = None
    if span is None:
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
    if type(span) is not Unrecorded:
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
    if spans.drops_roots and SPAN_KEY not in context:
        return None  # nothing of the program runs below a statement that could ask for this one's ids
    if live.is_silenced(context):
        return None
    if spans.eager:
        name, said = _said(database, cursor, method.__name__, args, kwargs)
        return live.begin(spans, tracer, name, live.CLIENT, said, context)
    span = live.begin(spans, tracer, "postgresql", live.CLIENT, None, context)
    if span is not None and type(span) is not Unrecorded and span.is_recording():
        name, said = _said(database, cursor, method.__name__, args, kwargs)
        live.describe(span, name, said)
    return span


def _said(
    database: Database, cursor: Any, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Return the span's name and attributes before the statement has run."""
    connection = cursor.connection
    entry = database.targets.get(id(connection))
    target: dict[str, Any] = (
        entry[1]
        if entry is not None and entry[0]() is connection
        else database.targets.keep(connection, _look_at(database, connection.info))
    )
    if method == "execute" or method == "executemany":
        query = args[0] if args else kwargs.get("query")
        name, about = (type(query) is str and database.known.get(query)) or _about(database, _text(query, cursor))
    else:
        name, about = _about_special(database, cursor, method, args, kwargs)
    said = {**target, **about}
    if method == "executemany" or database.capture_parameters or database.parameters:
        _put_parameters(database, method, args, kwargs, said)
    return name or target.get("db.namespace") or target.get("db.name") or "postgresql", said


def _put_parameters(
    database: Database, method: str, args: tuple[Any, ...], kwargs: dict[str, Any], said: dict[str, Any]
) -> None:
    parameters = _argument(args, kwargs, 1, "vars_list" if method == "executemany" else "vars")
    if method == "executemany" and database.db_forms[1] and hasattr(parameters, "__len__") and len(parameters) > 1:
        said["db.operation.batch.size"] = len(parameters)
    if database.capture_parameters and parameters is not None and method != "copy_from":
        said["db.statement.parameters"] = str(parameters)
    if database.parameters and method == "execute" and parameters is not None:
        for key, value in _wanted(parameters, database.parameters):
            said[f"db.query.parameter.{key}"] = str(value)[:_MAX_PARAMETER]


def _wanted(parameters: Any, names: frozenset[str]) -> list[tuple[str, Any]]:
    """Return those parameters that were asked for, by name or by position."""
    if hasattr(parameters, "keys"):
        return [(key, parameters[key]) for key in parameters if key in names]
    if isinstance(parameters, (list, tuple)):
        return [(str(place), value) for place, value in enumerate(parameters) if str(place) in names]
    return []


def _about(database: Database, sql: str) -> tuple[str | None, dict[str, Any]]:
    """Return the name and the attributes of a statement, remembered for the next time."""
    found = _told(database, _statement(database, sql))
    # One with a comment may carry a trace's id, and never comes again.
    if len(sql) <= _MAX_LENGTH and "/*" not in sql:
        if len(database.known) >= _MAX_KNOWN:
            database.known.clear()
        database.known[sql] = found
    return found


def _told(database: Database, said: Said) -> tuple[str | None, dict[str, Any]]:
    """Return the name and the attributes of text, summary, operation and table."""
    old, stable = database.db_forms
    about = {key: value for key, value in zip(_KEYS, said, strict=True) if value} if stable else {}
    if old and said[0]:
        about["db.statement"] = said[0]
    return said[1] or said[2], about


def _about_special(
    database: Database, cursor: Any, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[str | None, dict[str, Any]]:
    """Return the name and the attributes of a call that is no plain statement."""
    if method == "callproc":
        procedure = _argument(args, kwargs, 0, "procname")
        name, about = _told(database, _called(procedure))
        return name, {**about, "db.stored_procedure.name": procedure} if isinstance(procedure, str) else about
    if method in ("copy_from", "copy_to"):
        return _told(database, _copied(_argument(args, kwargs, 1, "table"), method))
    return _told(database, _statement(database, _text(_argument(args, kwargs, 0, "sql"), cursor)))


def _statement(database: Database, sql: str) -> Said:
    """Return what is said of a statement: text, summary, operation, table."""
    if not sql:
        return _unnamed
    text, summary, operation, collection = analyze(sql)
    return {"scrubbed": text, "raw": sql}.get(database.sql), summary, operation, collection


def _called(procedure: Any) -> Said:
    if not isinstance(procedure, str):
        return _unnamed
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
