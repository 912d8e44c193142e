# SPDX-License-Identifier: Apache-2.0
"""
What was asked of the instrumentations: from the settings in force, or from the environment.

Patchers applied by tellwhy's setup follow its settings, with the stable
semantic conventions by default; the classes in a program's own code follow
the environment as OpenTelemetry's own do.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tellwhy.settings import Settings

_MAX_URL = 8192  # characters of a URL that are recorded
_SIDES = ("server_request", "server_response", "client_request", "client_response", "sanitize_fields")


class Options:
    """
    The options that several instrumentations share.

    ``http`` and ``db`` are the forms of the semantic conventions: ``(old, stable)``,
    each a bool. ``headers`` holds the captured headers by side, as regular
    expressions; ``excluded`` the excluded URLs by library and under ``""`` the
    general ones; ``excluded_paths`` those that are named as paths; ``secrets`` knows
    what is redacted; ``sql`` is ``scrubbed``, ``raw`` or ``off``, and ``sql_parameters``
    holds names and positions of parameters that are recorded.
    """

    __slots__ = (
        "all_methods",
        "db",
        "excluded",
        "excluded_paths",
        "headers",
        "http",
        "secrets",
        "sql",
        "sql_parameters",
    )

    def __init__(
        self,
        opt_in: tuple[str, ...],
        headers: Mapping[str, tuple[str, ...]],
        excluded: Mapping[str, str | None],
        sql: str,
        redact: str | None,
        excluded_paths: tuple[str, ...] = (),
        sql_parameters: tuple[str, ...] = (),
    ) -> None:
        self.http = _forms("http", opt_in)
        self.db = _forms("database", opt_in)
        self.headers = headers
        self.excluded = excluded
        self.excluded_paths = excluded_paths
        self.sql_parameters = frozenset(sql_parameters)
        self.sql = sql
        self.secrets = Secrets(redact)
        self.all_methods = bool(os.environ.get("OTEL_PYTHON_INSTRUMENTATION_HTTP_CAPTURE_ALL_METHODS"))

    @classmethod
    def of(cls, settings: Settings) -> Options:
        """Return what the settings in force say."""
        return cls(
            settings.semconv_stability_opt_in,
            {side: getattr(settings, f"instrumentation_http_capture_headers_{side}") for side in _SIDES},
            {
                "": settings.python_excluded_urls,
                "flask": settings.python_flask_excluded_urls,
                "requests": settings.python_requests_excluded_urls,
            },
            settings.sql,
            settings.redact,
            settings.excluded_paths,
            settings.sql_parameters,
        )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Options:
        """Return what the environment says, in the spelling of OpenTelemetry's own instrumentations."""
        read: Any = (os.environ if environ is None else environ).get
        capture = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_"
        return cls(
            _words(read("OTEL_SEMCONV_STABILITY_OPT_IN")),
            {side: _words(read(capture + side.upper())) for side in _SIDES},
            {
                "": read("OTEL_PYTHON_EXCLUDED_URLS"),
                "flask": read("OTEL_PYTHON_FLASK_EXCLUDED_URLS"),
                "requests": read("OTEL_PYTHON_REQUESTS_EXCLUDED_URLS"),
            },
            read("TELLWHY_SQL") or "scrubbed",
            read("TELLWHY_REDACT"),
            _paths(read("TELLWHY_EXCLUDED_PATHS")),
            _words(read("TELLWHY_SQL_PARAMETERS")),
        )

    def excluded_urls(self, library: str, given: str | None = None) -> str:
        """Return the excluded URLs of a library: those given in code, else its own, else the general ones."""
        for text in (given, self.excluded.get(library), self.excluded.get("")):
            if text is not None:
                return text
        return ""


class Secrets:
    """What of headers and URLs may be seen."""

    __slots__ = ("_redactor",)

    def __init__(self, patterns: str | None) -> None:
        from tellwhy.redaction.redactor import Redactor

        self._redactor = Redactor(patterns)

    def header(self, name: str) -> bool:
        """Tell whether a header carries a secret."""
        return self._redactor.keys.header(name)

    def header_value(self, name: str, value: str) -> str:
        """Return the value of a header, which may hold URLs and more, without its secrets."""
        return self._redactor.header(name, value)

    def url(self, url: str) -> str:
        """Return a URL without its secrets, and not without bound."""
        return self._redactor.url(url[:_MAX_URL])

    def query(self, query: str) -> str:
        """Return a query without its secrets, and not without bound."""
        return self._redactor.query(query[:_MAX_URL])


def _paths(text: str | None) -> tuple[str, ...]:
    """Return the paths that a class is to leave out that is used on its own: none, unless they are named."""
    from tellwhy.settings.grammar import Rejected
    from tellwhy.settings.privacy import Privacy

    try:
        return Privacy.excluded_paths.kind.parse(text) if text else ()
    except Rejected as error:
        return error.use[0] if error.use else ()


def _words(text: str | None) -> tuple[str, ...]:
    return tuple(word.strip() for word in (text or "").split(",") if word.strip())


def _forms(signal: str, opt_in: tuple[str, ...]) -> tuple[bool, bool]:
    """Return whether the old names are written, and whether the stable ones are."""
    if f"{signal}/dup" in opt_in:
        return True, True
    stable = signal in opt_in
    return not stable, stable
