# SPDX-License-Identifier: Apache-2.0
"""
How values are taken from a call's arguments: compiled once per function, cheap per call.

For a traced function that captures anything, small functions with the very same
parameters are generated, so that Python itself binds the arguments: defaults,
keywords and positional-only parameters come out as the function would see them,
at the price of one call. Arguments that do not fit are no concern of ours:
the user's own function then raises Python's own TypeError.
"""

from __future__ import annotations

from tellwhy import redaction
from tellwhy.manual import counts, values
from tellwhy.manual.callables import function_of, innermost
from tellwhy.manual.checks import arguments_for
from tellwhy.manual.options import SpanAttr
from tellwhy.manual.parameters import parameters_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Final

    from tellwhy.manual.options import Options
    from tellwhy.manual.parameters import Parameters

_NEVER_ALL: Final = ("self", "cls")

# What generated code calls, under names that no parameter has.
_HELPERS: Final = {
    "__tellwhy_numbers": values.NUMBERS,
    "__tellwhy_type": type,
    "__tellwhy_len": len,
    "__tellwhy_str": str,
    "__tellwhy_tuple": tuple,
    "__tellwhy_put": values.put,
    "__tellwhy_failed": counts.attribute_failed,
    "__tellwhy_exception": Exception,
}


class Extraction:
    """
    What is taken from the arguments of a call; each a generated function, None where there is nothing.

    ``start`` returns the constant attributes too, so that a call builds one mapping, not two.
    """

    __slots__ = ("late", "links", "start", "when")

    def __init__(self, target: Any, options: Options, constants: dict[str, Any]) -> None:
        self.start: Callable[..., dict[str, Any]] | None = None
        self.late: Callable[..., dict[str, Any]] | None = None
        self.links: Callable[..., Any] | None = None
        self.when: Callable[..., Any] | None = None
        try:
            parameters = parameters_of(target)
        except (TypeError, ValueError):  # a builtin that hides its signature: nothing can be taken
            return
        computed = {key: value for key, value in options.attributes.items() if callable(value)}
        self.start = _start(parameters, _captured(target, parameters, options), constants)
        self.late = _late(parameters, computed, target)
        self.links = _call(parameters, options.links, target)
        self.when = _call(parameters, options.when, target)


def _captured(target: Any, parameters: Parameters, options: Options) -> dict[str, SpanAttr]:
    if options.capture is False:
        return {}
    chosen = _marks(target, parameters)
    if options.capture == "all":
        names = [name for name in parameters.names() if name not in _NEVER_ALL]
        chosen = {name: chosen.get(name) or SpanAttr(name) for name in names}
    elif options.capture != "annotated":
        chosen = {name: SpanAttr(name) for name in options.capture} | chosen
    return {name: mark for name, mark in chosen.items() if name not in options.exclude}


def _marks(target: Any, parameters: Parameters) -> dict[str, SpanAttr]:
    """Return the ``SpanAttr`` of each parameter that has one; an annotation may be a string."""
    function = innermost(target) or function_of(target)
    if function is None:
        return {}
    marked = {}
    for name in parameters.names():
        annotation = function.__annotations__.get(name)
        if isinstance(annotation, str):
            try:
                # What typing.get_type_hints() does, but one by one: an annotation that cannot
                # be resolved (a name under TYPE_CHECKING) costs only itself.
                annotation = eval(annotation, function.__globals__)  # noqa: S307
            except Exception as error:
                where = f"{function.__module__}.{function.__qualname__}"
                counts.parameter_unresolved(where, name, error)
                continue
        mark = _mark(annotation)
        if mark is not None:
            marked[name] = mark
    return marked


def _mark(annotation: Any) -> SpanAttr | None:
    arguments = getattr(annotation, "__args__", ())
    for one in (annotation, *(arguments if isinstance(arguments, tuple) else ())):  # ``Annotated[…] | None`` too
        for mark in getattr(one, "__metadata__", ()):
            if isinstance(mark, SpanAttr):
                return mark
            if mark is SpanAttr:
                return SpanAttr()
    return None


def _start(parameters: Parameters, captured: Mapping[str, SpanAttr], constants: dict[str, Any]) -> Any:
    if not captured:
        return None
    lines = ["__tellwhy_found = __tellwhy_constants.copy()"]
    scope: dict[str, Any] = {"__tellwhy_constants": constants}
    for index, (name, mark) in enumerate(captured.items()):
        key = mark.key or name
        slot = f"__tellwhy_found[{key!r}]"
        if mark.redact or redaction.is_secret_key(key):
            lines.append(f"if {name} is not None: {slot} = {values.REDACTED!r}")
        elif name == parameters.varargs:
            lines.append(f"__tellwhy_found[{key + '.count'!r}] = __tellwhy_len({name})")
        elif name == parameters.varkeywords:
            lines.append(f"if {name}: __tellwhy_found[{key + '.keys'!r}] = __tellwhy_tuple({name})")
        elif mark.get is not None:
            scope[f"__tellwhy_get_{index}"] = _getter(mark.get)
            lines += _guarded(key, f"__tellwhy_get_{index}({name})")
        else:
            # What is plain is written out: calls would double the cost of a capture.
            lines += [
                f"__tellwhy_kind = __tellwhy_type({name})",
                f"if __tellwhy_kind in __tellwhy_numbers: {slot} = {name}",
                f"elif __tellwhy_kind is __tellwhy_str and {name}.isalnum() and __tellwhy_len({name}) < 13:"
                f" {slot} = {name}",
                f"elif {name} is not None: __tellwhy_put(__tellwhy_found, {key!r}, {name})",
            ]
    return _compile(parameters, [*lines, "return __tellwhy_found"], scope)


def _getter(get: Any) -> Any:
    if not isinstance(get, str):
        return get
    from operator import attrgetter

    return attrgetter(get)


def _late(parameters: Parameters, computed: Mapping[str, Any], target: Any) -> Any:
    if not computed:
        return None
    lines, scope = ["__tellwhy_found = {}"], {}
    for index, (key, given) in enumerate(computed.items()):
        scope[f"__tellwhy_call_{index}"] = given
        lines += _guarded(key, f"__tellwhy_call_{index}({arguments_for(given, parameters.names(), target)})")
    return _compile(parameters, [*lines, "return __tellwhy_found"], scope)


def _guarded(key: str, expression: str) -> list[str]:
    return [
        f"try: __tellwhy_put(__tellwhy_found, {key!r}, {expression})",
        f"except __tellwhy_exception as __tellwhy_error: __tellwhy_failed({key!r}, __tellwhy_error)",
    ]


def _call(parameters: Parameters, given: Any, target: Any) -> Any:
    if given is None:
        return None
    arguments = arguments_for(given, parameters.names(), target)
    return _compile(parameters, [f"return __tellwhy_call({arguments})"], {"__tellwhy_call": given})


def _compile(parameters: Parameters, lines: list[str], scope: dict[str, Any]) -> Any:
    scope |= _HELPERS
    scope |= {f"__tellwhy_default_{name}": value for name, value in parameters.defaults.items()}
    source = f"def extract({parameters.signature()}):\n  " + "\n  ".join(lines)
    exec(source, scope)  # noqa: S102 - all names in it are parameters that Python's own grammar let through
    return scope["extract"]
