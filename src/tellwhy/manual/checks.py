# SPDX-License-Identifier: Apache-2.0
"""Are the parameters that the options of ``@traced`` name parameters of the function?"""

from __future__ import annotations

from tellwhy.errors import DecorationError
from tellwhy.manual.callables import qualified_name
from tellwhy.manual.options import UnknownNameError
from tellwhy.manual.parameters import parameters_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tellwhy.manual.options import Options


def check_names(target: Any, options: Options) -> None:
    """Raise, at decoration, for a name in the options that no parameter of the function has."""
    asking = [value for value in options.attributes.values() if callable(value)]
    asking += [given for given in (options.links, options.when) if given is not None]
    named = options.named()
    if not (asking or named or options.exclude):
        return
    try:
        names = parameters_of(target).names()
    except (TypeError, ValueError):
        raise DecorationError(
            f"@traced on {qualified_name(target)}: it does not show its parameters, so none can be named"
        ) from None
    for keyword, wanted in (("capture", named), ("exclude", options.exclude)):
        for name in wanted:
            if name not in names:
                raise UnknownNameError(_unknown(target, f"{keyword}=", name, names))
    for given in asking:
        arguments_for(given, names, target)


def arguments_for(given: Any, names: list[str], target: Any) -> str:
    """Return, as source, the parameters of the call that a user's callable asks for by its own."""
    try:
        asked = parameters_of(given)
    except (TypeError, ValueError):
        raise DecorationError(f"{given!r} does not show its parameters: write a lambda") from None
    arguments = []
    for position, name in enumerate([*asked.positional, *asked.keyword_only]):
        if name in names:
            arguments.append(name if position < asked.positional_only else f"{name}={name}")
        elif name not in asked.defaults:
            raise UnknownNameError(_unknown(target, f"{qualified_name(given)} asks for ", name, names))
    return ", ".join(arguments)


def _unknown(target: Any, where: str, name: str, names: list[str]) -> str:
    has = ", ".join(names) or "none"
    return f"@traced on {qualified_name(target)}: {where}{name!r}: there is no such parameter, only: {has}"
