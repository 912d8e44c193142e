# SPDX-License-Identifier: Apache-2.0
"""How programs end, in real processes: what they had ended arrives, what was open is marked, exit codes are theirs."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from faults.receiver import FaultyReceiver, hang
from support.otlp import Answer, OtlpReceiver
from support.program import Place, lines_of_others, lines_of_ours

PROGRAMS = Path(__file__).parent / "programs"
# What an exit may take on a busy machine beside its budget.
MARGIN = 3.0


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as running:
        yield running


@pytest.fixture(params=["lean", "sdk"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def place(tmp_path: Path, receiver: OtlpReceiver) -> Place:
    return Place(tmp_path, PYTHONPATH=str(PROGRAMS), ENDPOINT=receiver.endpoint)


def run(place: Place, code: str, **variables: str) -> Any:
    """Run a program that begins with ``from traced_program import *``."""
    place.write("program.py", "from traced_program import *\nimport atexit, os, signal, sys, threading, time\n" + code)
    return place.run("python", "program.py", **variables)


def names(receiver: OtlpReceiver) -> list[str]:
    return sorted(span.name for span in receiver.spans())


@pytest.mark.parametrize(
    ("how", "code", "status"),
    [
        ("falls off its end", "", 0),
        ("sys.exit", "sys.exit(3)", 3),
        ("sys.exit with words", "sys.exit('bye')", 1),
        ("an exception", "raise ValueError('boom')", 1),
        ("SystemExit in a thread", "threading.Thread(target=sys.exit).start()", 0),
        (
            "Ctrl-C",
            "signal.signal(signal.SIGINT, signal.default_int_handler); os.kill(os.getpid(), signal.SIGINT); time.sleep(5)",
            -signal.SIGINT,
        ),
        ("SIGTERM", "os.kill(os.getpid(), signal.SIGTERM); time.sleep(5)", -signal.SIGTERM),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) and len(value) < 25 else "",
)
def test_whatever_way_it_ends(
    place: Place, receiver: OtlpReceiver, engine: str, how: str, code: str, status: int
) -> None:
    """What has ended is delivered, the exit status is the program's own, nothing is said."""
    done = run(place, f"span('one')\nspan('two')\n{code}", ENGINE=engine)

    assert names(receiver) == ["one", "two"], how
    assert done.returncode == status
    assert lines_of_ours(done.stderr) == []


def test_what_was_open_is_ended_and_marked(place: Place, receiver: OtlpReceiver, engine: str) -> None:
    """At SIGTERM the request that was being answered is in the trace; so are its finished children."""
    code = """
    with tracer.start_as_current_span("request"):
        span("child")
        with tracer.start_as_current_span("query"):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
    """
    done = run(place, "\n".join(line[4:] for line in code.splitlines()), ENGINE=engine)
    found = {span.name: span for span in receiver.spans()}

    assert done.returncode == -signal.SIGTERM
    assert sorted(found) == ["child", "query", "request"]
    assert found["query"].attributes == found["request"].attributes == {"tellwhy.unfinished": True}
    assert found["child"].attributes == {}
    assert found["query"].parent_span_id == found["request"].span_id


def test_what_other_threads_had_open_is_marked_too(place: Place, receiver: OtlpReceiver, engine: str) -> None:
    """A daemon thread in the middle of something, and a span that nobody ever ends."""
    code = (
        "never = tracer.start_span('never ended')\n"
        "ready = threading.Event()\n"
        "def work():\n"
        "    with tracer.start_as_current_span('in a thread'):\n"
        "        ready.set(); time.sleep(60)\n"
        "threading.Thread(target=work, daemon=True).start()\n"
        "ready.wait()\n"
    )
    done = run(place, code, ENGINE=engine)

    assert names(receiver) == ["in a thread", "never ended"]
    assert all(span.attributes == {"tellwhy.unfinished": True} for span in receiver.spans())
    assert done.returncode == 0


def test_handlers_that_still_trace(place: Place, receiver: OtlpReceiver, engine: str) -> None:
    """Exit handlers from before and after ours, and a daemon thread that goes on: all delivered, no traceback."""
    place.write("early.py", "import atexit\nlate = []\natexit.register(lambda: [action() for action in late])\n")
    code = (
        "import early\n"
        "atexit.register(span, 'in a handler that runs before ours')\n"
        "def after():\n"
        "    with tracer.start_as_current_span('in a handler that runs after ours'): span('its child')\n"
        "early.late.append(after)\n"
        "span('in time')\n"
    )
    place.write("program.py", "import early\nfrom traced_program import *\nimport atexit\n" + code)
    done = place.run("python", "program.py", ENGINE=engine)

    assert names(receiver) == [
        "in a handler that runs after ours",
        "in a handler that runs before ours",
        "in time",
        "its child",
    ]
    assert done.stderr == ""


