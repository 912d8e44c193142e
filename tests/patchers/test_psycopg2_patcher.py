# SPDX-License-Identifier: Apache-2.0
"""What is traced of psycopg2: every statement once, whatever cursor runs it; and psycopg2's own types stay its own."""

from __future__ import annotations

import gc
import io
import pickle
import threading
import weakref
from collections.abc import Iterator
from functools import partial
from typing import Any

import psycopg2
import psycopg2.extensions
import psycopg2.extras
import psycopg2.pool
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.trace import SpanKind, StatusCode
from psycopg2 import sql

from support.recording import Recorder
from tellwhy.engine import samplers
from tellwhy.patchers.psycopg2 import Psycopg2Instrumentor

pytestmark = [pytest.mark.servers]

extras = psycopg2.extras
CURSORS = [
    psycopg2.extensions.cursor,
    extras.DictCursor,
    extras.RealDictCursor,
    extras.NamedTupleCursor,
]
CONNECTIONS = [
    psycopg2.extensions.connection,
    extras.DictConnection,
    extras.RealDictConnection,
    extras.NamedTupleConnection,
]


@pytest.fixture
def connect(postgres: str) -> Iterator[Any]:
    """Connect as ``psycopg2.connect`` does; what was opened is closed after the test."""
    opened: list[Any] = []

    def open_one(*args: Any, **kwargs: Any) -> Any:
        opened.append(psycopg2.connect(postgres, *args, **kwargs))
        return opened[-1]

    yield open_one
    for connection in opened:
        connection.close()


def test_a_statement_is_a_client_span_named_by_its_summary(recorder: Recorder, connect: Any) -> None:
    """System, database, server, statement without its literals, rows."""
    Psycopg2Instrumentor().instrument(tracer_provider=recorder.provider)
    cursor = connect().cursor()

    cursor.execute("SELECT relname FROM pg_class WHERE relname = 'hush' OR relname = %s", ("pg_class",))

    span = recorder.only()
    attributes = dict(span.attributes)
    assert (span.name, span.kind) == ("SELECT pg_class", SpanKind.CLIENT)
    assert (
        attributes["db.system.name"],
        attributes["db.namespace"],
        attributes["server.address"],
    ) == ("postgresql", "postgres", "127.0.0.1")
    assert attributes["db.query.text"] == "SELECT relname FROM pg_class WHERE relname = ? OR relname = %s"
    assert (
        attributes["db.operation.name"],
        attributes["db.collection.name"],
        attributes["db.response.returned_rows"],
    ) == ("SELECT", "pg_class", 1)


@pytest.mark.parametrize("factory", CURSORS)
@pytest.mark.parametrize("by", ["call", "position", "connection", "partial", "function"])
def test_every_cursor_class_is_traced(recorder: Recorder, connect: Any, factory: Any, by: str) -> None:
    """However the class was given, one statement is one span, and the rows are of that class."""
    Psycopg2Instrumentor().instrument(tracer_provider=recorder.provider)
    given: Any = {"partial": partial(factory), "function": lambda *a, **k: factory(*a, **k)}.get(by, factory)
    connection = connect(cursor_factory=given) if by == "connection" else connect()
    if by == "connection":
        cursor = connection.cursor()
    elif by == "position":
        cursor = connection.cursor(None, given)
    else:
        cursor = connection.cursor(cursor_factory=given)

    cursor.execute("SELECT 1 AS one")

    assert isinstance(cursor, factory)
    assert factory.__name__ == type(cursor).__name__
    row = cursor.fetchone()
    assert (row["one"] if factory is extras.RealDictCursor else row[0]) == 1
    if by == "function" and factory is psycopg2.extensions.cursor:
        assert recorder.names() == []  # written in C, and made by a function: Python cannot give it another class
    else:
        assert recorder.names() == ["SELECT"]


