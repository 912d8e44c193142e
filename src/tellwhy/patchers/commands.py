# SPDX-License-Identifier: Apache-2.0
"""
What is the span of a Redis command, or of a pipeline of them?

Named by the command, a pipeline ``PIPELINE`` or, of one command only,
``PIPELINE SET``. Values never leave; of a key only its first part does, where
that is a plain word: ``GET user:*``. https://opentelemetry.io/docs/specs/semconv/database/redis/
"""

from __future__ import annotations

import re

from opentelemetry.context.context import Context
from opentelemetry.trace import Status, StatusCode
from redis.exceptions import RedisError, WatchError

from tellwhy import diagnostics
from tellwhy.engine.context import SPAN_KEY, enter, get_context, leave
from tellwhy.engine.span import Unrecorded
from tellwhy.manual.outcome import type_name
from tellwhy.patchers import live

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Final

    from tellwhy.patchers.redis import Store

_MAX_TEXT: Final = 1000  # characters
_MAX_ARGS: Final = 64  # of one command that are shown, each as "?"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_CONTAINERS: Final = _words(  # commands that have commands
    "ACL CLIENT CLUSTER COMMAND CONFIG FUNCTION LATENCY MEMORY MODULE OBJECT PUBSUB SCRIPT SENTINEL SLOWLOG "
    "XGROUP XINFO"
)
_command = re.compile(r"[A-Z][A-Z0-9_.\-]{0,31}").fullmatch
_prefix = re.compile(r"([A-Za-z][A-Za-z_.\-]{0,31}):").match

# Commands whose first argument is no key.
_KEYLESS: Final = _words(
    "AUTH HELLO ECHO PING SELECT EVAL EVALSHA EVAL_RO EVALSHA_RO FCALL FCALL_RO PUBLISH SPUBLISH SUBSCRIBE PSUBSCRIBE "
    "SSUBSCRIBE UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE SCAN KEYS MIGRATE BITOP XREAD XREADGROUP ZUNION ZINTER ZDIFF "
    "LMPOP ZMPOP BLMPOP BZMPOP SINTERCARD ZINTERCARD WAIT FLUSHALL FLUSHDB INFO"
)
_names: dict[Any, str] = {}
_MAX_NAMES: Final = 1000  # a program may make commands up


