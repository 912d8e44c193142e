# SPDX-License-Identifier: Apache-2.0
"""
Which functions are traced without a line in them? Those that the configuration names.

``trace = ["shop.pricing:quote", "shop.billing:Invoice.total", "shop.orders:*", "shop.billing.*"]``:
a module, a colon and the function or method; ``*`` stands for all public
functions and classes that the module itself defines. Without a colon the part
behind the last dot is the function. The setup calls ``trace_module`` when a
module that ``module_names`` gives has been imported.
"""

from __future__ import annotations

from types import FunctionType

from tellwhy import diagnostics
from tellwhy.manual.callables import function_of
from tellwhy.manual.calls import is_wrapper
from tellwhy.manual.decorate import decorate
from tellwhy.manual.functions import UNTRACED
from tellwhy.manual.options import Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType
    from typing import Any


def module_names(patterns: Iterable[str]) -> list[str]:
    """Return the modules that patterns name, each once."""
    return list(dict.fromkeys(_split(pattern)[0] for pattern in patterns))


def trace_module(module: ModuleType, patterns: Iterable[str]) -> list[str]:
    """
    Trace what the patterns name in an imported module.

    Returns:

        The names that are traced now. What is not there, or cannot be traced,
        is warned about and left as it is.
    """
    traced: list[str] = []
    for pattern in patterns:
        name, wanted = _split(pattern)
        if name != module.__name__:
            continue
        for path in _all_of(module) if wanted == "*" else [wanted]:
            try:
                if _trace(module, path):
                    traced.append(path)
            except Exception as error:
                diagnostics.warn(f"trace: {pattern}: {type(error).__name__}: {error}; not traced")
    return traced


def _split(pattern: str) -> tuple[str, str]:
    name, _, wanted = pattern.partition(":") if ":" in pattern else pattern.rpartition(".")
    return name, wanted


def _all_of(module: ModuleType) -> list[str]:
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and isinstance(value, (FunctionType, type)) and value.__module__ == module.__name__
    ]


def _trace(module: ModuleType, path: str) -> bool:
    owner: Any = module
    *owners, name = path.split(".")
    for one in owners:
        owner = getattr(owner, one)
    target = vars(owner)[name] if isinstance(owner, type) else getattr(owner, name)
    if is_wrapper(function_of(target)) or hasattr(target, UNTRACED):
        return False
    replaced = decorate(target, Options())
    if replaced is not target:
        setattr(owner, name, replaced)
    return True
