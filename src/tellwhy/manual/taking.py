# SPDX-License-Identifier: Apache-2.0
"""What the program's own callables give for a span: arguments, results, links. They may fail; calls go on."""

from __future__ import annotations

from opentelemetry.trace import Link, SpanKind

from tellwhy.manual import counts, values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

_KINDS: Final = {kind.name.lower(): kind for kind in SpanKind}


def kind(given: Any) -> SpanKind:
    """Return the ``SpanKind`` for a word such as ``"client"``, or the one that was given."""
    return _KINDS[given] if type(given) is str else given


def arguments(extract: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes that are taken from a call."""
    try:
        taken: dict[str, Any] = extract(*args, **kwargs)
    except Exception:
        # Arguments that do not fit: the function itself will say so, in Python's words.
        return {}
    return taken


def allowed(site: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Tell whether ``when=`` wants a span; if it cannot tell, there is one."""
    try:
        return bool(site.when(*args, **kwargs))
    except Exception as error:
        counts.attribute_failed(f"{site.name} when", error)
        return True


def links(site: Any, args: tuple[Any, ...], kwargs: dict[str, Any], parent: Any) -> list[Link]:
    """Return the links that ``links=`` gives, and for a new trace the one to where it came from."""
    found: list[Link] = []
    if site.links is not None:
        try:
            found += site.links(*args, **kwargs) or ()
        except Exception as error:
            counts.attribute_failed(f"{site.name} links", error)
    if site.new_trace and parent is not None:
        origin = parent.get_span_context()
        if origin.is_valid:
            found.append(Link(origin))
    return found


def of_result(site: Any, result: Any) -> dict[str, Any]:
    """Return the attributes that ``result=`` makes of what a call returned."""
    try:
        shown = site.result(result)
    except Exception as error:
        counts.attribute_failed(f"{site.name} result", error)
        return {}
    return values.cleaned(shown if isinstance(shown, dict) else {"result": shown}, limit=values.MAX_TEXT)
