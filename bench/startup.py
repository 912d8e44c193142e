# SPDX-License-Identifier: Apache-2.0
"""How much later does a program start? Whole processes, bare and traced, that take turns."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from pathlib import Path

IMPORTS = "import flask, requests, psycopg2, redis"
SETUP = "import tellwhy; tellwhy.setup_tracing()"

# Words, program bare, how many bare starts are its floor, peer -> (wrapped, program), variables, target in ms.
ROWS = (
    ("`run python -c pass`, over two bare starts", "pass", 2,
     {"tellwhy": (True, "pass"), "opentelemetry": (True, "pass"), "ddtrace": (True, "pass")}, {}, 12),
    ("the same with `OTEL_SDK_DISABLED=true`", "pass", 2,
     {"tellwhy": (True, "pass"), "opentelemetry": (True, "pass"), "ddtrace": (True, "pass")},
     {"OTEL_SDK_DISABLED": "true", "DD_TRACE_ENABLED": "false"}, 6),
    ("`setup_tracing()` in a program that imports nothing else", "pass", 1, {"tellwhy": (False, SETUP)}, {}, 15),
    ("imports of flask, requests, psycopg2 and redis, over the bare program", IMPORTS, 1,
     {"tellwhy": (False, f"{SETUP}\n{IMPORTS}")}, {}, 60),
    ("the same under the wrapper, over the bare program and a bare start", IMPORTS, 1,
     {"tellwhy": (True, IMPORTS), "opentelemetry": (True, IMPORTS), "ddtrace": (True, IMPORTS)}, {}, 60),
)  # fmt: skip
WRAPPERS = {"tellwhy": ["tellwhy", "run"], "opentelemetry": ["opentelemetry-instrument"], "ddtrace": ["ddtrace-run"]}


def _command(peer: str, python: str, wrapped: bool, code: str) -> list[str]:
    wrapper = WRAPPERS[peer] if wrapped else []
    folder = Path(python).parent
    return [str(folder / word) if word == wrapper[0] else word for word in wrapper] + [python, "-c", code]


def _cpu(command: list[str], environ: dict[str, str]) -> float:
    """Run a command to its end and return its CPU, its children's included, in ms."""
    process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    return (used.ru_utime + used.ru_stime) * 1e3


def measure(pythons: dict[str, str], found: dict[str, str], rounds: int) -> list[tuple[str, dict[str, float], int]]:
    """Return for each row what each peer adds, in ms of CPU."""
    clean = {
        key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "TELLWHY_", "DD_", "PYTHON"))
    }
    results = []
    for words, program, floors, ways, variables, target in ROWS:
        peers = {peer: ways[peer] for peer in ways if peer in pythons}
        turns: dict[str, list[float]] = {peer: [] for peer in peers}
        for turn in range(rounds + 1):
            for peer, (wrapped, code) in peers.items():
                python = pythons[peer]
                environ = {**clean, **found, **variables}
                bare = [_cpu([python, "-c", program], environ) for _ in range(floors)]
                if wrapped and floors == 1:
                    bare.append(_cpu([python, "-c", "pass"], environ))
                figure = _cpu(_command(peer, python, wrapped, code), environ)
                if turn:  # the first round compiles
                    turns[peer].append(figure - sum(bare))
        results.append((words, {peer: statistics.median(figures) for peer, figures in turns.items()}, target))
        time.sleep(0.01)
    return results


def report(pythons: dict[str, str], found: dict[str, str], rounds: int) -> str:
    """Return the table."""
    peers = [peer for peer in ("tellwhy", "opentelemetry", "ddtrace") if peer in pythons]
    lines = [
        "**Start-up**, ms of CPU",
        "",
        "| what | " + " | ".join(peers) + " | target |",
        "|---|" + "---:|" * (len(peers) + 1),
    ]
    for words, figures, target in measure(pythons, found, rounds):
        cells = [f"{figures[peer]:.1f}" if peer in figures else "" for peer in peers]
        lines.append(f"| {words} | {' | '.join(cells)} | {target} |")
    return "\n".join(lines)