def test_the_first_span_at_exit(place: Place, receiver: OtlpReceiver, engine: str) -> None:
    """From Python 3.12 on no thread can be started by then: the exiting thread delivers by itself."""
    code = "import early\nearly.late.append(lambda: span('only one'))\n"
    place.write("early.py", "import atexit\nlate = []\natexit.register(lambda: [action() for action in late])\n")
    place.write("program.py", "import early\nfrom traced_program import *\n" + code)
    done = place.run("python", "program.py", ENGINE=engine)

    assert names(receiver) == ["only one"]
    assert done.stderr == ""


def test_a_finalizer_at_exit_does_no_harm(place: Place, receiver: OtlpReceiver, engine: str) -> None:
    """``__del__`` of a global, when modules are being taken down: delivered or not, but no traceback."""
    code = "class Late:\n    def __del__(self): span('in a finalizer')\nkept = Late()\nspan('one')\n"
    done = run(place, code, ENGINE=engine)

    assert "one" in names(receiver)
    assert done.returncode == 0
    assert lines_of_others(done.stderr) == []


def test_work_that_ends_after_the_main_thread(place: Place, receiver: OtlpReceiver, engine: str) -> None:
    """Non-daemon threads and executors outlive the main thread; their spans count."""
    code = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "pool = ThreadPoolExecutor(2)\n"
        "pool.submit(lambda: (time.sleep(0.3), span('in a pool')))\n"
        "threading.Thread(target=lambda: (time.sleep(0.3), span('in a thread'))).start()\n"
        "span('main')\n"
    )
    run(place, code, ENGINE=engine)

    assert names(receiver) == ["in a pool", "in a thread", "main"]


