# SPDX-License-Identifier: Apache-2.0
"""Are the same entry points found as by importlib.metadata, whatever lies on the path?"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from tellwhy import plugins

GROUPS = (
    "opentelemetry_instrumentor",
    "opentelemetry_propagator",
    "opentelemetry_traces_exporter",
    "opentelemetry_id_generator",
    "opentelemetry_resource_detector",
    "console_scripts",
    "no_such_group",
)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put a distribution with an entry_points.txt onto sys.path."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def put(name: str, content: bytes) -> None:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "entry_points.txt").write_bytes(content)
        plugins._cache.clear()

    return put


@pytest.mark.parametrize("group", GROUPS)
def test_same_as_the_standard_library(group: str) -> None:
    """Names and targets of every group are those of importlib.metadata."""
    expected = {entry.name: entry.value.partition("[")[0].strip() for entry in metadata.entry_points(group=group)}

    assert dict(plugins.entry_points(group)) == expected


def test_file_with_everything_in_it(install: Callable[..., None]) -> None:
    """Comments, blank lines, extras, other sections and odd spacing are read as they are meant."""
    install(
        "odd-1.0.dist-info",
        b"# comment\n[other]\na = no:no\n\n[our.group]\n# b = no:no\n  c=module:Class [extra]\n"
        b"d = package.module\n\xff\n[last]\ne = no\n",
    )

    assert dict(plugins.entry_points("our.group")) == {"c": "module:Class", "d": "package.module"}


def test_first_on_the_path_wins(install: Callable[..., None]) -> None:
    """Of two packages that register one name, the one that Python would import is used."""
    install("one-1.0.dist-info", b"[console_scripts]\ntellwhy = mine:main\n")

    assert plugins.entry_points("console_scripts")["tellwhy"] == "mine:main"


def test_only_some_distributions_are_looked_into(install: Callable[..., None]) -> None:
    """A hint about names restricts one answer and not the next."""
    install("opentelemetry_instrumentation_x-1.0.dist-info", b"[our.group]\nx = x:X\n")
    install("someone-1.0.egg-info", b"[our.group]\ny = y:Y\n")

    assert set(plugins.entry_points("our.group", like=("instrumentation",))) == {"x"}
    assert set(plugins.entry_points("our.group")) == {"x", "y"}
    assert plugins.is_installed("our.group", "y")
    assert not plugins.is_installed("our.group", "z")


def test_path_with_anything_on_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Files, folders that are gone and an empty entry are no problem."""
    (tmp_path / "archive.zip").write_bytes(b"PK")
    monkeypatch.setattr(sys, "path", ["", str(tmp_path / "archive.zip"), str(tmp_path / "gone"), *sys.path])

    assert "tellwhy" in plugins.entry_points("pytest11")


def test_loading() -> None:
    """A target is a module, or a path of attributes in one; errors are the import's own."""
    assert plugins.load("os.path:join").__name__ == "join"  # type: ignore[attr-defined]
    assert plugins.load("collections:OrderedDict.fromkeys")
    assert plugins.load("json") is sys.modules["json"]
    with pytest.raises(ModuleNotFoundError):
        plugins.load("no_such_module:x")
    with pytest.raises(AttributeError):
        plugins.load("json:no_such_name")
