# SPDX-License-Identifier: Apache-2.0
"""``tellwhy demo``: a small shop with real servers on this machine, and why its requests are slow."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.util import find_spec

_NEEDED = ("flask", "psycopg2", "redis", "requests")


def main(argv: Sequence[str]) -> int:
    """
    Run the demo and return its exit status.

    Args:

        argv: The words after ``tellwhy demo``.
    """
    options = _parser().parse_args(argv)
    if sys.platform == "win32":
        print("tellwhy demo: needs Linux or macOS", file=sys.stderr)
        return 1
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        print(f'tellwhy demo: needs {", ".join(missing)}: pip install "tellwhy[demo]"', file=sys.stderr)
        return 1
    from tellwhy.demo.story import Options, run

    return run(Options(options.once, options.port, dict(options.env)), sys.stdout)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tellwhy demo",
        description="Start PostgreSQL, Redis, a small shop and a slow bank on this machine, all of them private, "
        "send the shop requests, and draw the trace of each.",
    )
    parser.add_argument(
        "--once", action="store_true", help="draw one trace of each kind and end; status 1 if a span is missing"
    )
    parser.add_argument("--port", type=int, default=0, metavar="N", help="the shop's port (default: a free one)")
    parser.add_argument(
        "--env",
        action="append",
        default=[],
        type=_pair,
        metavar="NAME=VALUE",
        help="an environment variable for the shop and the bank, to try a setting; may be given again",
    )
    return parser


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    return name, value
