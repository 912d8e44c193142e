# SPDX-License-Identifier: Apache-2.0
"""
One fault, one steady load beside it, and the account: what the tests and the soak have in common.

``run(fault)`` starts the load in a process of its own (and, beside it, the same
load without delivery, as the measure of the machine's own noise), lets the
receiver misbehave, and returns what became of every span. ``judge()`` says
whether that is what it must be; the tests and the soak both ask it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faults import receiver as r
from faults.receiver import Behaviour, FaultyReceiver
from support.program import lines_of_others, lines_of_ours

LOAD = Path(__file__).parent / "load.py"
_FAILING = r"cannot deliver spans to \S+: "
_REFUSED = r"\S+ does not take spans: "
_AGAIN = r"spans are delivered to \S+ again after \d+ s: \d+ delivered late, \d+ lost"
_LOST = r"(?P<lost>\d+) of (?P<produced>\d+) spans (was|were) not delivered: "


@dataclass(frozen=True)
class Fault:
    """
    One way to misbehave, and what it must look like from outside.

    Attributes:
        name: In words, for people.
        behave: What the receiver does with a request.
        lines: Regular expressions, one for each line that we must say, in order.
        loses: Whether spans are lost for good.
        takes: Whether the receiver may have taken spans that it has not acknowledged: those may come twice.
        may_say: Regular expressions of the lines that may be said, where chance decides on it: each once, in order.
        play: What happens meanwhile; by default the behaviour lasts to the end.
        accepting: Whether the receiver accepts connections.
        cutting: Whether the receiver breaks off in the middle of every request's body.
        options: Of the load.
        long: How long the load lasts with the real waits between retries, in seconds.
    """

    name: str
    behave: Behaviour
    lines: tuple[str, ...] = ()
    may_say: tuple[str, ...] = ()
    loses: bool = False
    takes: bool = False
    play: Callable[[FaultyReceiver], None] | None = None
    accepting: bool = True
    cutting: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    long: float = 6.0


# Whoever hangs is waited for in vain; everyone else gets the time that a starved machine needs.
_SOON = {"--timeout": "0.3"}


def _go_away_at_once(receiver: FaultyReceiver) -> None:
    receiver.go_away()


def _come_and_go(receiver: FaultyReceiver) -> None:
    receiver.wait_for(30)
    receiver.go_away()
    r.pause(2.0)
    receiver.come_back()


def _flap(receiver: FaultyReceiver) -> None:
    receiver.wait_for(1)
    for _ in range(3):
        receiver.go_away()
        r.pause(0.12)
        receiver.come_back()
        r.pause(0.12)


def _recover(receiver: FaultyReceiver) -> None:
    receiver.wait_for_requests(4)
    receiver.behave = r.accept


FAULTS = (
    Fault("healthy", r.accept),
    Fault("refuses connections", r.accept, (_FAILING + "connection refused", _LOST + r"\d+ exit"), loses=True,
          play=_go_away_at_once),
    Fault("goes away and returns", r.accept, (_FAILING + "connection refused", _AGAIN), takes=True, play=_come_and_go,
          options={"--seconds": "3"}),
    Fault("flaps", r.accept, play=_flap, may_say=(_FAILING, _AGAIN), takes=True,
          options={"--seconds": "3"}),
    Fault("never accepts", r.accept, (_FAILING + "no answer", _LOST + r"\d+ exit"), loses=True, accepting=False,
          options=_SOON),
    Fault("never answers", r.hang, (_FAILING + "no answer", _LOST + r"\d+ exit"), loses=True, options=_SOON),
    Fault("takes and never answers, then recovers", r.take_and_hang, (_FAILING + "no answer", _AGAIN), takes=True,
          play=_recover, options={"--seconds": "3", **_SOON}),
    Fault("hangs up", r.hang_up, (_FAILING + "the connection was closed", _LOST + r"\d+ exit"), loses=True),
    Fault("cuts the request", r.accept, (_FAILING + "the connection", _LOST + r"\d+ exit"), loses=True, cutting=True),
    Fault("cuts the answer", r.take_and_cut, (_FAILING + "the connection broke", _LOST + r"\d+ exit"), loses=True,
          takes=True),
    Fault("answers byte by byte", r.drip(0.0005)),
    Fault("answers byte by byte, too slowly", r.drip(0.05), (_FAILING + "no answer", _LOST + r"\d+ exit"), loses=True,
          takes=True, options=_SOON),
    Fault("answers garbage", r.garbage, (_FAILING + "the answer is not HTTP", _LOST + r"\d+ exit"), loses=True),
    Fault("speaks gRPC", r.grpc, (_FAILING + "the answer is not HTTP .this looks like a gRPC port",
          _LOST + r"\d+ exit"), loses=True),
    Fault("redirects", r.redirect("http://127.0.0.1:1/"), (_REFUSED + "307 .*it redirects to http://127.0.0.1:1/",
          _LOST + r"\d+ exit, \d+ http_307"), loses=True),
    Fault("asks for credentials that we have", r.authorized("Bearer right"),
          options={"--headers": "authorization=Bearer right"}),
    Fault("asks for credentials that we have not", r.authorized("Bearer right"),
          (_REFUSED + "401 Unauthorized .check the credentials", _LOST + r"\d+ exit, \d+ http_401"), loses=True),
    Fault("speaks HTTP/1.0", r.http10),
    Fault("closes after each answer", r.accept_then_close, takes=True),
    Fault("429, then recovers", r.status(429, {"retry-after": "0"}), (_FAILING + "429", _AGAIN), play=_recover),
    Fault("400", r.status(400), (_REFUSED + "400", _LOST + r"\d+ exit, \d+ http_400"), loses=True),
    Fault("404, then recovers", r.status(404), (_REFUSED + "404", _AGAIN, _LOST + r"\d+ http_404"), loses=True,
          play=_recover),
    Fault("413 above 20 KB", r.at_most(20_480)),
    Fault("500", r.status(500), (_REFUSED + "500", _LOST + r"\d+ exit, \d+ http_500"), loses=True),
    Fault("502", r.status(502), (_FAILING + "502", _LOST + r"\d+ exit"), loses=True),
    Fault("503, then recovers", r.status(503), (_FAILING + "503", _AGAIN), play=_recover),
    Fault("504", r.status(504), (_FAILING + "504", _LOST + r"\d+ exit"), loses=True),
    Fault("another status each time, then recovers", r.one_after_the_other((503, 302, 403, 418, 507)),
          (_REFUSED + "302", _AGAIN, _LOST + r".*\d+ http_302.*\d+ http_507"), loses=True,
          options={"--seconds": "3"}, long=16.0),
    Fault("rejects one span of each batch", r.partial(1, "no"), (r"\S+ rejected 1 spans of a batch: no",
          _LOST + r"\d+ rejected"), loses=True),
)  # fmt: skip


@dataclass
class Outcome:
    """What came of one run."""

    produced: int
    stats: dict[str, Any]
    unique: int
    duplicates: int
    requests: int
    unacknowledged: int
    lines: list[str]
    exit_s: float
    p50_ms: float
    p99_ms: float
    control_p99_ms: float
    rss_start_mb: float
    rss_peak_mb: float
    returncode: int
    stderr: str

    @property
    def dropped(self) -> int:
        """Spans that were dropped, for whatever reason."""
        return sum(self.stats["dropped"].values())


BUDGET = 1.0  # seconds; what the load is given for its exit unless told otherwise
NOISE = 0.5  # seconds of a busy machine
MOST_MOVED = 1.0  # ms
MOST_MEMORY = 30.0  # MB


def judge(fault: Fault, outcome: Outcome, *, budget: float = BUDGET, queue_may_fill: bool = False) -> None:
    """
    Assert all that must be true of one run, but for the latency, which takes more than one.

    ``queue_may_fill``: the load is so long that an outage may cost the oldest, also where nothing else does.
    """
    is_accounted_for(outcome)
    stats = outcome.stats
    assert stats["queued"] == 0, "after the exit"
    if queue_may_fill and fault.play is not None and not fault.loses:
        assert set(stats["dropped"]) <= {"queue_full"}, stats
    else:
        assert (outcome.dropped > 0) == fault.loses, stats
    # Once for what was delivered and once more, at the most, for what was taken in silence.
    rejected = stats["dropped"].get("rejected", 0)
    most = outcome.unacknowledged if fault.takes else 0
    assert 0 <= outcome.unique - stats["delivered"] - rejected <= most, (outcome.unique, stats)
    assert outcome.duplicates <= most
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.exit_s <= budget + NOISE
    assert outcome.rss_peak_mb - outcome.rss_start_mb < MOST_MEMORY
    says_what_it_should(fault, outcome)


def is_accounted_for(outcome: Outcome) -> None:
    """Assert law 2, with the load's own count of what it has produced."""
    stats = outcome.stats
    assert stats["produced"] == outcome.produced, stats
    assert stats["produced"] == stats["delivered"] + stats["queued"] + stats["spooled"] + outcome.dropped, stats


