# SPDX-License-Identifier: Apache-2.0
"""
What happens in an interpreter that ``tellwhy run`` started, before the program's first line.

Importing this module is the action. No exception may leave it: the program
starts whatever becomes of its tracing.
"""

from __future__ import annotations

import os
import sys

from tellwhy.bootstrap.begin import begin

_LAUNCHERS = ("tellwhy", "opentelemetry-instrument")


def _is_launcher(words: list[str]) -> bool:
    """Tell whether an interpreter's first words mean a command that becomes the program: `tellwhy run …` again."""
    return words == ["-m", "tellwhy"] or os.path.basename(words[0] if words else "") in _LAUNCHERS


if not _is_launcher(sys.orig_argv[1:3]):
    begin()