class TestSigterm:
    """The handler stands in for the default and for nothing else."""

    def test_a_handler_from_before_stays(self, place: Place, receiver: OtlpReceiver) -> None:
        """It is called, ours is not installed, and exit is the program's own."""
        code = (
            "import signal, sys\n"
            "def handler(*_): print('theirs'); sys.exit(7)\n"
            "signal.signal(signal.SIGTERM, handler)\n"
            "from traced_program import *\n"
            "import os, time\n"
            "assert signal.getsignal(signal.SIGTERM) is handler\n"
            "span('one'); os.kill(os.getpid(), signal.SIGTERM); time.sleep(5)\n"
        )
        place.write("program.py", code)
        done = place.run("python", "program.py")

        assert (done.returncode, done.stdout) == (7, "theirs\n")
        assert names(receiver) == ["one"]

    def test_a_handler_from_after_may_chain(self, place: Place, receiver: OtlpReceiver) -> None:
        """Called by theirs, ours does nothing, as the default in its place would not even have been called."""
        code = (
            "before = signal.getsignal(signal.SIGTERM)\n"
            "def handler(*arguments):\n"
            "    if callable(before): before(*arguments)\n"
            "    print('still here'); sys.exit(7)\n"
            "signal.signal(signal.SIGTERM, handler)\n"
            "span('one'); os.kill(os.getpid(), signal.SIGTERM); time.sleep(5)\n"
        )
        done = run(place, code)

        assert (done.returncode, done.stdout) == (7, "still here\n")
        assert names(receiver) == ["one"]

    def test_the_default_that_is_put_back_is_ours(self, place: Place, receiver: OtlpReceiver) -> None:
        """A server sets its handler, loads the program, puts back what it found and raises the signal again."""
        code = (
            "import signal\n"
            "found = signal.signal(signal.SIGTERM, lambda *_: None)\n"
            "from traced_program import *\n"
            "with tracer.start_as_current_span('request'): pass\n"
            "assert signal.signal(signal.SIGTERM, found)(15, None) is None\n"
            "signal.raise_signal(signal.SIGTERM); print('went on')\n"
        )
        place.write("program.py", code)
        done = place.run("python", "program.py")

        assert (done.returncode, done.stdout) == (-signal.SIGTERM, ""), done.stderr
        assert names(receiver) == ["request"]

    def test_the_default_that_is_set_before_the_first_span(self, place: Place, receiver: OtlpReceiver) -> None:
        """The kernel's until there is something to deliver, though the main thread never looks up; then ours."""
        code = (
            "signal.signal(signal.SIGTERM, signal.SIG_DFL)\n"
            "never_looks = 'import itertools, collections; collections.deque(itertools.count(), 0)'\n"
            "child = os.fork()\n"
            "if child == 0: print('up', flush=True); exec(never_looks)\n"
            "time.sleep(0.2); os.kill(child, signal.SIGTERM)\n"
            "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -15\n"
            "span('one'); os.kill(os.getpid(), signal.SIGTERM); time.sleep(5)\n"
        )
        done = run(place, code)

        assert done.returncode == -signal.SIGTERM, done.stderr
        assert names(receiver) == ["one"]

    def test_a_child_forked_while_ours_is_in_force(self, place: Place, receiver: OtlpReceiver) -> None:
        """Put back by the parent after its first span; the child's own default is the kernel's again."""
        code = (
            "span('of the parent')\n"
            "signal.signal(signal.SIGTERM, signal.SIG_DFL)\n"
            "never_looks = 'import itertools, collections; collections.deque(itertools.count(), 0)'\n"
            "child = os.fork()\n"
            "if child == 0: exec(never_looks)\n"
            "time.sleep(0.2); os.kill(child, signal.SIGTERM)\n"
            "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -15\n"
            "os.kill(os.getpid(), signal.SIGTERM); time.sleep(5)\n"
        )
        done = run(place, code)

        assert done.returncode == -signal.SIGTERM, done.stderr
        assert names(receiver) == ["of the parent"]

    def test_an_ignored_signal_stays_ignored(self, place: Place, receiver: OtlpReceiver) -> None:
        """SIG_IGN is somebody's choice."""
        code = (
            "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            "from traced_program import *\n"
            "import os\n"
            "os.kill(os.getpid(), signal.SIGTERM); print('alive')\n"
        )
        place.write("program.py", code)
        done = place.run("python", "program.py")

        assert (done.returncode, done.stdout) == (0, "alive\n")

    def test_no_exit_handler_runs(self, place: Place, receiver: OtlpReceiver) -> None:
        """As under the default: no ``atexit``, no ``finally``."""
        code = (
            "atexit.register(print, 'atexit')\n"
            "try:\n    os.kill(os.getpid(), signal.SIGTERM); time.sleep(5)\nfinally:\n    print('finally')\n"
        )
        done = run(place, code)

        assert (done.returncode, done.stdout) == (-signal.SIGTERM, "")

    def test_while_the_main_thread_waits(self, place: Place, receiver: OtlpReceiver) -> None:
        """In a lock, a join, a sleep, a read: the signal is seen at once."""
        place.write(
            "program.py",
            "from traced_program import *\nimport sys\nspan('one'); print('up', flush=True)\nsys.stdin.read()\n",
        )
        with place.start("python", "program.py", stdin=-1) as running:
            running.wait_for("up")
            started = time.monotonic()
            done = running.stop(signal.SIGTERM)

        assert done.returncode == -signal.SIGTERM
        assert time.monotonic() - started < MARGIN
        assert names(receiver) == ["one"]

    def test_during_an_exit_that_hangs(self, tmp_path: Path) -> None:
        """The budget is one for all: a signal on the way out does not start it afresh."""
        with FaultyReceiver(hang) as hanging:
            place = Place(tmp_path, PYTHONPATH=str(PROGRAMS), ENDPOINT=hanging.endpoint, BUDGET="1500")
            place.write("program.py", "from traced_program import *\nspan('one'); print('up', flush=True)\n")
            with place.start("python", "program.py") as running:
                hanging.wait_for_requests(1)
                started = time.monotonic()
                done = running.stop(signal.SIGTERM)

        assert time.monotonic() - started < 1.5 + MARGIN
        assert done.returncode == -signal.SIGTERM
        assert "1 of 1 spans was not delivered: 1 exit" in done.stderr


