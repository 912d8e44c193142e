# SPDX-License-Identifier: Apache-2.0
"""
How is redis-py traced? At the methods through which every command goes: of clients, pipelines, pub/sub, clusters.

Methods of the classes are replaced, blocking and asyncio ones, so clients that
exist already are traced too. Takes the hooks of ``opentelemetry.instrumentation.redis``.
"""

from __future__ import annotations

import sys
import weakref

from tellwhy import diagnostics
from tellwhy.patchers.instrumentor import Instrumentor
from tellwhy.patchers.kept import Kept
from tellwhy.patchers.options import Options
from tellwhy.patchers.patching import Patch
from tellwhy.patchers.spans import Spans

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

SCOPE = "tellwhy.patchers.redis"

# Module, class, method: a command of its own, or a batch of them.
_COMMANDS: Final = (
    ("redis.client", "Redis", "execute_command"),
    ("redis.client", "Pipeline", "immediate_execute_command"),
    ("redis.client", "PubSub", "execute_command"),
    ("redis.cluster", "RedisCluster", "execute_command"),
)
_BATCHES: Final = (("redis.client", "Pipeline", "execute"), ("redis.cluster", "ClusterPipeline", "execute"))
_NODES: Final = (("redis.cluster", "RedisCluster", "_execute_command"),)

_patch = Patch()
_everywhere: Store | None = None
_clients: weakref.WeakKeyDictionary[Any, Store | None] = weakref.WeakKeyDictionary()
_some_have_their_own = False


class Store:
    """What does not change from command to command."""

    def __init__(
        self,
        options: Options,
        request_hook: Any = None,
        response_hook: Any = None,
        tracer_provider: Any = None,
        **_: Any,
    ) -> None:
        self.spans = Spans(SCOPE, tracer_provider)
        self.db_forms = options.db
        self.net_forms = options.http
        self.says_text = options.sql != "off"
        self.request_hook = request_hook if callable(request_hook) else None
        self.response_hook = response_hook if callable(response_hook) else None
        self.has_hooks = self.request_hook is not None or self.response_hook is not None
        self.targets = Kept()


def _load_and_run(
    store: Store, is_batch: bool, original: Any, client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Load what makes spans, with the first command; the next ones find it in place."""
    if not _load(store):
        return original(client, *args, **kwargs)
    return _run(store, is_batch, original, client, args, kwargs)


async def _load_and_run_async(
    store: Store, is_batch: bool, original: Any, client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Do the same where it is awaited."""
    if not _load(store):
        return await original(client, *args, **kwargs)
    return await _run_async(store, is_batch, original, client, args, kwargs)


_run: Callable[..., Any] = _load_and_run
_run_async: Callable[..., Any] = _load_and_run_async


def _load(store: Store) -> bool:
    global _run, _run_async
    try:
        store.spans.prepare()
        from tellwhy.patchers.commands import run, run_async
    except Exception as error:
        diagnostics.fault("the loading of what traces commands", error)
        return False
    _run, _run_async = run, run_async
    return True


class RedisInstrumentor(Instrumentor):
    """
    Traces the commands of redis-py's clients, blocking and asyncio.

    ``instrument()`` takes ``request_hook(span, client, args, kwargs)``,
    ``response_hook(span, client, response)`` and ``tracer_provider``.
    """

    _supported = ("redis >= 5.0",)

    def _install(self, options: Options, given: dict[str, Any]) -> None:
        global _everywhere
        _replace_methods()
        _everywhere = Store(options, **given)

    def _remove(self) -> None:
        global _everywhere, _some_have_their_own
        for store in (_everywhere, *_clients.values()):
            if store is not None:
                store.spans.off()
        _everywhere = None
        _clients.clear()
        _some_have_their_own = False
        _patch.undo()

    @staticmethod
    def instrument_client(
        client: Any, tracer_provider: Any = None, request_hook: Any = None, response_hook: Any = None
    ) -> None:
        """Trace one client and its pipelines, whether or not the others are traced, with hooks of its own."""
        global _some_have_their_own
        _replace_methods()
        _some_have_their_own = True
        _clients[_identity(client)] = Store(
            RedisInstrumentor().options or Options.from_environment(),
            request_hook=request_hook,
            response_hook=response_hook,
            tracer_provider=tracer_provider,
        )

    @staticmethod
    def uninstrument_client(client: Any) -> None:
        """Leave one client and its pipelines untraced, also where all others are traced."""
        global _some_have_their_own
        _some_have_their_own = True
        _clients[_identity(client)] = None


def _identity(client: Any) -> Any:
    """Return what a client and its pipelines have in common, of which a weak reference can be made."""
    common = getattr(client, "connection_pool", None) or getattr(client, "nodes_manager", None)
    if common is not None and type(common).__weakrefoffset__:
        return common
    return getattr(client, "cluster_client", client)  # of an asyncio cluster's pipeline


def _store_of(client: Any) -> Store | None:
    if not _some_have_their_own:
        return _everywhere
    try:
        return _clients.get(_identity(client), _everywhere)
    except TypeError:  # no weak reference can be made to it: then nobody has given it options of its own
        return _everywhere


def _replace_methods() -> None:
    if _patch:
        return
    import redis  # noqa: F401

    for rows, is_batch in ((_COMMANDS, False), (_BATCHES, True)):
        for module, owner, method in rows:
            _replace(module, owner, method, _traced(is_batch))
            _replace(module.replace("redis.", "redis.asyncio."), owner, method, _traced_async(is_batch))
    for module, owner, method in _NODES:
        _replace(module, owner, method, _told_node)
        _replace(module.replace("redis.", "redis.asyncio."), owner, method, _told_node)


def _replace(module: str, owner: str, method: str, make: Any) -> None:
    """Replace a method, of what this version of redis-py has."""
    found = getattr(sys.modules.get(module), owner, None)
    if found is not None:
        _patch.replace(found, method, make)


def _traced(is_batch: bool) -> Any:
    def make(original: Any) -> Any:
        def traced(self: Any, *args: Any, **kwargs: Any) -> Any:
            store = _store_of(self)
            if store is None:
                return original(self, *args, **kwargs)
            return _run(store, is_batch, original, self, args, kwargs)

        return traced

    return make


def _traced_async(is_batch: bool) -> Any:
    def make(original: Any) -> Any:
        async def traced(self: Any, *args: Any, **kwargs: Any) -> Any:
            store = _store_of(self)
            if store is None:
                return await original(self, *args, **kwargs)
            return await _run_async(store, is_batch, original, self, args, kwargs)

        return traced

    return make


def _told_node(original: Any) -> Any:
    """Make a cluster's ``_execute_command``: the node that a command goes to is known."""

    def execute(self: Any, target_node: Any, *args: Any, **kwargs: Any) -> Any:
        store = _store_of(self)
        if store is not None:
            try:
                from tellwhy.patchers.commands import sent_to

                sent_to(store, target_node)
            except Exception as error:
                diagnostics.fault("the recording of a cluster's node", error)
        return original(self, target_node, *args, **kwargs)

    return execute
