# SPDX-License-Identifier: Apache-2.0
"""
Does a library's own test suite end the same, test by test, with our patchers as without?

``python tests/hosts/compare.py FOLDER [pytest arguments]`` in the folder of an
unpacked source distribution, with that library's test requirements installed
and its server running: runs the suite bare and patched, prints each test that
ends in another way, and exits 1 if there is one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def run(folder: str, arguments: list[str], *, traced: bool) -> dict[str, Any]:
    """Run the suite in a process of its own and return how its tests ended."""
    with tempfile.TemporaryDirectory() as scratch:
        outcomes = Path(scratch) / "outcomes.json"
        path = os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH"))))
        environ = {**os.environ, "PYTHONPATH": path, "HOST_OUTCOMES": str(outcomes), "HOST_TRACED": str(int(traced))}
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "--no-header", "--tb=no", "-p", "host_outcomes", "-p", "no:tellwhy",
             "-p", "no:cacheprovider", *arguments],
            cwd=folder, env=environ, check=False, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        result: dict[str, Any] = json.loads(outcomes.read_text())
        return result


def main(folder: str, *arguments: str) -> int:
    """Compare the two runs."""
    bare, traced = (run(folder, list(arguments), traced=traced) for traced in (False, True))
    names = bare["ends"].keys() | traced["ends"].keys()
    changed = sorted(name for name in names if bare["ends"].get(name) != traced["ends"].get(name))
    for name in changed:
        print(f"{name}: {bare['ends'].get(name)} without, {traced['ends'].get(name)} with")
    print(f"{len(bare['ends'])} tests, {traced['spans']} spans, {len(changed)} end in another way")
    return 1 if changed or not traced["spans"] else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
