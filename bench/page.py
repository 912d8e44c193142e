# SPDX-License-Identifier: Apache-2.0
"""Where do figures go? Into a page, between two markers; nobody types them."""

from __future__ import annotations

import os
import platform
from pathlib import Path

PERFORMANCE = Path(__file__).parent.parent / "docs" / "explanation" / "performance.md"


def put(page: Path, name: str, text: str) -> None:
    """
    Replace what stands between ``<!-- name: start -->`` and ``<!-- name: end -->`` in a page.

    Raises:
        ValueError: If the page has no such markers.
    """
    start, end = f"<!-- {name}: start -->", f"<!-- {name}: end -->"
    before, found, rest = page.read_text(encoding="utf-8").partition(start)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{page}: no place for {name!r}: {start} … {end}")
    page.write_text(f"{before}{start}\n{text.strip()}\n{end}{after}", encoding="utf-8")


def machine() -> str:
    """Return what the figures were measured on."""
    return f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores"