@pytest.mark.parametrize("fault", ["refused", "hang", "unaccepted"])
def test_exit_keeps_its_budget(tmp_path: Path, fault: str, engine: str) -> None:
    """2,000 spans and a receiver that refuses, never answers, or does not even accept: one line, bounded time."""
    with FaultyReceiver(hang, accepting=fault != "unaccepted") as faulty:
        if fault == "refused":
            faulty.go_away()
        place = Place(tmp_path, PYTHONPATH=str(PROGRAMS), ENDPOINT=faulty.endpoint, BUDGET="500", ENGINE=engine)
        code = (
            "before = time.monotonic()\n"
            "for number in range(2000): span(str(number))\n"
            "atexit.register(lambda: print('leaving', time.monotonic()))\n"
        )
        place.write("early.py", "import atexit, time\natexit.register(lambda: print('left', time.monotonic()))\n")
        place.write("program.py", "import early\nfrom traced_program import *\nimport atexit, time\n" + code)
        done = place.run("python", "program.py")
    moments = {line.split()[0]: float(line.split()[1]) for line in done.stdout.splitlines()}

    assert done.returncode == 0
    assert moments["left"] - moments["leaving"] < 0.5 + 0.5
    (line,) = lines_of_ours(done.stderr)
    assert line.startswith("2000 of 2000 spans were not delivered: 2000 exit; ")
    if fault == "refused":
        assert "connection refused" in line


def test_two_exporters_share_one_budget(tmp_path: Path, receiver: OtlpReceiver) -> None:
    """One hangs, the other gets its share of the time all the same."""
    with FaultyReceiver(hang) as hanging:
        place = Place(
            tmp_path, PYTHONPATH=str(PROGRAMS), ENDPOINT=hanging.endpoint, OTHER=receiver.endpoint, BUDGET="1000"
        )
        code = (
            "other = BatchSpanProcessor(OTLPSpanExporter(os.environ['OTHER'] + '/v1/traces'))\n"
            "provider.add_span_processor(other); lifecycle.add(other)\n"
            "span('one')\n"
        )
        started = time.monotonic()
        done = run(place, code)

    assert names(receiver) == ["one"]
    assert time.monotonic() - started < 1.0 + MARGIN
    assert lines_of_ours(done.stderr)[-1].startswith("1 of 2 spans was not delivered: 1 exit")


def test_a_flush_shares_its_time(tmp_path: Path) -> None:
    """One exporter hangs, another is slow: the slow one's spans are there all the same, and the answer is False."""
    with FaultyReceiver(hang) as hanging, OtlpReceiver(answer=lambda _: Answer(delay=0.7)) as slow:
        place = Place(tmp_path, PYTHONPATH=str(PROGRAMS), ENDPOINT=hanging.endpoint, OTHER=slow.endpoint, BUDGET="0")
        code = (
            "other = BatchSpanProcessor(OTLPSpanExporter(os.environ['OTHER'] + '/v1/traces'))\n"
            "provider.add_span_processor(other); lifecycle.add(other)\n"
            "span('one')\n"
            "before = time.monotonic()\n"
            "print(lifecycle.flush(2.0), time.monotonic() - before < 2.0 + 1.0, other.stats()['delivered'])\n"
            "lifecycle._members.reverse(); span('two')\n"
            "print(lifecycle.flush(1.0), other.stats()['delivered'])\n"
        )
        done = run(place, code)

    assert done.stdout.splitlines() == ["False True 1", "False 2"], done.stderr


def test_a_flush_gives_the_time_that_others_leave(place: Place, receiver: OtlpReceiver) -> None:
    """Of two exporters one is done at once; the other may take nearly all of the time, and the answer is True."""
    with OtlpReceiver(answer=lambda _: Answer(delay=1.2)) as slow:
        place.environ |= {"ENDPOINT": slow.endpoint, "OTHER": receiver.endpoint}
        code = (
            "other = BatchSpanProcessor(OTLPSpanExporter(os.environ['OTHER'] + '/v1/traces'))\n"
            "provider.add_span_processor(other); lifecycle.add(other)\n"
            "span('one')\n"
            "print(lifecycle.flush(2.0))\n"
        )
        done = run(place, code)

    assert done.stdout == "True\n", done.stderr
    assert names(receiver) == ["one"]
    assert [span.name for span in slow.spans()] == ["one"]


