# SPDX-License-Identifier: Apache-2.0
"""
Which headers become attributes, and with what value?

Those that ``OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_*`` name, by name or
regular expression in any case. The value of a header that carries a credential
is replaced whatever the settings say.
https://opentelemetry.io/docs/specs/semconv/registry/attributes/http/
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Final

    from tellwhy.patchers.options import Options

_REDACTED: Final = "[REDACTED]"
_MAX_NAMES: Final = 1000  # names come from callers, so what is known about them is bounded


class Headers:
    """
    The headers of one side (``server_request`` …) that are recorded.

    Args:

        options: Which headers, and which of them are replaced.

        side: ``server_request``, ``server_response``, ``client_request`` or ``client_response``.
    """

    __slots__ = ("_forms", "_keys", "_prefix", "_sanitized", "_secret", "_shown", "_wanted")

    def __init__(self, options: Options, side: str) -> None:
        self._wanted = _pattern(options.headers[side])
        self._sanitized = _pattern(options.headers["sanitize_fields"])
        self._secret = options.secrets.header
        self._shown = options.secrets.header_value
        self._prefix = f"http.{side.partition('_')[2]}.header."
        self._forms = options.http
        self._keys: dict[str, tuple[tuple[str, ...], bool]] = {}

    def __bool__(self) -> bool:
        return self._wanted is not None

    def put(self, headers: Iterable[tuple[Any, Any]], attributes: dict[str, Any]) -> None:
        """Add what is recorded of name and value pairs; of a repeated header the values, joined by commas."""
        found: dict[str, str] = {}
        for name, value in headers:
            name, value = _text(name).lower(), _text(value)
            found[name] = f"{found[name]},{value}" if name in found else value
        for name, value in found.items():
            keys, secret = self._keys.get(name) or self._look_at(name)
            for key in keys:
                attributes[key] = (_REDACTED if secret else self._shown(name, value),)

    def _look_at(self, name: str) -> tuple[tuple[str, ...], bool]:
        """Decide once per name: the attributes it becomes, if any, and whether its value is secret."""
        keys: tuple[str, ...] = ()
        if self._wanted is not None and self._wanted.fullmatch(name):
            old, stable = self._forms
            underscored = self._prefix + name.replace("-", "_")
            keys = tuple(dict.fromkeys((underscored,) * old + (self._prefix + name,) * stable))
        sanitized = self._sanitized is not None and self._sanitized.search(name) is not None
        known = keys, sanitized or self._secret(name)
        if len(self._keys) < _MAX_NAMES:
            self._keys[name] = known
        return known


def _pattern(names: tuple[str, ...]) -> Any:
    if not names:
        return None
    import re

    try:
        return re.compile("|".join(names), re.IGNORECASE)
    except re.error:
        from tellwhy import diagnostics

        diagnostics.warn(f"captured headers {','.join(names)!r}: not a regular expression; taken as plain names")
        return re.compile("|".join(map(re.escape, names)), re.IGNORECASE)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
