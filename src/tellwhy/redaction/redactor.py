# SPDX-License-Identifier: Apache-2.0
"""
What of a value may leave, given its key?

The value of a secret key goes whole; URLs, queries, headers, command lines and
free text are redacted as what they are; anything else passes at the price of one
look into a dictionary. A user's own patterns (``TELLWHY_REDACT``) add keys and
regular expressions; nothing takes away from the built-in lists.
"""

from __future__ import annotations

from tellwhy.redaction import command, headers, urls
from tellwhy.redaction.keys import Keys
from tellwhy.redaction.patterns import parse
from tellwhy.redaction.text import redact_text
from tellwhy.redaction.words import REDACTED, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Final

    Way = Callable[[str, str, Keys], str]

_MAX_KEYS: Final = 4096
_MAX_DEPTH: Final = 32  # of maps and lists; encoders cut before that, and what is deeper goes
_HEADER_PREFIXES: Final = (
    "http.request.header.",
    "http.response.header.",
    "rpc.request.metadata.",
    "rpc.response.metadata.",
    "rpc.grpc.request.metadata.",
    "rpc.grpc.response.metadata.",
)
_URLS: Final = words("url.full url.original url.path http.url http.target")
_URL_ENDS: Final = ("url", "uri", "href", "link", "endpoint", "location", "referer", "referrer", "dsn")
_QUERIES: Final = words("url.query url.fragment http.query")
_TEXTS: Final = words(
    "exception.message exception.stacktrace error.message otel.status_description message body log.message "
    "process.command_line process.command process.command_args db.response.message"
)
_STATEMENTS: Final = ("db.query.text", "db.statement")
_NOT_SQL: Final = words(
    "redis valkey memcached mongodb couchdb couchbase elasticsearch opensearch aws.dynamodb dynamodb neo4j hbase "
    "geode influxdb azure.cosmosdb cosmosdb"
)


def _secret(key: str, value: str, keys: Keys) -> str:
    del key, keys
    return REDACTED if value else value


def _url(key: str, value: str, keys: Keys) -> str:
    del key
    return urls.redact_url(value, keys)


def _query(key: str, value: str, keys: Keys) -> str:
    del key
    return urls.redact_query(value, keys)


def _header(key: str, value: str, keys: Keys) -> str:
    name = next(key[len(prefix) :] for prefix in _HEADER_PREFIXES if key.startswith(prefix))
    return headers.redact_header(name, value, keys)


def _text(key: str, value: str, keys: Keys) -> str:
    del key
    return redact_text(value, keys)


