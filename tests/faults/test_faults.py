# SPDX-License-Identifier: Apache-2.0
"""
Every way a receiver can fail, with a steady load beside it, in a real process.

For each: the equation of law 2 holds to the span, duplicates come only from what at-least-once allows, memory is
bounded, the program does not feel it, exit keeps its budget, and stderr says exactly what it should.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from faults.harness import FAULTS, MOST_MOVED, Fault, judge, kill_and_start_again, run

pytestmark = pytest.mark.faults

# The best of so many: what the program feels is in every run, the machine's noise is not.
TRIES = 3


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_fault(fault: Fault, record_property: Callable[[str, object], None]) -> None:
    """One fault, judged by everything that can be seen from outside."""
    outcome = run(fault)
    judge(fault, outcome)
    moved = [outcome.p99_ms - outcome.control_p99_ms]
    while min(moved) >= MOST_MOVED and len(moved) < TRIES:
        again = run(fault)
        moved.append(again.p99_ms - again.control_p99_ms)
    record_property("p99_moved_ms", min(moved))
    record_property("rss_mb", outcome.rss_peak_mb)
    assert min(moved) < MOST_MOVED, f"p99 moved by {moved} ms"


@pytest.mark.parametrize("seconds", [0.1, 0.4, 1.0])
def test_kill_9_with_the_spool_on(tmp_path: Path, seconds: float) -> None:
    """Everything that was on disk arrives, once, from the next process; no file is damaged."""
    killed = kill_and_start_again(tmp_path, seconds)

    assert killed.recovered > 0
