# SPDX-License-Identifier: Apache-2.0
"""How one function becomes traced: its twin looks, pickles and is inspected like the function itself."""

from __future__ import annotations

import functools

from tellwhy import diagnostics
from tellwhy.errors import DecorationError
from tellwhy.manual import counts
from tellwhy.manual.callables import GENERATOR, flags_of, qualified_name
from tellwhy.manual.calls import is_wrapper, wrapper_of
from tellwhy.manual.checks import check_names
from tellwhy.manual.site import Site

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from tellwhy.manual.options import Options

UNTRACED: Final = "__tellwhy_untraced__"


def decorate_function(target: Any, options: Options) -> Any:
    """Return the traced twin of a callable that is no descriptor."""
    if is_wrapper(target):
        diagnostics.warn(f"{qualified_name(target)} is traced twice: the inner @traced counts")
        return target
    check_names(target, options)
    if _is_context_manager(target):
        diagnostics.warn(
            f"@traced above @contextmanager times only the making of {qualified_name(target)}: write it below"
        )
    wrapper = wrapper_of(target, Site(target, options))
    wrapper.__name__ = qualified_name(target).rpartition(".")[2]
    wrapper.__qualname__ = qualified_name(target)
    functools.update_wrapper(wrapper, target)
    _keep_methods(wrapper, target)
    counts.function_decorated()
    return wrapper


def mark_untraced(target: Any) -> Any:
    """Mark what a traced class is to leave alone."""
    inner = getattr(target, "__func__", target)
    try:
        setattr(inner, UNTRACED, True)
    except (AttributeError, TypeError):
        raise DecorationError(f"@untraced: {target!r} takes no mark; put it on a function") from None
    return target


def _is_context_manager(target: Any) -> bool:
    code = getattr(target, "__code__", None)
    inner = getattr(target, "__wrapped__", None)
    return (
        code is not None
        and inner is not None
        and code.co_filename == functools.__file__.replace("functools", "contextlib")
        and bool(flags_of(inner) & GENERATOR)
    )


def _keep_methods(wrapper: Any, target: Any) -> None:
    """Hand on what a callable that is no function offers beside its call, such as ``cache_clear``."""
    for kind in type(target).__mro__ if not hasattr(target, "__code__") else ():
        for name, value in vars(kind).items():
            if not name.startswith("_") and callable(value) and not hasattr(wrapper, name):
                setattr(wrapper, name, getattr(target, name))