@pytest.mark.parametrize("factory", CONNECTIONS)
def test_every_connection_class_is_traced(recorder: Recorder, connect: Any, factory: Any) -> None:
    """Its cursors are of its own kind, in ``with`` blocks too."""
    Psycopg2Instrumentor().instrument(tracer_provider=recorder.provider)

    with connect(connection_factory=factory) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1 AS one")

    assert isinstance(connection, factory)
    assert connection.cursor_factory is None
    assert recorder.names() == ["SELECT"]


def test_a_cursor_class_of_the_programs_own_is_traced(recorder: Recorder, connect: Any) -> None:
    """Its methods run as written, and what they run is traced."""
    ran: list[str] = []

    class Mine(extras.DictCursor):
        def execute(self, query: Any, vars: Any = None) -> None:
            ran.append(query)
            super().execute(query, vars)

    Psycopg2Instrumentor().instrument(tracer_provider=recorder.provider)

    connect().cursor(cursor_factory=Mine).execute("SELECT 1")

    assert (ran, recorder.names()) == (["SELECT 1"], ["SELECT"])


def test_every_way_of_running_a_statement_is_traced(recorder: Recorder, connect: Any) -> None:
    """``executemany``, ``callproc``, ``COPY``, the helpers of ``extras``, named cursors, composed statements."""
    Psycopg2Instrumentor().instrument(tracer_provider=recorder.provider)
    connection = connect()
    cursor = connection.cursor()
    cursor.execute("CREATE TEMP TABLE ways (a int, b text)")
    recorder.take()

    cursor.executemany("INSERT INTO ways VALUES (%s, %s)", [(1, "x"), (2, "y")])
    extras.execute_values(cursor, "INSERT INTO ways (a, b) VALUES %s", [(1, "x"), (2, "y")])
    extras.execute_batch(cursor, "INSERT INTO ways VALUES (%s, %s)", [(1, "x")])
    cursor.callproc("lower", ["X"])
    cursor.copy_expert("COPY ways TO STDOUT", io.StringIO())
    cursor.copy_from(io.StringIO("5\tz\n"), "ways")
    cursor.copy_to(io.StringIO(), "ways")
    with connection.cursor("named") as named:
        named.execute("SELECT a FROM ways")
        named.fetchall()
    cursor.execute(sql.SQL("SELECT {} FROM ways WHERE b = {}").format(sql.Identifier("a"), sql.Literal("hush")))
    cursor.execute(b"SELECT 1")

    spans = recorder.take()
    assert [span.name for span in spans] == [
        "INSERT ways",
        "INSERT ways",
        "INSERT ways",
        "CALL lower",
        "COPY ways",
        "COPY ways",
        "COPY ways",
        "SELECT ways",
        "SELECT ways",
        "SELECT",
    ]
    assert spans[0].attributes["db.operation.batch.size"] == 2
    assert spans[3].attributes["db.stored_procedure.name"] == "lower"
    assert "hush" not in str([dict(span.attributes) for span in spans])


def test_psycopg2s_own_type_checks_are_content(recorder: Recorder, connect: Any) -> None:
    """The ``register_*`` functions, ``quote_ident``, ``as_string`` and adapters ask in C for psycopg2's own types."""
    Psycopg2Instrumentor().instrument(tracer_provider=recorder.provider)
    connection = connect()
    cursor = connection.cursor()

    extras.register_default_jsonb(connection)
    extras.register_default_json(cursor)
    extras.register_uuid(conn_or_curs=connection)
    psycopg2.extensions.register_type(psycopg2.extensions.UNICODE, connection)
    assert psycopg2.extensions.quote_ident("a b", connection) == '"a b"'
    assert sql.Identifier("a").as_string(cursor) == '"a"'
    assert cursor.mogrify("%s", ("x",)) == b"'x'"
    adapted = psycopg2.extensions.adapt("x")
    adapted.prepare(connection)  # type: ignore[attr-defined]
    assert adapted.getquoted() == b"'x'"


def test_pools_are_traced(recorder: Recorder, postgres: str) -> None:
    """Connections of ``psycopg2.pool`` are like any other."""
    Psycopg2Instrumentor().instrument(tracer_provider=recorder.provider)
    pool = psycopg2.pool.ThreadedConnectionPool(1, 2, postgres)
    connection = pool.getconn()
    try:
        connection.cursor().execute("SELECT 1")
    finally:
        pool.putconn(connection)
        pool.closeall()

    assert recorder.names() == ["SELECT"]


