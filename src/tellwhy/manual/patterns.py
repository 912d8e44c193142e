# SPDX-License-Identifier: Apache-2.0
"""
What does a pattern of the setting ``trace`` name? Modules, and functions in them.

| pattern                        | names                                                              |
|--------------------------------|--------------------------------------------------------------------|
| ``shop.pricing:quote``         | a function of a module                                             |
| ``shop.pricing.quote``         | the same                                                           |
| ``shop.billing:Invoice.total`` | a method, static or class method, or property                      |
| ``shop.billing:Invoice``       | a class: its public methods                                        |
| ``shop.billing:*``             | all public functions and classes that the module itself defines    |
| ``shop.billing.*``             | those of the module and of all modules below it                    |
| ``shop.*:handle_*``            | those of one beginning, in all modules below ``shop``              |
| ``shop.billing:*.total``       | one method of every class                                          |
"""

from __future__ import annotations


class Pattern:
    """
    One pattern, taken apart.

    Args:

        text: As it was written.

    Raises:

        ValueError: It names no function of a module.
    """

    __slots__ = ("_below", "_module", "path", "text")

    def __init__(self, text: str) -> None:
        module, colon, path = text.partition(":") if ":" in text else text.rpartition(".")
        if not module or not path or ":" in path or not _is_dotted(module) or not _is_dotted(path):
            raise ValueError("expected module:function, module:Class.method or module:*")
        self.text = text
        self.path = path
        self._module = module
        self._below = f"{module}.*" if colon == "." and path == "*" else module

    @property
    def module(self) -> str | None:
        """The one module that is meant; None if there may be several."""
        return None if "*" in self._module or self._below is not self._module else self._module

    def is_in(self, module: str) -> bool:
        """Tell whether functions of a module are meant; a star stands for any part of a name, dots included."""
        return matches(self._module, module) or matches(self._below, module)


def matches(pattern: str, name: str) -> bool:
    """Tell whether a name is what a pattern says, in which each star stands for any characters, or none."""
    first, *rest = pattern.split("*")
    if not rest:
        return name == first
    if not name.startswith(first):
        return False
    at = len(first)
    for part in rest[:-1]:
        found = name.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return len(name) - at >= len(rest[-1]) and name.endswith(rest[-1])


def _is_dotted(name: str) -> bool:
    return all(part.replace("*", "a").isidentifier() for part in name.split("."))
