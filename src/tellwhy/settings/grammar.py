# SPDX-License-Identifier: Apache-2.0
"""
How the text of a setting becomes a value: one kind per type, with the specification's grammar.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
and ``common.md`` beside it: only a case-insensitive ``true`` is true, empty is
unset, durations are whole milliseconds, enumerations ignore case.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, Generic, TypeVar

    T = TypeVar("T")
else:
    # `import typing` costs more than everything else on the start-up path together.
    T = None

    class Generic:
        def __class_getitem__(cls, _: object) -> type:
            return cls


class Rejected(Exception):
    """
    A text is not of its kind.

    Args:

        expected: What would have been right, in words: "a number from 0 to 1".

        use: What is taken in its place; without it, the value that would hold
            without this one.
    """

    def __init__(self, expected: str, *, use: tuple[Any, str] | None = None) -> None:
        super().__init__(expected)
        self.expected = expected
        self.use = use


class Kind(Generic[T]):
    """One grammar. ``parse`` takes text, ``accept`` what a keyword or a pyproject key may hold."""

    __slots__ = ()
    expected = "text"

    def parse(self, text: str) -> T:
        """Return the value of a text, or raise Rejected."""
        raise NotImplementedError

    def accept(self, value: Any) -> T:
        """Return the value of a Python object, or raise Rejected."""
        if isinstance(value, str):
            return self.parse(value)
        return self.parse(str(value))

    def choices(self) -> tuple[str, ...]:
        """Return the words that this kind knows, if it is an enumeration."""
        return ()


class Text(Kind[str]):
    """Any text, without the blanks around it."""

    __slots__ = ()

    def parse(self, text: str) -> str:
        return text.strip()


class Boolean(Kind[bool]):
    """``true`` in any case is true; any other word is false, and said unless it is ``false``."""

    __slots__ = ()
    expected = "true or false"

    def parse(self, text: str) -> bool:
        word = text.strip().lower()
        if word not in ("true", "false"):
            raise Rejected(self.expected, use=(False, "false"))
        return word == "true"

    def accept(self, value: Any) -> bool:
        if isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self.parse(value)
        raise Rejected(self.expected)


class Integer(Kind[int]):
    """A whole number within bounds."""

    __slots__ = ("expected", "maximum", "minimum")

    def __init__(self, expected: str, minimum: int = 0, maximum: int = 2**31 - 1) -> None:
        self.expected = expected
        self.minimum = minimum
        self.maximum = maximum

    def parse(self, text: str) -> int:
        try:
            number = int(text.strip())
        except ValueError:
            raise Rejected(self.expected) from None
        return self.accept(number)

    def accept(self, value: Any) -> int:
        if isinstance(value, str):
            return self.parse(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise Rejected(self.expected)
        if not self.minimum <= value <= self.maximum:
            raise Rejected(self.expected)
        return value


SAFE_RATIO = 0.01


class Ratio(Kind[float]):
    """
    A sampling ratio from 0 to 1.

    The specification ignores a bad one, which turns a mistyped 10 % into 100 %
    of the traffic of a thousand services. Here a percentage is taken for what
    it says, and anything else for 1 %: enough to see that tracing works, too
    little to hurt while it is wrong.
    """

    __slots__ = ()
    expected = "a number from 0 to 1"

    def parse(self, text: str) -> float:
        text = text.strip()
        number = _number(text)
        if number is not None and 0.0 <= number <= 1.0:
            return number
        percent = _number(text[:-1]) if text.endswith("%") else None
        if percent is not None and 0.0 <= percent <= 100.0:
            raise Rejected(self.expected, use=(percent / 100, f"{percent / 100:g}"))
        raise Rejected(self.expected, use=(SAFE_RATIO, f"{SAFE_RATIO:g} to be safe"))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


class Choice(Kind[str]):
    """One word of several, in any case."""

    __slots__ = ("expected", "words")

    def __init__(self, *words: str) -> None:
        self.words = words
        self.expected = _one_of(words)

    def parse(self, text: str) -> str:
        word = text.strip().lower()
        if word in self.words:
            return word
        raise Rejected(self.expected + did_you_mean(word, self.words))

    def choices(self) -> tuple[str, ...]:
        return self.words


class Words(Kind["tuple[str, ...]"]):
    """
    A comma-separated list of words, of any or of known ones.

    One unknown word does not spoil the others: they hold without it.

    Args:

        words: The known ones; none means that any word is right.

        group: Names that an installed package registers under this entry point
            group are known too.

        packages: What to install for a word that is not known here.
    """

    __slots__ = ("expected", "group", "packages", "words")

    def __init__(self, *words: str, group: str = "", packages: Mapping[str, str] | None = None) -> None:
        self.words = words
        self.group = group
        self.packages = packages or {}
        self.expected = f"a comma-separated list of {', '.join(words)}" if words else "a comma-separated list"

    def parse(self, text: str) -> tuple[str, ...]:
        return self._checked([word.strip() for word in text.split(",")])

    def accept(self, value: Any) -> tuple[str, ...]:
        if isinstance(value, str):
            return self.parse(value)
        if not isinstance(value, (list, tuple, set, frozenset)):
            raise Rejected(self.expected)
        return self._checked([str(word).strip() for word in value])

    def _checked(self, words: list[str]) -> tuple[str, ...]:
        found = tuple(dict.fromkeys(word.lower() if self.words else word for word in words if word))
        good = tuple(word for word in found if self._knows(word))
        if good != found:
            bad = next(word for word in found if word not in good)
            package = self.packages.get(bad)
            hint = f" ({bad} needs pip install {package})" if package else did_you_mean(bad, self.words)
            rest = (good, ",".join(good)) if good else None
            raise Rejected(self.expected + hint, use=rest)
        return good

    def _knows(self, word: str) -> bool:
        if not self.words or word in self.words:
            return True
        if not self.group:
            return False
        from tellwhy.plugins import is_installed

        return is_installed(self.group, word)

    def choices(self) -> tuple[str, ...]:
        return self.words


class Named(Kind[str]):
    """One word of several, or the name of an entry point that an installed package registers."""

    __slots__ = ("list",)

    def __init__(self, *words: str, group: str) -> None:
        self.list = Words(*words, group=group)

    @property
    def expected(self) -> str:  # type: ignore[override]  # an attribute elsewhere
        return _one_of(self.list.words)

    def parse(self, text: str) -> str:
        word = text.strip().lower()
        if not self.list._knows(word):
            raise Rejected(self.expected + did_you_mean(word, self.list.words))
        return word

    def choices(self) -> tuple[str, ...]:
        return self.list.words


class Pairs(Kind["Mapping[str, str]"]):
    """``key=value,key2=value2``, keys and values percent-decoded, as in W3C Baggage."""

    __slots__ = ()
    expected = "key=value pairs separated by commas"

    def parse(self, text: str) -> Mapping[str, str]:
        pairs: dict[str, str] = {}
        bad = False
        for item in text.split(","):
            key, equals, value = item.partition("=")
            key = _decoded(key.strip())
            if key and equals:
                pairs[key] = _decoded(value.strip())
            elif item.strip():
                bad = True
        if bad:
            use = (pairs, "the well-formed pairs") if pairs else None
            raise Rejected(self.expected, use=use)
        return pairs

    def accept(self, value: Any) -> Mapping[str, str]:
        if isinstance(value, str):
            return self.parse(value)
        if not hasattr(value, "items"):
            raise Rejected(self.expected)
        return {str(key): str(item) for key, item in value.items()}


class Checked(Words):
    """
    A comma-separated list of words, each of which is looked at.

    Args:

        expected: What would have been right, in words.

        is_right: Tells whether a word is.

        aliases: What a word stands for, if it stands for others; a word for none makes an empty list.

        safe: What holds when no word is right; without it, the default.
    """

    __slots__ = ("aliases", "is_right", "safe")

    def __init__(
        self,
        expected: str,
        is_right: Callable[[str], bool],
        aliases: Mapping[str, tuple[str, ...]] | None = None,
        safe: str = "",
    ) -> None:
        super().__init__()
        self.expected = expected
        self.is_right = is_right
        self.aliases = aliases or {}
        self.safe = safe

    def _checked(self, words: list[str]) -> tuple[str, ...]:
        given = [one for word in words for one in self.aliases.get(word.lower(), (word,)) if one]
        good = tuple(dict.fromkeys(word for word in given if self.is_right(word)))
        if len(good) < len(set(given)):
            kept = good or ((self.safe,) if self.safe else ())
            raise Rejected(self.expected, use=(kept, ",".join(kept)) if kept else None)
        return good


def is_path_glob(word: str) -> bool:
    """Tell whether a word is a pattern of whole paths: ``/healthz``, ``/internal/*``, ``*/ping``."""
    return word[:1] in ("/", "*")


def is_trust_rule(word: str) -> bool:
    """Tell whether a word is a rule for whom to believe."""
    if word in ("always", "never"):
        return True
    if word.startswith("header:"):
        return bool(word[7:].partition("=")[0].strip())
    from ipaddress import ip_network

    try:
        ip_network(word, strict=False)
    except ValueError:
        return False
    return True


def _decoded(text: str) -> str:
    if "%" not in text:
        return text
    from urllib.parse import unquote

    return unquote(text)


def _one_of(words: Iterable[str]) -> str:
    return "one of " + ", ".join(words)


def did_you_mean(word: str, known: Iterable[str], likeness: float = 0.65) -> str:
    """Return " (did you mean 'x'?)" for a word that is like a known one, from 0 to 1, else nothing."""
    from difflib import get_close_matches  # 5 ms: only on the way to an error message

    close = get_close_matches(word, list(known), n=1, cutoff=likeness)
    return f" (did you mean {close[0]!r}?)" if close else ""


text = Text()
boolean = Boolean()
ratio = Ratio()
pairs = Pairs()
words = Words()
milliseconds = Integer("a whole number of milliseconds")
some_milliseconds = Integer("a whole number of milliseconds, 1 or more", minimum=1)
count = Integer("a whole number, 0 or more")
positive = Integer("a whole number, 1 or more", minimum=1)
port = Integer("a port from 0 to 65535", maximum=65535)
