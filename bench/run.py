# SPDX-License-Identifier: Apache-2.0
"""
Ours beside the peers, in one run: ``nox -s bench``.

Each peer lives in a virtual environment and a process of its own, sends to a
sink on loopback, and does the same work in rounds that take turns, so that a
noisy minute hurts all alike. What is quoted is the median of the rounds, and in
brackets how many times ours it is. Times are CPU of the calling thread, or of the
whole process where the row says so.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any, NamedTuple

from page import PERFORMANCE, machine, put
from sink import serving

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("TELLWHY_BENCH_CACHE", HERE.parent / ".nox" / "bench"))
PEERS = {
    "tellwhy": [],
    "opentelemetry": ["opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"],
    "ddtrace": ["ddtrace"],
    "sentry": ["sentry-sdk"],
    "logfire": ["logfire", "opentelemetry-exporter-otlp-proto-http"],
    "elastic": ["elastic-apm"],
}


class Work(NamedTuple):
    """One row of the table."""

    name: str
    count: int  # operations in one round
    words: str
    unit: str = "µs"
    floor: tuple[str, ...] = ()  # what the interpreter alone asks for, whoever traces


CALL, CONTEXT, CLOCK = "floor_call", "floor_context", "floor_clock"
WORK = [
    Work(CALL, 100_000, "an empty function call"),
    Work(CONTEXT, 50_000, "a contextvar set and reset"),
    Work(CLOCK, 50_000, "two clock reads"),
    Work("span", 1_500, "sampled span: create, 3 attributes, end, enqueue", floor=(CALL, CONTEXT, CLOCK)),
    Work("traced", 1_500, "decorated call, sampled", floor=(CALL, CONTEXT, CLOCK)),
    Work("unsampled_child", 5_000, "child span of an unsampled local parent", floor=(CALL,)),
    Work("unsampled_traced", 5_000, "decorated call under an unsampled local parent", floor=(CALL,)),
    Work("off", 20_000, "decorated call without setup", floor=(CALL,)),
    Work(
        "export",
        1_500,
        "8-attribute span: made, encoded, sent; CPU of the process",
        floor=(CALL, CONTEXT, CLOCK),
    ),
    Work("made", 1_500, "the same span made only; CPU of the calling thread", floor=(CALL, CONTEXT, CLOCK)),
    Work("sent", 0, "the difference: encoded and sent"),
    Work("current", 20_000, "get the current span"),
    Work("set_attribute", 20_000, "set an attribute of a recording span", floor=(CALL,)),
    Work("memory", 1_500, "memory of one queued span with 8 attributes", unit="B"),
]
Samples = dict[str, dict[str, list[float]]]  # workload -> peer -> one figure a round, in the row's unit


class Peer:
    """A peer's process, which does one round of a workload at a time."""

    def __init__(self, name: str, python: str, endpoint: str) -> None:
        self.name = name
        environ = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "TELLWHY_"))}
        environ |= {"BENCH_ENDPOINT": endpoint, "PYTHONHASHSEED": "0"}
        self.process = subprocess.Popen(
            [python, str(HERE / "peers" / f"{name}_peer.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environ,
        )  # fmt: skip
        self.versions = json.loads(self._line())

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} died with {self.process.wait()}")
        return line

    def round(self, work: str, count: int) -> float | None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{work} {count}\n")
        self.process.stdin.flush()
        answer = json.loads(self._line())
        return None if answer is None else float(answer)

    def stop(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()


def interpreter(name: str, packages: list[str]) -> str:
    """Return the Python that has a peer, making its virtual environment once."""
    if not packages:
        return sys.executable
    home = CACHE / f"{name}-{platform.python_version()}"
    python = home / "bin" / "python"
    if not (home / "ready").exists():
        print(f"installing {name} …", file=sys.stderr)
        venv.create(home, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
        (home / "ready").touch()
    return str(python)


def measure(peers: list[Peer], rounds: int, only: str) -> Samples:
    """Return the figures of all rounds; in each round the peers take turns."""
    results: Samples = {}
    for work in WORK:
        if not re.search(only, work.name) and work.name not in (CALL, CONTEXT, CLOCK):
            continue
        samples = results[work.name] = {}
        if work.name == "sent":
            samples.update(_differences(results.get("export", {}), results.get("made", {})))
            continue
        for turn in range(rounds + 1):
            for peer in peers:
                figure = peer.round(work.name, work.count)
                if figure is not None and turn:  # the first round warms up
                    samples.setdefault(peer.name, []).append(figure * (1e6 if work.unit == "µs" else 1))
    return results


def _differences(whole: dict[str, list[float]], part: dict[str, list[float]]) -> dict[str, list[float]]:
    return {
        name: [one - other for one, other in zip(values, part[name], strict=True)]
        for name, values in whole.items()
        if name in part
    }


def times_ours(samples: dict[str, list[float]], name: str) -> float | None:
    """Return how many times our price a peer asks: the median of the rounds' ratios; None if it has no such thing."""
    ours, theirs = samples.get("tellwhy"), samples.get(name)
    if not ours or not theirs:
        return None
    return statistics.median([their / our for our, their in zip(ours, theirs, strict=True)])


def floor_of(work: Work, results: Samples) -> float | None:
    """Return what the steps cost that no tracer can do without, in our process."""
    parts = [statistics.median(results[name]["tellwhy"]) for name in work.floor if "tellwhy" in results.get(name, {})]
    return sum(parts) if parts else None


def as_markdown(results: Samples, names: list[str]) -> str:
    """Return the table: the floor, our figure and how many floors it is, the peers' and how many times ours they are."""
    others = [name for name in names if name != "tellwhy"]
    lines = ["| what | floor | tellwhy | " + " | ".join(others) + " |", "|---|" + "---:|" * (len(others) + 2)]
    for work in WORK:
        samples = results.get(work.name)
        if not samples or "tellwhy" not in samples or work.name in (CALL, CONTEXT, CLOCK):
            continue
        ours, floor = statistics.median(samples["tellwhy"]), floor_of(work, results)
        cells = [
            f"{work.words}, {work.unit}",
            "" if floor is None else f"{floor:.2f}",
            _shown(ours, work.unit) + ("" if floor is None else f" (floor × {ours / floor:.1f})"),
        ]
        for name in others:
            ratio = times_ours(samples, name)
            cells.append(
                "–" if ratio is None else f"{_shown(statistics.median(samples[name]), work.unit)} (× {ratio:.1f})"
            )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def floors_in_words(results: Samples) -> str:
    """Return the sentence that says what the floors are made of."""
    parts = [
        f"{work.words} {statistics.median(results[work.name]['tellwhy']):.2f} µs"
        for work in WORK
        if work.name in (CALL, CONTEXT, CLOCK) and "tellwhy" in results.get(work.name, {})
    ]
    return f"The floor: {', '.join(parts)}." if parts else ""


def _shown(value: float, unit: str) -> str:
    return f"{value:,.0f}" if unit == "B" else f"{value:.2f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--only", default="", help="workloads whose name this regular expression is found in")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--write", action="store_true", help="put the table into the performance page")
    options = parser.parse_args()
    endpoint = serving().url
    names = options.peers.split(",")
    peers = [Peer(name, interpreter(name, PEERS[name]), endpoint) for name in names]
    try:
        results = measure(peers, options.rounds, options.only)
    finally:
        for peer in peers:
            peer.stop()
    versions = ", ".join(f"{peer.name} {peer.versions}" for peer in peers)
    about = f"{machine()}; {versions}; medians of {options.rounds} rounds."
    table = f"{as_markdown(results, names)}\n\n{floors_in_words(results)}\n{about}"
    print(table)
    if options.json:
        options.json.write_text(json.dumps(_report(about, results), indent=2), encoding="utf-8")
    if options.write:
        put(PERFORMANCE, "peers", table)
    return 0


def _report(about: str, results: Samples) -> dict[str, Any]:
    medians = {
        work: {name: statistics.median(values) for name, values in samples.items()} for work, samples in results.items()
    }
    ratios = {work: {name: times_ours(samples, name) for name in samples} for work, samples in results.items()}
    return {"about": about, "medians": medians, "times_ours": ratios, "rounds": results}


if __name__ == "__main__":
    sys.exit(main())
