# SPDX-License-Identifier: Apache-2.0
"""
What does tracing add to Flask, requests, psycopg2 and redis? Ours beside the peers, in one run.

One program (``patched_app.py``) runs bare and under each peer, exporting
everything or sampled out, in processes that take turns. Figures are CPU of all
threads for one operation over the bare program in the same turn, delivery
included; medians. The servers are real. Start-up and memory are in
``startup.py``. ``python bench/patchers.py --write`` puts the table into the docs.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import venv
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import page
import servers
import startup

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("TELLWHY_BENCH_CACHE", HERE.parent / ".nox" / "bench"))
HOSTS = ("flask", "psycopg2-binary", "redis", "requests")
CONTRIB = [f"opentelemetry-instrumentation-{name}" for name in ("flask", "psycopg2", "redis", "requests")]
PACKAGES = {
    "opentelemetry": ["opentelemetry-distro", "opentelemetry-exporter-otlp-proto-http", *CONTRIB],
    "ddtrace": ["ddtrace"],
    "sentry": ["sentry-sdk"],
}
WRAPPERS = {"tellwhy": ["tellwhy", "run"], "opentelemetry": ["opentelemetry-instrument"], "ddtrace": ["ddtrace-run"]}
MAIN_PACKAGE = {"opentelemetry": "opentelemetry-sdk", "sentry": "sentry-sdk"}

# Name, how often in a round, words, targets of tellwhy in µs: exported, sampled out.
OPERATIONS = (
    ("flask", 1000, "Flask hello-world request", 45.0, 8.0),
    ("excluded", 1000, "Flask request to an excluded path", 4.0, 4.0),
    ("sql", 1000, "psycopg2 `SELECT 1`", 16.0, 2.0),
    ("redis", 1000, "redis `GET`", 16.0, 2.0),
    ("http", 300, "requests `GET` on loopback", 40.0, 6.0),
    ("shop", 60, "request with 8 SQL, 8 Redis, 2 HTTP, 2 business spans", 350.0, 45.0),
)
# Nothing may be lost while a round goes faster than any server's load: what is not sent costs nothing.
QUEUE = {"OTEL_BSP_MAX_QUEUE_SIZE": "100000", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
EXCLUDED = {"OTEL_PYTHON_FLASK_EXCLUDED_URLS": "healthz"}


class Way(NamedTuple):
    """How the program is started: under whom, and whether its spans are exported."""

    peer: str
    exported: bool

    def environ(self, python: str, found: dict[str, str]) -> dict[str, str]:
        clean = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("OTEL_", "TELLWHY_", "DD_", "PYTHON"))
        }
        rate = str(float(self.exported))
        return {
            **clean, **QUEUE, **EXCLUDED, **found,
            "PATH": f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}",
            "BENCH_PEER": self.peer, "BENCH_RATE": rate, "PYTHONHASHSEED": "0",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_SERVICE_NAME": "bench",
            "OTEL_TRACES_SAMPLER": "parentbased_always_on" if self.exported else "parentbased_always_off",
            "DD_TRACE_SAMPLING_RULES": f'[{{"sample_rate": {rate}}}]', "DD_SERVICE": "bench",
        }  # fmt: skip


class Program:
    """The measured program in one of its ways, which does one round at a time."""

    def __init__(self, way: Way, python: str, found: dict[str, str]) -> None:
        self.way = way
        wrapper = WRAPPERS.get(way.peer, [])
        folder = Path(python).parent
        command = [str(folder / wrapper[0]), *wrapper[1:]] if wrapper else []
        self.process = subprocess.Popen(
            [*command, python, str(HERE / "patched_app.py")], env=way.environ(python, found),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self._line()

    def _line(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.way} died with {self.process.wait()}")
        return json.loads(line)

    def round(self, work: str, count: int) -> float:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{work} {count}\n")
        self.process.stdin.flush()
        return float(self._line())

    def stop(self) -> None:
        """End the program; one of ours must not have lost a span, or its figures would be too good."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        said = self.process.stdout.read()
        self.process.wait(20)
        lost = {key: count for key, count in json.loads(said or "{}").get("dropped", {}).items() if count}
        if lost:
            raise RuntimeError(f"{self.way} lost spans: {lost}")


def interpreter(peer: str) -> str:
    """Return the Python that has a peer and the same libraries as this one, making its environment once."""
    if peer not in PACKAGES:
        return sys.executable
    home = CACHE / f"patched-{peer}-{platform.python_version()}"
    python = home / "bin" / "python"
    if not (home / "ready").exists():
        print(f"installing {peer} …", file=sys.stderr)
        venv.create(home, with_pip=True, clear=True)
        same = [f"{name}=={importlib.metadata.version(name)}" for name in HOSTS]
        subprocess.run([python, "-m", "pip", "install", "-q", *same, *PACKAGES[peer]], check=True)
        (home / "ready").touch()
    return str(python)


