# SPDX-License-Identifier: Apache-2.0
"""
Who cleans up when the demo itself is killed? This small program, which outlives it by a moment.

It reads the ids of process groups from its standard input, ``+123`` when one is
started, ``-123`` when one has ended. The end of the input is the end of the demo,
however it came: by then every group still there is told to end, killed after a
while if it did not, and the demo's directory is removed. Run by path, isolated:
it imports nothing but the standard library.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable

GRACE = 4.0  # seconds between the request to end and the kill


def main(directory: str, lines: Iterable[str]) -> None:
    """Keep the list until the input ends, then leave nothing behind."""
    groups: set[int] = set()
    for line in lines:
        group = int(line)
        (groups.add if group > 0 else groups.discard)(abs(group))
    groups = signal_groups(groups, signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    while groups and time.monotonic() < deadline:
        time.sleep(0.02)
        groups = signal_groups(groups, 0)
    signal_groups(groups, signal.SIGKILL)
    shutil.rmtree(directory, ignore_errors=True)


def signal_groups(groups: Iterable[int], number: int) -> set[int]:
    """Send a signal (0: none, only ask) to process groups and return those that are there."""
    there = set()
    for group in groups:
        try:
            os.killpg(group, number)
            there.add(group)
        except (ProcessLookupError, PermissionError):  # gone; on macOS, not yet reaped
            continue
    return there


if __name__ == "__main__":
    main(sys.argv[1], sys.stdin)