def test_providers_of_other_signals_keep_the_budget_too(place: Place, receiver: OtlpReceiver) -> None:
    """A meter provider whose shutdown blocks for a minute is left behind when the time is up."""
    code = (
        "class Slow:\n"
        "    def force_flush(self, timeout_millis=0): return True\n"
        "    def shutdown(self): print('asked', flush=True); time.sleep(60)\n"
        "class Quick:\n"
        "    def shutdown(self): print('done', flush=True)\n"
        "lifecycle.add_provider(Slow()); lifecycle.add_provider(Quick())\n"
        "span('one')\n"
        "assert lifecycle.flush(5)\n"
    )
    started = time.monotonic()
    done = run(place, code, BUDGET="600")

    assert done.stdout.split() == ["asked", "done"]
    assert time.monotonic() - started < 0.6 + MARGIN
    assert names(receiver) == ["one"]


def test_ctrl_c_during_the_exit_ends_the_wait(tmp_path: Path) -> None:
    """Whoever presses it twice is in a hurry; what was lost is still said, without a traceback."""
    with FaultyReceiver(hang) as hanging:
        place = Place(tmp_path, PYTHONPATH=str(PROGRAMS), ENDPOINT=hanging.endpoint, BUDGET="20000")
        listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        place.write("program.py", f"{listen}from traced_program import *\nspan('one')\n")
        with place.start("python", "program.py") as running:
            hanging.wait_for_requests(1)
            time.sleep(0.2)
            started = time.monotonic()
            done = running.stop(signal.SIGINT)

    assert time.monotonic() - started < MARGIN
    assert [line.partition(";")[0] for line in done.stderr.splitlines()] == [
        "tellwhy: 1 of 1 spans was not delivered: 1 exit"
    ]


def test_a_frozen_process_has_lost_nothing_that_was_flushed(place: Place, receiver: OtlpReceiver) -> None:
    """A Lambda-like runtime stops the process after the reply: what flush() answered for is there, thaw by thaw."""
    code = (
        "for number in range(3):\n"
        "    with tracer.start_as_current_span(f'invocation {number}'): pass\n"
        "    print('flushed' if lifecycle.flush(2.0) else 'not flushed', flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGSTOP)\n"
    )
    place.write("program.py", "from traced_program import *\nimport os, signal\n" + code)
    with place.start("python", "program.py") as running:
        for number in range(3):
            running.wait_for("flushed", count=number + 1)
            assert len(receiver.spans()) == number + 1, "nothing more can come: the process stands still"
            time.sleep(0.1)
            running.process.send_signal(signal.SIGCONT)
        done = running.finish()

    assert done.stdout.split() == ["flushed"] * 3
    assert done.returncode == 0


def test_an_answer_that_is_late_counts_as_lost_in_flush_only(place: Place, receiver: OtlpReceiver) -> None:
    """flush(0.3) at a receiver that takes a second: False in time; the exit delivers."""
    receiver.answer = lambda _: Answer(delay=1.0)
    code = "span('one')\nbefore = time.monotonic()\nprint(lifecycle.flush(0.3), time.monotonic() - before < 0.9)\n"
    done = run(place, code)

    assert done.stdout.split() == ["False", "True"]
    assert names(receiver) == ["one"]
    assert lines_of_ours(done.stderr) == []


def test_install_and_uninstall_leave_everything_as_it_was(place: Place) -> None:
    """Idempotent both ways; handlers, ``os._exit`` and exit handlers are those from before."""
    code = (
        "found = signal.getsignal(signal.SIGTERM), os._exit, atexit._ncallbacks(), signal.signal\n"
        "for _ in range(2): lifecycle.install()\n"
        "assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL\n"
        "assert atexit._ncallbacks() == found[2] + 1\n"
        "for _ in range(2): lifecycle.uninstall()\n"
        "assert (signal.getsignal(signal.SIGTERM), os._exit) == found[:2]\n"
        "assert signal.signal is found[3]\n"
        "lifecycle.install()\n"
        "mine = lambda *_: None\n"
        "signal.signal(signal.SIGTERM, mine)\n"
        "lifecycle.uninstall()\n"
        "assert signal.getsignal(signal.SIGTERM) is mine\n"
        "print('as it was')\n"
    )
    done = run(place, code, INSTALL="no")

    assert done.stdout == "as it was\n", done.stderr


def test_outside_the_main_thread_there_is_no_signal_handler(place: Place, receiver: OtlpReceiver) -> None:
    """Only the main thread may set one; the rest is in place."""
    code = (
        "thread = threading.Thread(target=lifecycle.install); thread.start(); thread.join()\n"
        "assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL\n"
        "span('one')\n"
    )
    done = run(place, code, INSTALL="no")

    assert done.returncode == 0, done.stderr
    assert names(receiver) == ["one"]