def says_what_it_should(fault: Fault, outcome: Outcome) -> None:
    """Assert that stderr has exactly the lines of this fault, with the right numbers in them."""
    expected = [*(fault.may_say or fault.lines)]
    if outcome.dropped and not fault.loses:
        expected.append(_LOST + r"\d+ queue_full(;|$)")
    assert len(outcome.lines) == len(expected) or (fault.may_say and len(outcome.lines) < len(expected)), outcome.stderr
    assert not lines_of_others(outcome.stderr), outcome.stderr
    for line, pattern in zip(outcome.lines, expected, strict=False):
        found = re.match(pattern, line)
        assert found, (pattern, line)
        if "lost" in found.groupdict():
            assert int(found["lost"]) == outcome.dropped
            assert int(found["produced"]) == outcome.produced


def run(fault: Fault, *, control: bool = True, environ: Mapping[str, str] | None = None, **options: object) -> Outcome:
    """Play one fault; ``options`` go to the load."""
    with FaultyReceiver(fault.behave, accepting=fault.accepting, cutting=fault.cutting) as receiver:
        given = {"--endpoint": receiver.endpoint, "--delay": "100", "--timeout": "5", "--first-wait": "0.05",
                 "--budget": "1000", **fault.options,
                 **{f"--{name.replace('_', '-')}": str(value) for name, value in options.items()}}  # fmt: skip
        variables = {**os.environ, **(environ or {})}
        beside = _start({**given, "--endpoint": ""}, variables) if control else None
        load = _start(given, variables)
        if fault.play is not None:
            fault.play(receiver)
        stdout, stderr = load.communicate(timeout=600)
        noise = json.loads(beside.communicate(timeout=600)[0].splitlines()[-1]) if beside else {"p99_ms": 0.0}
        assert stdout, stderr
        report = json.loads(stdout.splitlines()[-1])
        return Outcome(
            produced=report["produced"],
            stats=report["stats"],
            unique=receiver.unique,
            duplicates=receiver.duplicates,
            requests=receiver.requests,
            unacknowledged=receiver.unacknowledged,
            lines=lines_of_ours(stderr),
            exit_s=report["exit_s"],
            p50_ms=report["p50_ms"],
            p99_ms=report["p99_ms"],
            control_p99_ms=noise["p99_ms"],
            rss_start_mb=report["rss_start_kb"] / 1024,
            rss_peak_mb=report["rss_peak_kb"] / 1024,
            returncode=load.returncode,
            stderr=stderr,
        )


