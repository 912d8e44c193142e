# SPDX-License-Identifier: Apache-2.0
"""
Which entry points are installed, found in milliseconds.

``importlib.metadata`` costs 40 ms to import and parses the metadata of every
distribution; here only the ``entry_points.txt`` files that mention the group
are read. Loading the object itself is left to the standard library.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_cache: dict[tuple[str, tuple[str, ...], tuple[str, ...]], Mapping[str, str]] = {}


def entry_points(group: str, like: tuple[str, ...] = ()) -> Mapping[str, str]:
    """
    Return ``name -> "module:attribute"`` of a group; of two packages the first on sys.path wins.

    Args:

        group: The entry point group.

        like: Look only into distributions whose name contains one of these words.
    """
    key = (group, like, tuple(sys.path))
    if key not in _cache:
        found: dict[str, str] = {}
        for path in _entry_point_files(like):
            for name, target in _section(path, group):
                found.setdefault(name, target)
        _cache[key] = found
    return _cache[key]


def is_installed(group: str, name: str) -> bool:
    """Tell whether an installed package registers this name under this group."""
    return name in entry_points(group)


def load(target: str) -> object:
    """Import what an entry point names (``module:attribute.path``); errors pass through."""
    from importlib import import_module

    module_name, _, attributes = target.partition(":")
    found: object = import_module(module_name)
    for attribute in filter(None, attributes.split(".")):
        found = getattr(found, attribute)
    return found


def _entry_point_files(like: tuple[str, ...]) -> Iterator[str]:
    for folder in dict.fromkeys(path or os.curdir for path in sys.path):
        try:
            names = os.listdir(folder)
        except OSError:  # a zip file, a folder that is gone: nothing is installed there
            continue
        for name in names:
            if not name.endswith((".dist-info", ".egg-info")):
                continue
            if not like or any(word in name for word in like):
                yield os.path.join(folder, name, "entry_points.txt")


def _section(path: str, group: str) -> Iterator[tuple[str, str]]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            content = file.read()
    except OSError:
        return
    header = f"[{group}]"
    if header not in content:
        return
    inside = False
    for line in content.splitlines():
        line = line.strip()
        if line.startswith("["):
            inside = line == header
        elif inside and "=" in line and not line.startswith("#"):
            name, _, target = line.partition("=")
            yield name.strip(), target.partition("[")[0].strip()
