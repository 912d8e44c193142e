# SPDX-License-Identifier: Apache-2.0
"""Does each kind of value read what the specification says, and reject the rest with a word on what was right?"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tellwhy.settings import grammar as g

KINDS: dict[str, g.Kind[Any]] = {
    "text": g.text,
    "boolean": g.boolean,
    "ratio": g.ratio,
    "pairs": g.pairs,
    "words": g.words,
    "milliseconds": g.milliseconds,
    "positive": g.positive,
    "choice": g.Choice("none", "gzip"),
    "known words": g.Words("otlp", "console", "none"),
    "named": g.Named("always_on", "always_off", group="opentelemetry_traces_sampler"),
}


@pytest.mark.parametrize(
    ("kind", "given_text", "expected"),
    [
        ("text", "  shop ", "shop"),
        ("boolean", "true", True),
        ("boolean", "TrUe ", True),
        ("boolean", "FALSE", False),
        ("ratio", "0.25", 0.25),
        ("ratio", " 1 ", 1.0),
        ("ratio", "1e-3", 0.001),
        ("pairs", "a=1,b=2", {"a": "1", "b": "2"}),
        ("pairs", " a = 1 , ,b=", {"a": "1", "b": ""}),
        ("pairs", "authorization=Bearer a b=", {"authorization": "Bearer a b="}),
        ("pairs", "k%20ey=%C3%BC%2C%3D", {"k ey": "ü,="}),
        ("pairs", "a=1,a=2", {"a": "2"}),
        ("words", "a, b,,a ,C", ("a", "b", "C")),
        ("known words", "OTLP,Console", ("otlp", "console")),
        ("milliseconds", " 250 ", 250),
        ("milliseconds", "0", 0),
        ("choice", "GZIP", "gzip"),
        ("named", "ALWAYS_ON", "always_on"),
    ],
)
def test_right_text(kind: str, given_text: str, expected: object) -> None:
    """The specification's grammar, blanks around values and case of words aside."""
    assert KINDS[kind].parse(given_text) == expected


@pytest.mark.parametrize(
    ("kind", "given_text", "message", "use"),
    [
        ("boolean", "1", "true or false", (False, "false")),
        ("boolean", "yes", "true or false", (False, "false")),
        ("ratio", "10%", "a number from 0 to 1", (0.1, "0.1")),
        ("ratio", "250%", "a number from 0 to 1", (0.01, "0.01 to be safe")),
        ("ratio", "1.0001", "a number from 0 to 1", (0.01, "0.01 to be safe")),
        ("ratio", "NaN", "a number from 0 to 1", (0.01, "0.01 to be safe")),
        ("pairs", "a=1,b", "key=value pairs separated by commas", ({"a": "1"}, "the well-formed pairs")),
        ("pairs", "b", "key=value pairs separated by commas", None),
        ("pairs", "=1", "key=value pairs separated by commas", None),
        (
            "known words",
            "consol,otlp",
            "a comma-separated list of otlp, console, none (did you mean 'console'?)",
            (("otlp",), "otlp"),
        ),
        ("known words", "jaeger", "a comma-separated list of otlp, console, none", None),
        ("milliseconds", "1.5", "a whole number of milliseconds", None),
        ("milliseconds", "-1", "a whole number of milliseconds", None),
        ("milliseconds", "99999999999", "a whole number of milliseconds", None),
        ("positive", "0", "a whole number, 1 or more", None),
        ("choice", "gz", "one of none, gzip (did you mean 'gzip'?)", None),
    ],
)
def test_wrong_text(kind: str, given_text: str, message: str, use: object) -> None:
    """A wrong text says what was expected, and what is used in its place where that is safe."""
    with pytest.raises(g.Rejected) as caught:
        KINDS[kind].parse(given_text)

    assert (caught.value.expected, caught.value.use) == (message, use)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("boolean", True, True),
        ("boolean", "true", True),
        ("milliseconds", 10, 10),
        ("milliseconds", "10", 10),
        ("ratio", 0.5, 0.5),
        ("ratio", 1, 1.0),
        ("words", ["a", "b"], ("a", "b")),
        ("words", {"a"}, ("a",)),
        ("pairs", {"a": 1}, {"a": "1"}),
        ("text", 5, "5"),
    ],
)
def test_python_value(kind: str, value: object, expected: object) -> None:
    """Keywords and keys of pyproject.toml may hold Python's own values as well as text."""
    assert KINDS[kind].accept(value) == expected


@pytest.mark.parametrize(
    ("kind", "value"),
    [("boolean", 1), ("milliseconds", True), ("milliseconds", 1.5), ("words", 3), ("pairs", 3), ("ratio", None)],
)
def test_python_value_of_another_type(kind: str, value: object) -> None:
    """A value of another type is rejected like a wrong text, never taken for something else."""
    with pytest.raises(g.Rejected):
        KINDS[kind].accept(value)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(KINDS)), st.text() | st.text("tru,=% 0.1e-otlp"))
def test_any_text_is_read_or_rejected(kind: str, given_text: str) -> None:
    """No text raises anything but Rejected; a rejected one says what was expected, and what it uses is of the kind."""
    reader = KINDS[kind]
    try:
        reader.parse(given_text)
    except g.Rejected as rejected:
        assert rejected.expected
        if rejected.use is not None:
            value, label = rejected.use
            assert reader.accept(value) == value
            assert label


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(sorted(KINDS)),
    st.none() | st.integers() | st.floats() | st.lists(st.text()) | st.dictionaries(st.text(), st.text()),
)
def test_any_object_is_accepted_or_rejected(kind: str, value: object) -> None:
    """The same for Python objects."""
    try:
        KINDS[kind].accept(value)
    except g.Rejected as rejected:
        assert rejected.expected


@settings(max_examples=200, deadline=None)
@given(st.floats(0, 1))
def test_ratio_survives_its_own_text(ratio: float) -> None:
    """Every ratio from 0 to 1 is read from the text that Python writes it as."""
    assert g.ratio.parse(str(ratio)) == ratio


@settings(max_examples=200, deadline=None)
@given(st.floats(0, 100))
def test_percentage_is_what_it_says(percent: float) -> None:
    """A percentage is never more traffic than it says."""
    with pytest.raises(g.Rejected) as caught:
        g.ratio.parse(f"{percent}%")

    assert caught.value.use is not None
    assert caught.value.use[0] == percent / 100


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text(min_size=1), st.text()))
def test_pairs_survive_their_own_text(pairs: dict[str, str]) -> None:
    """What is shown, or lent to those who read the environment, is read back as what it was."""
    from tellwhy.settings.setting import as_text

    kept = {key: value for key, value in pairs.items() if key == key.strip() and value == value.strip()}
    kept = {key: value for key, value in kept.items() if _is_encodable(key + value)}

    assert g.pairs.parse(as_text(kept)) == kept


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate is no text
        return False
    return True


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("alway_on", " (did you mean 'always_on'?)"),
        ("alwayson", " (did you mean 'always_on'?)"),
        ("ratio", ""),
        ("", ""),
    ],
)
def test_did_you_mean(word: str, hint: str) -> None:
    """A hint where a word is like a known one, silence where it is not."""
    assert g.did_you_mean(word, ["always_on", "always_off"]) == hint