def test_connections_that_are_open_are_traced(recorder: Recorder, connect: Any) -> None:
    """Those that were there before, of psycopg2's own class and of others; and they are given back as they were."""
    plain, special = connect(), connect(connection_factory=extras.RealDictConnection)
    Psycopg2Instrumentor().instrument(tracer_provider=recorder.provider)

    plain.cursor().execute("SELECT 1")
    special.cursor().execute("SELECT 2")
    special.cursor(cursor_factory=extras.DictCursor).execute("SELECT 3")
    assert len(recorder.take()) == 3

    Psycopg2Instrumentor().uninstrument()
    plain.cursor().execute("SELECT 1")
    assert plain.cursor_factory is None
    assert recorder.names() == []


def test_an_error_has_its_code(recorder: Recorder, connect: Any) -> None:
    """The exception reaches the caller as it is; SQLSTATE and class are on the span."""
    Psycopg2Instrumentor().instrument(tracer_provider=recorder.provider)

    with pytest.raises(psycopg2.errors.UndefinedColumn):
        connect().cursor().execute("SELECT nothing FROM pg_class")

    span = recorder.only()
    assert (
        span.attributes["db.response.status_code"],
        span.attributes["error.type"],
        span.status.status_code,
    ) == ("42703", "psycopg2.errors.UndefinedColumn", StatusCode.ERROR)


@pytest.mark.parametrize(("setting", "text"), [("scrubbed", "SELECT ?"), ("raw", "SELECT 'hush'"), ("off", None)])
def test_the_text_is_as_asked_for(
    recorder: Recorder, connect: Any, monkeypatch: pytest.MonkeyPatch, setting: str, text: str | None
) -> None:
    """``TELLWHY_SQL``: without literals, as it is, or not at all."""
    monkeypatch.setenv("TELLWHY_SQL", setting)
    Psycopg2Instrumentor().instrument(tracer_provider=recorder.provider)

    connect().cursor().execute("SELECT 'hush'")

    assert text == recorder.only().attributes.get("db.query.text")


def test_parameters_are_recorded_on_request(recorder: Recorder, connect: Any) -> None:
    """Only with ``capture_parameters``."""
    Psycopg2Instrumentor().instrument(tracer_provider=recorder.provider, capture_parameters=True)

    connect().cursor().execute("SELECT %s", ("seen",))

    assert recorder.only().attributes["db.statement.parameters"] == "('seen',)"


def test_the_statement_can_name_the_trace(recorder: Recorder, connect: Any) -> None:
    """With ``enable_commenter`` the server's log has the span's ids; the span's text stays without."""
    Psycopg2Instrumentor().instrument(
        tracer_provider=recorder.provider, enable_commenter=True, commenter_options={"dbapi_level": False}
    )
    cursor = connect().cursor()

    cursor.execute("SELECT %s;", (1,))

    span = recorder.only()
    ran = cursor.query.decode()
    assert f"traceparent='00-{span.context.trace_id:032x}-{span.context.span_id:016x}" in ran
    assert ran.startswith("SELECT 1 /*") and ran.endswith("*/;")
    assert "db_driver='psycopg2%3A" in ran and "dbapi_level" not in ran
    assert span.attributes["db.query.text"] == "SELECT %s;"


@pytest.mark.parametrize("engine", ["lean", "sdk"])
def test_nothing_is_made_below_an_unsampled_span(engine: str, connect: Any) -> None:
    """The statement runs, and nobody records it."""
    recorder = Recorder(engine, sampler=samplers.ParentBased(samplers.ALWAYS_OFF))
    Psycopg2Instrumentor().instrument(tracer_provider=recorder.provider)
    cursor = connect().cursor()

    with recorder.tracer.start_as_current_span("request"):
        cursor.execute("SELECT 1")

    assert (cursor.fetchone(), recorder.names()) == ((1,), [])