@dataclass
class Killed:
    """What became of the spans of a process that was killed with the spool on."""

    ended: int
    on_disk: int
    recovered: int
    duplicates: int


def kill_and_start_again(folder: Path, seconds: float) -> Killed:
    """Let the load run into an outage, kill it with SIGKILL, and let another process find its spool."""
    spool, progress = folder / "spool", folder / "progress"
    with FaultyReceiver() as receiver:
        receiver.go_away()
        options = {
            "--endpoint": receiver.endpoint,
            "--spool": str(spool),
            "--delay": "100",
            "--progress": str(progress),
        }
        victim = _start({**options, "--rate": "500", "--seconds": "60"}, os.environ)
        r.wait_until(lambda: spool.is_dir() and any(spool.iterdir()), timeout=60, what="the first file")
        r.pause(seconds)
        victim.kill()
        victim.communicate()
        ended, on_disk = (int(word) for word in progress.read_text().split())
        receiver.come_back()
        successor = _start({**options, "--rate": "100", "--requests": "100", "--progress": ""}, os.environ)
        _, stderr = successor.communicate(timeout=120)
        assert successor.returncode == 0, stderr
        killed = Killed(ended, on_disk, receiver.unique - 300, receiver.duplicates)
    # Between the note of what is on disk and the kill one more file may have been written, and one more request ended.
    assert killed.on_disk <= killed.recovered <= killed.ended + 3, killed
    assert not killed.duplicates, "the receiver was away"
    assert not [path.name for path in spool.iterdir() if path.suffix == ".corrupt"]
    return killed


def _start(options: Mapping[str, str], environ: Mapping[str, str]) -> subprocess.Popen[str]:
    arguments = [part for name, value in options.items() if value != "" for part in (name, value)]
    return subprocess.Popen(
        [sys.executable, str(LOAD), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={name: value for name, value in environ.items() if not name.lower().endswith("_proxy")},
    )
