# SPDX-License-Identifier: Apache-2.0
"""
How is psycopg2 traced? By subclasses below everything that a program, or psycopg2's extras, has put on top.

Every connection is made of a subclass of the class that was asked for, whose
``cursor()`` does the same for cursors. Our methods stand right above those
written in C, so one statement is one span whatever cursor class runs it, and
``register_*`` functions, which ask for psycopg2's own types, are content.
"""

from __future__ import annotations

import weakref
from functools import partial

from psycopg2 import extensions

from tellwhy import diagnostics
from tellwhy.imports import is_being_imported
from tellwhy.patchers.instrumentor import Instrumentor
from tellwhy.patchers.kept import Kept
from tellwhy.patchers.options import Options
from tellwhy.patchers.patching import Patch
from tellwhy.patchers.spans import Spans

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

SCOPE = "tellwhy.patchers.psycopg2"

_patch = Patch()
_everywhere: Database | None = None
_connections: weakref.WeakKeyDictionary[Any, Database | None] = weakref.WeakKeyDictionary()
_some_have_their_own = False
_changed: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()  # open connections: their own factory
_classes: dict[type, type] = {}  # of psycopg2's own classes, which take no attributes
_MARK = "__tellwhy_traced__"
_STANDS_FOR = "__tellwhy_stands_for__"


class Database:
    """What does not change from statement to statement."""

    def __init__(
        self,
        options: Options,
        tracer_provider: Any = None,
        enable_commenter: bool = False,
        commenter_options: dict[str, Any] | None = None,
        enable_attribute_commenter: bool = False,
        capture_parameters: bool = False,
        **_: Any,
    ) -> None:
        self.spans = Spans(SCOPE, tracer_provider)
        self.db_forms = options.db
        self.net_forms = options.http
        self.sql = options.sql
        self.targets = Kept()
        self.known: dict[str, tuple[str | None, dict[str, Any]]] = {}
        self.commenter = None if not enable_commenter else commenter_options or {}
        self.comments_in_spans = enable_attribute_commenter
        self.capture_parameters = capture_parameters
        self.parameters = options.sql_parameters


