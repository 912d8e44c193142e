# SPDX-License-Identifier: Apache-2.0
"""What is known about a traced function before it is called: all that no call changes."""

from __future__ import annotations

from tellwhy.manual.callables import code_attributes, short_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tellwhy.manual.options import Options


class Site:
    """
    The constant facts of one traced function.

    Made at decoration, completed by ``prepare`` at the first call that is
    traced: only then annotations can be resolved and only then it pays.
    """

    __slots__ = (
        "constants",
        "expected",
        "is_simple",
        "kind",
        "late",
        "links",
        "min_duration_ns",
        "name",
        "new_trace",
        "options",
        "prepared",
        "record_exception",
        "result",
        "start",
        "target",
        "when",
    )

    def __init__(self, target: Any, options: Options) -> None:
        self.target = target
        self.options = options
        self.name = options.name or short_name(target)
        self.kind: Any = options.kind
        self.expected = options.expected
        self.record_exception = options.record_exception
        self.new_trace = options.new_trace
        self.min_duration_ns = options.min_duration_ns
        self.result = options.result
        self.is_simple = False
        self.prepared = False
        self.constants: dict[str, Any] = {}
        self.start: Callable[..., dict[str, Any]] | None = None
        self.late: Callable[..., dict[str, Any]] | None = None
        self.links: Callable[..., Any] | None = None
        self.when: Callable[..., Any] | None = None

    def prepare(self, kind_of: Callable[[Any], Any]) -> None:
        """Compute what the traced calls need; two threads that arrive at once compute the same."""
        from tellwhy.manual import values
        from tellwhy.manual.capture import Extraction

        given = {key: value for key, value in self.options.attributes.items() if not callable(value)}
        self.constants = {**code_attributes(self.target), **values.cleaned(given)}
        extraction = Extraction(self.target, self.options, self.constants)
        self.kind = kind_of(self.kind)
        self.start = extraction.start
        self.late = extraction.late
        self.links = extraction.links
        self.when = extraction.when
        unusual = (self.late, self.links, self.when, self.result, self.min_duration_ns, self.new_trace)
        self.is_simple = not any(unusual)
        self.prepared = True

    def __reduce__(self) -> Any:
        # cloudpickle takes a function of __main__ apart: what was generated here is made anew there.
        return type(self), (self.target, self.options)