def _version(peer: str, python: str) -> str:
    code = f"import importlib.metadata as m; print(m.version({MAIN_PACKAGE.get(peer, peer)!r}))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


Figures = dict[Way, dict[str, float]]


def measure(programs: list[Program], bare: Program, rounds: int, only: str) -> tuple[Figures, dict[str, float]]:
    """Return what each way adds to an operation, and what the operation costs bare; seconds."""
    added: Figures = {program.way: {} for program in programs}
    floor: dict[str, float] = {}
    memory = {program.way: _memory(program) for program in (bare, *programs)}
    for program in programs:
        added[program.way]["rss"] = memory[program.way] - memory[bare.way]
    for name, count, *_ in OPERATIONS:
        if only and only != name:
            continue
        turns: list[dict[Way, float]] = []
        for turn in range(rounds + 1):
            figures = {program.way: program.round(name, count) for program in (bare, *programs)}
            if turn:  # the first round warms up
                turns.append(figures)
        floor[name] = statistics.median(figures[bare.way] for figures in turns)
        for program in programs:
            added[program.way][name] = statistics.median(figures[program.way] - figures[bare.way] for figures in turns)
    return added, floor


def _memory(program: Program) -> float:
    """Return the resident memory in bytes of a program that has done everything a few times, and delivered it."""
    for name, *_ in OPERATIONS:
        program.round(name, 20)
    return program.round("rss", 1)


def as_markdown(added: Figures, floor: dict[str, float], peers: Iterable[str]) -> str:
    """Return both tables: exported and sampled out."""
    parts = []
    for exported in (True, False):
        ways = [Way(peer, exported) for peer in peers if Way(peer, exported) in added]
        title = "Every span exported" if exported else "Sampled out (every trace is dropped at its root)"
        lines = [f"**{title}**, µs", "", "| operation | bare | " + " | ".join(way.peer for way in ways) + " | target |"]
        lines.append("|---|---:|" + "---:|" * (len(ways) + 1))
        for name, _, words, *targets in OPERATIONS:
            if name in floor:
                cells = [_cell(added, way, name) for way in ways]
                target = targets[0 if exported else 1]
                lines.append(f"| {words} | {floor[name] * 1e6:.0f} | {' | '.join(cells)} | {target:.0f} |")
        megabytes = [f"{added[way]['rss'] / 2**20:.1f} MB" for way in ways]
        lines.append(f"| resident memory | | {' | '.join(megabytes)} | 5 MB |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _cell(added: Figures, way: Way, name: str) -> str:
    """Return one figure, of ours with the ratio to OpenTelemetry's."""
    micros = added[way][name] * 1e6
    base = added.get(Way("opentelemetry", way.exported), {}).get(name, 0) * 1e6
    ratio = f" ({micros / base:.2f}x)" if way.peer == "tellwhy" and base > 0 else ""
    return f"{micros:.1f}{ratio}"


def _ways(peers: Iterable[str], mode: str) -> list[Way]:
    modes = {"both": (True, False), "exported": (True,), "sampled-out": (False,)}[mode]
    return [Way(peer, exported) for peer in peers for exported in modes]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--peers", default="tellwhy,opentelemetry,ddtrace,sentry")
    parser.add_argument("--mode", default="both", choices=("both", "exported", "sampled-out"))
    parser.add_argument("--only", default="", help="one operation, or startup")
    parser.add_argument("--write", action="store_true", help="put the tables into the docs")
    options = parser.parse_args()
    peers = options.peers.split(",")
    pythons = {peer: interpreter(peer) for peer in peers}
    parts = []
    with servers.running() as found:
        if options.only != "startup":
            bare = Program(Way("bare", True), sys.executable, found)
            programs = [Program(way, pythons[way.peer], found) for way in _ways(peers, options.mode)]
            try:
                parts.append(as_markdown(*measure(programs, bare, options.rounds, options.only), peers))
                print(parts[-1], flush=True)
            finally:
                for program in (bare, *programs):
                    program.stop()
        if options.only in ("", "startup"):
            parts.append(startup.report(pythons, found, options.rounds))
            print(f"\n{parts[-1]}", flush=True)
    versions = ", ".join(f"{peer} {_version(peer, python)}" for peer, python in pythons.items())
    hosts = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in HOSTS)
    parts.append(f"{page.machine()}; {versions}; {hosts}; "
                 f"medians of {options.rounds} rounds that take turns; load average {os.getloadavg()[0]:.0f}.")  # fmt: skip
    print(f"\n{parts[-1]}")
    if options.write:
        page.put(page.PERFORMANCE, "patchers", "\n\n".join(parts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
