# SPDX-License-Identifier: Apache-2.0
"""Does every module import only from lower layers, and is there no cycle? Read from the syntax, nothing is run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import tellwhy

ROOT = Path(tellwhy.__file__).parent

# docs/explanation/architecture.md; a room imports from itself and from the lines above its own.
LAYERS = [
    {"_version", "plugins", "project"},
    {"errors", "settings", "diagnostics"},
    {"imports"},
    {"resource", "engine", "redaction"},
    {"sampling", "delivery", "propagation"},
    {"logs", "metrics", "manual"},
    {"patchers"},
    {"setup"},
    {"face", "bootstrap", "testing"},
    {"auto", "cli"},
    {"__main__"},
]
# Islands: they know the rest by OTLP only, and by the public face as any user does.
ISLANDS = {"viewer": {"viewer"}, "demo": {"demo", "viewer"}}
RANKS = {room: rank for rank, rooms in enumerate(LAYERS) for room in rooms}


@cache
def _modules() -> dict[str, ast.Module]:
    """Every module of the package by its dotted name."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        if path.parent == ROOT / "bootstrap" / "path":
            continue  # a folder that is on sys.path for a moment, not a package
        parts = ("tellwhy", *path.relative_to(ROOT).with_suffix("").parts)
        found[".".join(parts).removesuffix(".__init__")] = ast.parse(path.read_text())
    return found


def _room(module: str) -> str:
    """The part of the house that a module is in: ``settings`` for ``tellwhy.settings.load``."""
    return module.split(".")[1] if "." in module else ""


def _statements(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Every import that is ever executed, in functions too; not those for type checkers."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for other in node.orelse:
                yield from _statements(ast.Module([other], []))
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
        else:
            yield from _statements(node)


@cache
def _imports(module: str) -> frozenset[str]:
    """The modules of ours that a module imports."""
    found = set()
    for node in _statements(_modules()[module]):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            assert node.level == 0, f"{module}: imports are absolute"
            names = [
                full if (full := f"{node.module}.{alias.name}") in _modules() else str(node.module)
                for alias in node.names
            ]
        found |= {name for name in names if name == "tellwhy" or name.startswith("tellwhy.")}
    return frozenset(found)


def test_every_room_has_its_layer() -> None:
    """No room is forgotten here when one is built."""
    rooms = {_room(module) for module in _modules()} - {""}

    assert rooms - set(RANKS) - set(ISLANDS) == set()


@pytest.mark.parametrize("module", sorted(_modules()))
def test_imports_only_from_lower_layers(module: str) -> None:
    """Nothing reads back up; islands import themselves and the face."""
    room = _room(module)
    if room in ISLANDS:
        allowed = {name for name in _imports(module) if name == "tellwhy" or _room(name) in ISLANDS[room]}
    elif room == "":
        allowed = {name for name in _imports(module) if name == "tellwhy._version"}
    else:
        allowed = {name for name in _imports(module) if _room(name) == room or _is_below(_room(name), room)}

    assert sorted(_imports(module) - allowed) == []


def _is_below(other: str, room: str) -> bool:
    if other in ISLANDS:
        return room == "cli"  # its commands start them
    return other in RANKS and RANKS[other] < RANKS[room]


def test_there_is_no_cycle() -> None:
    """Zero cycles of modules, function-level imports included."""
    cycles = []
    done: set[str] = set()

    def visit(module: str, way: tuple[str, ...]) -> None:
        if module in way:
            cycles.append(" -> ".join((*way[way.index(module) :], module)))
        elif module not in done:
            for other in sorted(_imports(module)):
                if other in _modules():
                    visit(other, (*way, module))
            done.add(module)

    for module in _modules():
        visit(module, ())

    assert cycles == []


def test_the_law_can_fail() -> None:
    """The reader of imports sees what it must: functions, aliases, submodules; not the type checker's."""
    source = (
        "if TYPE_CHECKING:\n    import tellwhy.cli\nelse:\n    import tellwhy.face\n"
        "def f():\n    if x:\n        from tellwhy.setup import tracing as t\n"
        "try:\n    from tellwhy import diagnostics\nexcept ImportError: pass\n"
    )

    names = [ast.unparse(node) for node in _statements(ast.parse(source))]

    assert names == ["import tellwhy.face", "from tellwhy.setup import tracing as t", "from tellwhy import diagnostics"]
