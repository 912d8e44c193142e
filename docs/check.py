# SPDX-License-Identifier: Apache-2.0
"""
Checks of the documentation: generated pages are current, and every relative link leads to a file.

Run with ``--write`` to bring the generated pages up to date.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tellwhy.cli.settings import as_markdown

ROOT = Path(__file__).parent.parent
GENERATED = {ROOT / "docs/reference/settings.md": as_markdown}
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def stale_pages(*, write: bool) -> list[str]:
    """Return a line for each generated page that is not what the code says; or write it."""
    wrong = []
    for path, make in GENERATED.items():
        text = make() + "\n"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            if write:
                path.write_text(text, encoding="utf-8")
            else:
                wrong.append(f"{path.relative_to(ROOT)} is not current: python docs/check.py --write")
    return wrong


def broken_links() -> list[str]:
    """Return a line for each relative link that leads nowhere."""
    wrong = []
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]:
        targets = [target for target in LINK.findall(page.read_text(encoding="utf-8")) if ":" not in target]
        missing = (target for target in targets if not (page.parent / target).exists())
        wrong.extend(f"{page.relative_to(ROOT)} links to {target}, which is not there" for target in missing)
    return wrong


def main() -> int:
    wrong = stale_pages(write="--write" in sys.argv) + broken_links()
    for line in wrong:
        print(line, file=sys.stderr)
    print(f"{len(GENERATED)} generated pages, {len(wrong)} problems")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