def _load_and_run(database: Database, cursor: Any, method: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Load what makes spans, with the first statement; the next ones find it in place."""
    global _run
    try:
        database.spans.prepare()
        from tellwhy.patchers.queries import run
    except Exception as error:
        diagnostics.fault("the loading of what traces statements", error)
        return method(cursor, *args, **kwargs)
    _run = run
    return run(database, cursor, method, args, kwargs)


_run: Callable[..., Any] = _load_and_run


def _traced(name: str) -> Any:
    """Make a cursor's method that runs the one written in C."""
    method = getattr(extensions.cursor, name)

    def traced(self: Any, *args: Any, **kwargs: Any) -> Any:
        database = _connections.get(self.connection, _everywhere) if _some_have_their_own else _everywhere
        if database is None:
            return method(self, *args, **kwargs)
        return _run(database, self, method, args, kwargs)

    traced.__name__ = name
    traced.__doc__ = method.__doc__
    return traced


class _StandIn(type):
    """The class of the classes that we make: each is equal to the one that it stands in for."""

    def __eq__(cls, other: object) -> bool:
        return cls is other or (other is not None and vars(cls).get(_STANDS_FOR) is other)

    def __hash__(cls) -> int:
        stands_for = vars(cls).get(_STANDS_FOR)
        return type.__hash__(cls) if stands_for is None else hash(stands_for)


class TracedCursor(extensions.cursor):
    """The lowest cursor class that is not written in C."""

    __slots__ = ()

    execute = _traced("execute")
    executemany = _traced("executemany")
    callproc = _traced("callproc")
    copy_expert = _traced("copy_expert")
    copy_from = _traced("copy_from")
    copy_to = _traced("copy_to")


class TracedConnection(extensions.connection):
    """The lowest connection class that is not written in C."""

    __slots__ = ()

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the C method returns, of a traced class."""
        given = args[1] if len(args) > 1 else kwargs.get("cursor_factory")
        default: Any = self.cursor_factory
        factory = _traced_factory(given or default or extensions.cursor)
        if len(args) > 1:
            args = (args[0], factory, *args[2:])
        else:
            kwargs["cursor_factory"] = factory
        return _promoted(super().cursor(*args, **kwargs), TracedCursor)


def _traced_factory(factory: Any) -> Any:
    """Return a factory of traced objects in place of a class, or of a ``partial`` of one; others as they are."""
    if isinstance(factory, type):
        return _traced_class(factory)
    if type(factory) is partial and isinstance(factory.func, type):
        return partial(_traced_class(factory.func), *factory.args, **factory.keywords)
    return factory


def _traced_class(base: type) -> type:
    """Return the traced subclass of a cursor's or connection's class; the class itself where there can be none."""
    known: type | None = base.__dict__.get(_MARK) or _classes.get(base)
    if known is not None:
        return known
    lowest = TracedCursor if issubclass(base, extensions.cursor) else TracedConnection
    if issubclass(base, lowest) or not issubclass(base, (extensions.cursor, extensions.connection)):
        return base
    bases = (lowest,) if issubclass(lowest, base) else (base, lowest)
    names = {
        "__module__": base.__module__,
        "__qualname__": base.__qualname__,
        "__doc__": base.__doc__,
        _STANDS_FOR: base,
    }
    try:
        kind: Any = _StandIn if type(base) is type else type(base)
        made: type = kind(base.__name__, bases, names)
    except TypeError as error:  # a metaclass, or a class that will have no children
        diagnostics.debug(f"{base.__qualname__} cannot be traced: {error}", key=f"psycopg2:{base.__qualname__}")
        made = base
    try:
        setattr(base, _MARK, made)
    except (AttributeError, TypeError):
        _classes[base] = made
    return made


def _promoted(found: Any, lowest: type) -> Any:
    """Give what a program's own function has made its traced class, where Python allows it."""
    if not isinstance(found, lowest):
        try:
            found.__class__ = _traced_class(type(found))
        except (AttributeError, TypeError) as error:
            diagnostics.debug(f"{type(found).__qualname__} is not traced: {error}", key=f"psycopg2:{type(found)}")
    return found


def _traced_connect(original: Callable[..., Any]) -> Any:
    """Make ``psycopg2._connect``, through which every ``connect()`` goes, however it was imported."""

    def connect(dsn: Any, connection_factory: Any = None, **kwargs: Any) -> Any:
        factory = _traced_factory(connection_factory or extensions.connection)
        return _promoted(original(dsn, connection_factory=factory, **kwargs), TracedConnection)

    return connect


class Psycopg2Instrumentor(Instrumentor):
    """
    Traces statements run through psycopg2.

    ``instrument()`` takes ``tracer_provider``, ``enable_commenter``,
    ``commenter_options``, ``enable_attribute_commenter`` and ``capture_parameters``.
    """

    _supported = ("psycopg2 >= 2.9", "psycopg2-binary >= 2.9")

    def _install(self, options: Options, given: dict[str, Any]) -> None:
        global _everywhere
        import psycopg2

        if _everywhere is None:
            _patch.replace(psycopg2, "_connect", _traced_connect)
            if not is_being_imported(psycopg2):  # else nobody can have opened one
                _take_open_connections()
        _everywhere = Database(options, **given)

    def _remove(self) -> None:
        global _everywhere, _some_have_their_own
        if _everywhere is not None:
            _everywhere.spans.off()
        _everywhere = None
        _patch.undo()
        for connection in list(_changed):
            self.uninstrument_connection(connection)
        _connections.clear()
        _some_have_their_own = False

    @staticmethod
    def instrument_connection(
        connection: Any,
        tracer_provider: Any = None,
        enable_commenter: bool = False,
        commenter_options: dict[str, Any] | None = None,
        enable_attribute_commenter: bool = False,
    ) -> Any:
        """Trace one connection, with options of its own; returns it."""
        global _some_have_their_own
        _some_have_their_own = True
        _connections[connection] = Database(
            Psycopg2Instrumentor().options or Options.from_environment(),
            tracer_provider=tracer_provider,
            enable_commenter=enable_commenter,
            commenter_options=commenter_options,
            enable_attribute_commenter=enable_attribute_commenter,
        )
        _take(connection)
        return connection

    @staticmethod
    def uninstrument_connection(connection: Any) -> Any:
        """Leave one connection untraced, also where all others are traced; returns it."""
        global _some_have_their_own
        _some_have_their_own = True
        _connections[connection] = None
        if connection in _changed:
            connection.cursor_factory = _changed.pop(connection)
        return connection


def _take_open_connections() -> None:
    """Trace connections that were open before: found where the garbage collector keeps its books."""
    import gc

    connection_type = extensions.connection
    for found in gc.get_objects():
        # Its type, and not isinstance(): that would ask a proxy for its __class__, and run its code.
        if issubclass(type(found), connection_type):
            _take(found)


def _take(connection: Any) -> None:
    """Trace an open connection: all its cursors, or, of psycopg2's own class, those of its default class."""
    if isinstance(_promoted(connection, TracedConnection), TracedConnection) or connection in _changed:
        return
    _changed[connection] = connection.cursor_factory
    connection.cursor_factory = _traced_factory(connection.cursor_factory or extensions.cursor)