class Redactor:
    """
    The built-in lists and a user's own patterns.

    Args:

        patterns: The text of ``TELLWHY_REDACT``: key globs and ``/regex/``es
            with commas between them.
    """

    __slots__ = ("_regexes", "_ways", "has_own_regexes", "keys", "problems")

    def __init__(self, patterns: str | None = None) -> None:
        globs, self._regexes, self.problems = parse(patterns or "")
        self.keys: Final = Keys(globs)
        self.has_own_regexes: Final = bool(self._regexes)
        self._ways: dict[str, Way | None] = {}

    def is_secret_key(self, key: str) -> bool:
        """Say whether a key names a secret."""
        return self.keys.name(key)

    def is_secret(self, key: str) -> bool:
        """Say whether whatever stands under an attribute's key is a secret."""
        return self._way_of(key) is _secret

    def is_ordinary(self, key: str) -> bool:
        """Say whether nothing is known of an attribute's key: its text may be anything, mostly harmless."""
        return self._way_of(key) is None and key not in _STATEMENTS

    def url(self, url: str) -> str:
        """Return a URL without its secrets."""
        return self._own(urls.redact_url(url, self.keys), urls.REDACTED)

    def query(self, query: str) -> str:
        """Return a query string without its secrets."""
        return self._own(urls.redact_query(query, self.keys), urls.REDACTED)

    def header(self, name: str, value: str) -> str:
        """Return a header's value without its secrets."""
        return self._own(headers.redact_header(name, value, self.keys), REDACTED)

    def text(self, text: str) -> str:
        """Return free text without its secrets."""
        return self._own(redact_text(text, self.keys), REDACTED)

    def value(self, key: str, value: Any, *, text: bool = False) -> Any:
        """
        Return an attribute's value without its secrets; the same object if it has none.

        Args:

            key: The attribute's key.

            value: A string, a number, bytes, or sequences and maps of them.

            text: Whether a string of any other key is searched like free text.
        """
        way = self._way_of(key)
        if way is None:
            if text:
                way = _text
            elif not self._regexes:
                return value
        return self._apply(way, key, value, 0)

    def attributes(self, attributes: Mapping[str, Any], *, sql: bool = True) -> dict[str, Any] | None:
        """
        Return attributes without their secrets, or None if there are none.

        Args:

            attributes: A span's, an event's, a link's, a resource's or a log record's.

            sql: Whether statements are scrubbed too, as the dialect that
                ``db.system.name`` or ``db.system`` names.
        """
        changed: dict[str, Any] = {}
        value_of = self.value
        for key, value in attributes.items():
            redacted = value_of(key, value)
            if redacted is not value and redacted != value:
                changed[key] = redacted
        if sql:
            changed |= self.statements({**attributes, **changed} if changed else attributes)
        return {**attributes, **changed} if changed else None

    def statements(self, attributes: Mapping[str, Any]) -> dict[str, str]:
        """Return those statements that scrubbing changes, scrubbed as the dialect that the attributes name."""
        changed: dict[str, str] = {}
        for key in _STATEMENTS:
            text = attributes.get(key)
            if isinstance(text, str):
                scrubbed = self._statement(text, attributes)
                if scrubbed != text:
                    changed[key] = scrubbed
        return changed

    def _statement(self, text: str, attributes: Mapping[str, Any]) -> str:
        system = attributes.get("db.system.name") or attributes.get("db.system") or "other_sql"
        if system in _NOT_SQL:
            return redact_text(text, self.keys)
        from tellwhy.redaction.statements import analyze

        return analyze(text, str(system))[0]

    def _way_of(self, key: str) -> Way | None:
        try:
            return self._ways[key]
        except KeyError:
            return self._learn(key)

    def _learn(self, key: str) -> Way | None:
        way = self._way(key)
        if len(key) <= 256:
            if len(self._ways) >= _MAX_KEYS:
                self._ways.clear()
            self._ways[key] = way
        return way

    def _way(self, key: str) -> Way | None:
        if key.startswith(_HEADER_PREFIXES):
            return _header
        if key in _QUERIES:
            return _query
        if key in _URLS:
            return _url
        if key in _TEXTS:
            return _text
        if self.keys.name(key):
            return _secret
        if key.replace("_", ".").lower().rpartition(".")[2].endswith(_URL_ENDS):
            return _url
        return None

    def _apply(self, way: Way | None, key: str, value: Any, depth: int) -> Any:
        if isinstance(value, str):
            redacted = value if way is None else way(key, value, self.keys)
            return self._own(redacted, REDACTED)
        if value is None or isinstance(value, bool):
            return value  # says whether there is one, not which
        if isinstance(value, (list, tuple)):
            items = self._items(way, key, value, depth + 1)
            return value if all(map(_same, items, value)) else type(value)(items)
        if way is _secret:
            return REDACTED
        if hasattr(value, "items"):
            if depth >= _MAX_DEPTH:
                return REDACTED
            return {name: self._member(str(name), member, depth + 1) for name, member in value.items()}
        return value

    def _items(self, way: Way | None, key: str, value: Any, depth: int) -> list[Any]:
        if depth > _MAX_DEPTH:
            return [REDACTED for _ in value]
        if key == "process.command_args":
            value = command.redact_arguments([str(item) for item in value], self.keys)
        return [self._apply(way, key, item, depth) for item in value]

    def _member(self, name: str, value: Any, depth: int) -> Any:
        return self._apply(_secret if self.keys.name(name) else _text, name, value, depth)

    def _own(self, text: str, word: str) -> str:
        """Apply the user's regular expressions; where one has groups, only the first is replaced."""
        for regex in self._regexes:
            text = regex.sub(
                lambda m: (
                    word
                    if not m.re.groups or m[1] is None
                    else m[0][: m.start(1) - m.start()] + word + m[0][m.end(1) - m.start() :]
                ),
                text,
            )
        return text


def _same(left: Any, right: Any) -> bool:
    return left is right
