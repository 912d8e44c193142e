# SPDX-License-Identifier: Apache-2.0
"""Every case that the documentation promises is held by a test that names its number, and none is named otherwise."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "traced-edge-cases.md"
NAMED = re.compile(r"\(cases? (\d+)(?:(?:, | and )(\d+))*\)")


def test_every_case_has_a_test() -> None:
    promised = {int(number) for number in re.findall(r"^\| (\d+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)}
    named: set[int] = set()
    for path in (*ROOT.glob("tests/**/*.py"), ROOT / "bench" / "micro_traced.py"):
        for match in NAMED.finditer(path.read_text(encoding="utf-8")):
            named.update(int(number) for number in match.groups() if number)
    assert promised == set(range(1, 54))
    assert named == promised