def test_one_connection_can_be_instrumented_alone(recorder: Recorder, connect: Any) -> None:
    """``instrument_connection`` and its opposite are for that connection only."""
    mine, other = connect(), connect()
    assert mine is Psycopg2Instrumentor.instrument_connection(mine, tracer_provider=recorder.provider)

    mine.cursor().execute("SELECT 1")
    other.cursor().execute("SELECT 2")
    Psycopg2Instrumentor.uninstrument_connection(mine)
    mine.cursor().execute("SELECT 3")

    assert recorder.names() == ["SELECT"]


def test_cursors_of_many_threads_do_not_mix(recorder: Recorder, connect: Any) -> None:
    """One connection, a cursor shared by threads: the program's own affair, with a span for each statement."""
    Psycopg2Instrumentor().instrument(tracer_provider=recorder.provider)
    cursor = connect().cursor()

    def work() -> None:
        for _ in range(20):
            cursor.execute("SELECT 1")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert recorder.names() == ["SELECT"] * 80


def test_wrong_calls_fail_in_psycopg2s_words(recorder: Recorder, connect: Any) -> None:
    """Arguments that do not fit are told by psycopg2 itself."""

    def complaints(connection: Any) -> list[str]:
        found = []
        cursor = connection.cursor()
        for call in (
            lambda: cursor.execute(),
            lambda: cursor.execute("SELECT %s", ()),
            lambda: cursor.execute(5),
            lambda: cursor.execute(""),
            lambda: cursor.execute("SELECT 1", nothing=1),
            lambda: connection.cursor(cursor_factory=5),
            lambda: connection.cursor(cursor_factory=str),
            lambda: cursor.callproc(None),
        ):
            try:
                call()
                found.append("nothing")
            except Exception as error:
                found.append(f"{type(error).__name__}: {error}")
            connection.rollback()
        return found

    bare = complaints(connect())
    Psycopg2Instrumentor().instrument(tracer_provider=recorder.provider)

    assert bare == complaints(connect())


def test_connections_are_not_kept_alive(recorder: Recorder, postgres: str) -> None:
    """A connection that the program drops is closed at once, without the cycle collector."""
    Psycopg2Instrumentor().instrument(tracer_provider=recorder.provider)
    gc.disable()
    try:
        connection = psycopg2.connect(postgres)
        cursor = connection.cursor()
        cursor.execute("SELECT 1")
        gone = weakref.ref(connection)
        del connection, cursor

        assert gone() is None
    finally:
        gc.enable()


_recorder = Recorder()


@given(st.text(max_size=40) | st.binary(max_size=40))
@settings(max_examples=60, deadline=None)
def test_hostile_statements_fail_as_without_us(postgres: str, statement: Any) -> None:
    """Whatever the program runs, it gets the same result or error."""

    def answer() -> Any:
        connection = psycopg2.connect(postgres)
        try:
            connection.cursor().execute(statement)
            return None
        except Exception as error:
            return (type(error), str(error))
        finally:
            connection.close()

    bare = answer()
    Psycopg2Instrumentor().instrument(tracer_provider=_recorder.provider)
    try:
        assert bare == answer()
    finally:
        Psycopg2Instrumentor().uninstrument()
        _recorder.take()


def test_what_the_program_asks_of_classes_and_errors_is_answered_as_before(recorder: Recorder, connect: Any) -> None:
    """A cursor's type is equal to psycopg2's, and an error is pickled with all that it has."""
    Psycopg2Instrumentor().instrument(tracer_provider=recorder.provider)
    cursor = connect().cursor(cursor_factory=None)

    with pytest.raises(psycopg2.Error) as caught:
        cursor.execute("SELECT nothing FROM pg_class")

    again = pickle.loads(pickle.dumps(caught.value))
    assert type(cursor) == psycopg2.extensions.cursor  # noqa: E721
    assert {type(cursor): 1}[psycopg2.extensions.cursor] == 1
    assert (caught.value.pgcode, caught.value.pgerror) == (again.pgcode, again.pgerror)
