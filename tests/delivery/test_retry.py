# SPDX-License-Identifier: Apache-2.0
"""When to try again: what Retry-After may say, and how the waits grow."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellwhy.delivery.otlp.retry import FIRST_WAIT, LONGEST_RETRY_AFTER, LONGEST_WAIT, Backoff, retry_after

NOW = 1_760_000_000.0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", 0.0),
        ("30", 30.0),
        (" 5 ", 5.0),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        (formatdate(NOW - 90, usegmt=True), 0.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("²", None),
        ("Fri, 99 Foo 2026 99:99:99 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, expected: float | None) -> None:
    """Whole seconds or an HTTP date; anything else counts as absent."""
    assert retry_after(value, NOW) == expected


@given(st.text(max_size=40))
def test_retry_after_takes_any_text(text: str) -> None:
    """A receiver may send what it likes."""
    found = retry_after(text, NOW)

    assert found is None or found >= 0


def test_waits_double_up_to_a_bound_with_jitter(real_waits: None) -> None:
    """Each wait lies between half and the whole of its step."""
    backoff = Backoff()
    step = FIRST_WAIT
    for _ in range(12):
        assert step / 2 <= backoff.next() <= step
        step = min(step * 2, LONGEST_WAIT)

    backoff.reset()

    assert backoff.next() <= FIRST_WAIT


def test_what_the_receiver_asks_for_is_never_cut_short() -> None:
    """Retry-After wins, up to ten minutes; the jitter only adds."""
    assert 30.0 <= Backoff().next(30.0) <= 30.0 + FIRST_WAIT
    assert Backoff().next(86_400.0) <= LONGEST_RETRY_AFTER + FIRST_WAIT
