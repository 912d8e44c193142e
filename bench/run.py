# SPDX-License-Identifier: Apache-2.0
"""
Ours beside the peers, in one run: ``nox -s bench``.

Each peer lives in a virtual environment and a process of its own, sends to a
sink on loopback, and does the same work in rounds that take turns, so that a
noisy minute hurts all alike. What is quoted is the median of the rounds and
its ratio to OpenTelemetry's SDK. Times are CPU of the calling thread, or of the
whole process where the row says so.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import threading
import venv
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

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
# workload, operations in one round, unit, what it is in words
WORK = [
    ("floor_call", 100_000, "µs", "floor: an empty function call"),
    ("floor_context", 50_000, "µs", "floor: a contextvar set and reset"),
    ("floor_clock", 50_000, "µs", "floor: two clock reads"),
    ("span", 1_500, "µs", "sampled span: create, 3 attributes, end, enqueue"),
    ("traced", 1_500, "µs", "decorated call, sampled"),
    ("unsampled_child", 5_000, "µs", "child span of an unsampled parent"),
    ("unsampled_traced", 5_000, "µs", "decorated call under an unsampled parent"),
    ("off", 20_000, "µs", "decorated call without setup"),
    ("export", 1_500, "µs", "8-attribute span: made, encoded, sent; CPU of the process"),
    ("current", 20_000, "µs", "get the current span"),
    ("set_attribute", 20_000, "µs", "set an attribute of a recording span"),
    ("memory", 1_500, "B", "memory of one queued span with 8 attributes"),
]


class _Sink(BaseHTTPRequestHandler):
    """Takes everything and answers 200: what is measured is the sender."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                self.rfile.read(size + 2)
            self.rfile.readline()
        else:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b"{}" if "json" in self.headers.get("Content-Type", "") else b""
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_PUT = do_GET = do_POST

    def log_message(self, *_: Any) -> None:
        pass


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


def measure(peers: list[Peer], rounds: int, only: str) -> dict[str, dict[str, float]]:
    """Return ``workload -> peer -> median``, with rounds taking turns."""
    results: dict[str, dict[str, float]] = {}
    for work, count, unit, _ in WORK:
        if only and only not in work:
            continue
        samples: dict[str, list[float]] = {peer.name: [] for peer in peers}
        for turn in range(rounds + 1):
            for peer in peers:
                figure = peer.round(work, count)
                if figure is not None and turn:  # the first round warms up
                    samples[peer.name].append(figure)
        results[work] = {
            name: statistics.median(values) * (1e6 if unit == "µs" else 1) for name, values in samples.items() if values
        }
    return results


def as_markdown(results: dict[str, dict[str, float]], names: list[str]) -> str:
    """Return the table: our figure, the peers', and in brackets the ratio to OpenTelemetry's SDK."""
    lines = ["| what | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for work, _, unit, words in WORK:
        if work not in results:
            continue
        base = results[work].get("opentelemetry")
        cells = []
        for name in names:
            value = results[work].get(name)
            if value is None:
                cells.append("")
                continue
            shown = f"{value:.0f} B" if unit == "B" else f"{value:.2f}"
            compare = base and name != "opentelemetry" and not work.startswith("floor")
            cells.append(f"{shown} (ratio {value / base:.2f})" if compare and base else shown)
        lines.append(f"| {words}{'' if unit == 'B' else ', µs'} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--only", default="", help="workloads whose name contains this")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--write", type=Path, help="put the table into this page, between its markers")
    options = parser.parse_args()
    sink = ThreadingHTTPServer(("127.0.0.1", 0), _Sink)
    threading.Thread(target=sink.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{sink.server_address[1]}"
    names = options.peers.split(",")
    peers = [Peer(name, interpreter(name, PEERS[name]), endpoint) for name in names]
    try:
        results = measure(peers, options.rounds, options.only)
    finally:
        for peer in peers:
            peer.stop()
    versions = ", ".join(f"{peer.name} {peer.versions}" for peer in peers)
    about = (
        f"Python {platform.python_version()}, {os.cpu_count()} cores; {versions}; medians of {options.rounds} rounds."
    )
    table = f"{as_markdown(results, names)}\n\n{about}"
    print(table)
    if options.json:
        options.json.write_text(json.dumps({"about": about, "results": results}, indent=2), encoding="utf-8")
    if options.write:
        _put_between_markers(options.write, table)
    return 0


def _put_between_markers(page: Path, table: str) -> None:
    text = page.read_text(encoding="utf-8")
    start, end = "<!-- bench: start -->", "<!-- bench: end -->"
    head, _, rest = text.partition(start)
    _, _, tail = rest.partition(end)
    page.write_text(f"{head}{start}\n{table}\n{end}{tail}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
