# SPDX-License-Identifier: Apache-2.0
"""Which pyproject.toml holds, and what becomes of one that cannot be read?"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tellwhy.settings import find_pyproject, read_pyproject


def _write(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "pyproject.toml"
    path.write_text(text)
    return path


def test_nearest_file_holds(tmp_path: Path) -> None:
    """The file in the folder, else the one above it; not both."""
    _write(tmp_path, "[tool.tellwhy]\nservice-name = 'outer'\nstrict = true\n")
    _write(tmp_path / "inner", "[tool.tellwhy]\nservice-name = 'inner'\n")
    (tmp_path / "inner" / "deep").mkdir()
    (tmp_path / "other").mkdir()

    assert read_pyproject(str(tmp_path / "inner" / "deep")) == ({"service-name": "inner"}, ())
    assert read_pyproject(str(tmp_path / "other")) == ({"service-name": "outer", "strict": True}, ())


@pytest.mark.parametrize(
    "text", ["", "[project]\nname = 'x'\n", "[tool]\ntellwhy = 3\n# tool.tellwhy\n", "tool = 3 # tool.tellwhy\n"]
)
def test_file_without_our_table(tmp_path: Path, text: str) -> None:
    """A file that says nothing to us is no problem."""
    _write(tmp_path, text)

    assert read_pyproject(str(tmp_path)) == ({}, ())


@pytest.mark.parametrize("content", [b"[tool.tellwhy", b"[tool.tellwhy]\nname = '\xff'\n"])
def test_file_that_cannot_be_read_is_said(tmp_path: Path, content: bytes) -> None:
    """Broken TOML and text that is no UTF-8 are one problem that names the file."""
    path = tmp_path / "pyproject.toml"
    path.write_bytes(content)

    table, (problem,) = read_pyproject(str(tmp_path))

    assert table == {}
    assert str(problem).startswith(f"{path} in pyproject.toml: cannot be read: ")


def test_folder_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory that was deleted has no file."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    assert find_pyproject() is None
    os.chdir(tmp_path)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60))
def test_any_file_is_read_or_said(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """No content raises."""
    folder = tmp_path_factory.mktemp("any")
    (folder / "pyproject.toml").write_bytes(b"[tool.tellwhy]\n" + content)

    table, problems = read_pyproject(str(folder))

    assert isinstance(table, dict)
    assert table == {} or problems == ()