def run(store: Store, is_batch: bool, original: Any, client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Execute a command or a batch in a span, unless none is wanted."""
    span: Any = None
    token: Any = None
    try:
        span = _begin(store, is_batch, client, args, kwargs)
        if span is not None:
            token = enter(span)
    except Exception as error:
        diagnostics.fault("the tracing of a Redis command", error)
    if token is None:
        return original(client, *args, **kwargs)
    try:
        response = original(client, *args, **kwargs)
    except BaseException as error:
        _failed(span, token, error)
        raise
    _answered(store, is_batch, span, token, client, response)
    return response


async def run_async(
    store: Store, is_batch: bool, original: Any, client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Do the same where it is awaited."""
    span: Any = None
    token: Any = None
    try:
        span = _begin(store, is_batch, client, args, kwargs)
        if span is not None:
            token = enter(span)
    except Exception as error:
        diagnostics.fault("the tracing of a Redis command", error)
    if token is None:
        return await original(client, *args, **kwargs)
    try:
        response = await original(client, *args, **kwargs)
    except BaseException as error:
        _failed(span, token, error)
        raise
    _answered(store, is_batch, span, token, client, response)
    return response


def sent_to(store: Store, node: Any) -> None:
    """Write the node of a cluster that a command goes to."""
    span: Any = get_context().get(SPAN_KEY)
    attributes = getattr(span, "attributes", None) or {}
    # Where no span was wanted for the command, the current one is somebody else's.
    if "redis" in (attributes.get("db.system.name"), attributes.get("db.system")) and span.is_recording():
        for key, value in _address(store, getattr(node, "host", None), getattr(node, "port", None)):
            span.set_attribute(key, value)


def _begin(store: Store, is_batch: bool, client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    spans = store.spans
    tracer = spans.current()
    if tracer is None:
        return None
    context: Context = get_context()
    if spans.drops_roots and SPAN_KEY not in context and not store.has_hooks:
        return None  # nothing of the program runs below a command that could ask for this one's ids
    if live.is_silenced(context):
        return None
    said_of: Any
    what: Sequence[Any]
    if is_batch:
        what, said_of = _batch(client), _said_of_batch
        if not what:
            return None  # nothing will be sent
        name = _batch_name(what)
    else:
        what, said_of = args, _said_of_command
        name = _name_of(args)
    said = said_of(store, client, name, what) if spans.eager else None
    span = live.begin(spans, tracer, name, live.CLIENT, said, context)
    if span is None:
        return None
    if said is None and type(span) is not Unrecorded and span.is_recording():
        live.describe(span, name, said_of(store, client, name, what))
    if store.request_hook is not None and not is_batch:
        live.call_hook(store.request_hook, span, client, args, kwargs)
    return span


def _failed(span: Any, token: Any, error: BaseException) -> None:
    leave(token, span)
    # Somebody else changed a watched key: the outcome that optimistic locking is about.
    if not isinstance(error, WatchError):
        live.fail(span, error)
    live.end(span)


def _answered(store: Store, is_batch: bool, span: Any, token: Any, client: Any, response: Any) -> None:
    leave(token, span)
    if is_batch:
        try:
            if span.is_recording() and isinstance(response, list):
                _tell_errors(span, response)
        except Exception as error:
            diagnostics.fault("the recording of a pipeline's errors", error)
    if store.response_hook is not None:
        live.call_hook(store.response_hook, span, client, response)
    live.end(span)


def _tell_errors(span: Any, response: list[Any]) -> None:
    """Mark a pipeline whose commands failed, where its caller asked for the exceptions as results."""
    errors = [one for one in response if isinstance(one, RedisError)]
    if errors:
        span.set_status(Status(StatusCode.ERROR, f"{len(errors)} of {len(response)} commands failed"))
        span.set_attribute("error.type", type_name(type(errors[0])))


def _name_of(args: Sequence[Any]) -> str:
    """Return the name of a command, ``redis`` for what is none."""
    first = args[0] if args else ""
    try:
        return _names[first]
    except KeyError:
        name = _name(first)
        if len(_names) < _MAX_NAMES:
            _names[first] = name
        return name
    except TypeError:  # not hashable, so not a command
        return "redis"


def _name(first: Any) -> str:
    if isinstance(first, (bytes, bytearray, memoryview)):
        first = bytes(first).decode("latin-1")
    words = str(first).upper().split()
    if not words or not _command(words[0]):
        return "redis"
    if words[0] in _CONTAINERS and len(words) > 1 and _command(words[1]):
        return f"{words[0]} {words[1]}"
    return words[0]


def _batch(client: Any) -> list[Sequence[Any]]:
    """Return the arguments of each command in a pipeline; clusters keep theirs in a strategy."""
    strategy = getattr(client, "_execution_strategy", None)
    holder = client if strategy is None else strategy
    for name in ("_command_queue", "command_stack", "_command_stack"):
        queued = getattr(holder, name, None)
        if queued is not None:
            return [getattr(one, "args", None) or one[0] for one in queued]
    return []


def _batch_name(batch: list[Sequence[Any]]) -> str:
    names = {_name_of(args) for args in batch}
    return f"PIPELINE {names.pop()}" if len(names) == 1 else "PIPELINE"


def _said_of_command(store: Store, client: Any, name: str, args: Sequence[Any]) -> dict[str, Any]:
    old, stable = store.db_forms
    said = _target(store, client).copy()
    text = _line(name, args) if store.says_text else None
    if stable:
        said["db.operation.name"] = name
        if text:
            said["db.query.text"] = text
    if old:
        said["db.redis.args_length"] = len(args)
        if text:
            said["db.statement"] = text
    return said


def _said_of_batch(store: Store, client: Any, name: str, batch: Sequence[Sequence[Any]]) -> dict[str, Any]:
    old, stable = store.db_forms
    said = dict(_target(store, client))
    text = _text(batch) if store.says_text else None
    if stable:
        said["db.operation.name"] = name
        if text:
            said["db.query.text"] = text
        if len(batch) > 1:
            said["db.operation.batch.size"] = len(batch)
    if old:
        said["db.redis.pipeline_length"] = len(batch)
        if text:
            said["db.statement"] = text
    return said


def _text(batch: Sequence[Sequence[Any]]) -> str:
    """Return the commands, one per line."""
    lines, length = [], 0
    for args in batch:
        line = _line(_name_of(args), args)
        length += len(line) + 1
        lines.append(line)
        if length > _MAX_TEXT:
            return "\n".join(lines)[: _MAX_TEXT - 3] + "..."
    return "\n".join(lines)


def _line(name: str, args: Sequence[Any]) -> str:
    """Return a command with ``?`` for what is the program's to know."""
    count = len(args) - 1
    if count <= 0:
        return name
    key = "?" if name in _KEYLESS or " " in name else _key(args[1])
    if count == 1:
        return f"{name} {key}"
    line = f"{name} {key}{' ?' * min(count - 1, _MAX_ARGS)}"
    return f"{line} ..." if count > _MAX_ARGS else line


def _key(key: Any) -> str:
    """Return what may be seen of a key: ``user:*`` of ``user:1234``, else ``?``."""
    if type(key) is bytes:
        key = key[:40].decode("latin-1")
    match = _prefix(key) if isinstance(key, str) else None
    return "?" if match is None else f"{match[1]}:*"


def _target(store: Store, client: Any) -> dict[str, Any]:
    """Return what is said of every command of a client."""
    pool = getattr(client, "connection_pool", None)
    if pool is None:
        manager = getattr(client, "nodes_manager", None)
        node = getattr(manager, "default_node", None)
        return _look_at(store, {"host": getattr(node, "host", None), "port": getattr(node, "port", None)})
    entry = store.targets.get(id(pool))
    if entry is not None and entry[0]() is pool:
        known: dict[str, Any] = entry[1]
        return known
    looked: dict[str, Any] = store.targets.keep(pool, _look_at(store, pool.connection_kwargs))
    return looked


def _look_at(store: Store, connection: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {}
    old, stable = store.db_forms
    index = connection.get("db") or 0
    if stable:
        said["db.system.name"] = "redis"
        said["db.namespace"] = str(index)
    if old:
        said["db.system"] = "redis"
        said["db.redis.database_index"] = int(index)
    path = connection.get("path")
    old_net, stable_net = store.net_forms
    if stable_net:
        said["network.transport"] = "unix" if path else "tcp"
    if old_net:
        said["net.transport"] = "other" if path else "ip_tcp"
    if path:
        said.update(_address(store, path, None))
    else:
        said.update(_address(store, connection.get("host", "localhost"), connection.get("port", 6379)))
    return said


def _address(store: Store, host: Any, port: Any) -> list[tuple[str, Any]]:
    old, stable = store.net_forms
    found: list[tuple[str, Any]] = []
    for is_wanted, host_key, port_key in (
        (stable, "server.address", "server.port"),
        (old, "net.peer.name", "net.peer.port"),
    ):
        if is_wanted and host:
            found.append((host_key, host))
        if is_wanted and port:
            found.append((port_key, int(port)))
    return found
