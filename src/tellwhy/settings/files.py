# SPDX-License-Identifier: Apache-2.0
"""What the project's own file says: the ``[tool.tellwhy]`` table of the nearest pyproject.toml."""

from __future__ import annotations

import os
import sys

from tellwhy.settings.setting import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_MARK = b"tool.tellwhy"


def read_pyproject(folder: str | None = None) -> tuple[Mapping[str, object], tuple[Problem, ...]]:
    """
    Return the ``[tool.tellwhy]`` table that holds in a folder, and what is wrong with its file.

    Args:

        folder: Where to look first, the working directory by default; then its parents.
    """
    path = find_pyproject(folder)
    if path is None:
        return {}, ()
    try:
        with open(path, "rb") as file:
            content = file.read()
        # Most programs have no such table: do not pay for the parser then.
        if _MARK not in content:
            return {}, ()
        document = _parse(content.decode("utf-8"))
    except (OSError, ValueError) as error:
        return {}, (Problem(path, None, f"cannot be read: {error}", "ignored", origin="pyproject.toml"),)
    tool = document.get("tool")
    table = tool.get("tellwhy") if isinstance(tool, dict) else None
    return (table, ()) if isinstance(table, dict) else ({}, ())


def find_pyproject(folder: str | None = None) -> str | None:
    """Return the path of the nearest pyproject.toml in the folder or above it, or None."""
    try:
        folder = os.path.abspath(folder or os.getcwd())
    except OSError:  # the working directory was deleted
        return None
    while True:
        path = os.path.join(folder, "pyproject.toml")
        if os.path.isfile(path):
            return path
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent


def _parse(text: str) -> dict[str, object]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib  # pyright: ignore[reportMissingImports]  # installed on Python 3.10 only
    document: dict[str, object] = tomllib.loads(text)
    return document
