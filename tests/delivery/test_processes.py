# SPDX-License-Identifier: Apache-2.0
"""Processes that fork: each delivers its own spans and nobody else's, whatever made it and however it leaves."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from faults.receiver import FaultyReceiver, hang
from support.otlp import OtlpReceiver
from support.program import Place, lines_of_others, lines_of_ours, wait_until

PROGRAMS = Path(__file__).parent / "programs"
UWSGI = which("uwsgi", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))


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
    place.write("program.py", "from traced_program import *\nimport atexit, os, signal, sys, threading, time\n" + code)
    return place.run("python", "program.py", **variables)


def names(receiver: OtlpReceiver) -> list[str]:
    return sorted(span.name for span in receiver.spans())


def test_a_child_delivers_its_own_spans_and_no_others(place: Place, receiver: OtlpReceiver, engine: str) -> None:
    """What was queued and what was open at the fork is the parent's; each span arrives once."""
    code = (
        "span('queued in the parent')\n"
        "with tracer.start_as_current_span('outer'):\n"
        "    with tracer.start_as_current_span('inner'):\n"
        "        child = os.fork()\n"
        "        if child == 0:\n"
        "            span('of the child')\n"
        "if child == 0: sys.exit(5)\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5\n"
        "assert processor.stats()['produced'] == 3, processor.stats()\n"
    )
    done = run(place, code, ENGINE=engine)
    found = {span.name: span for span in receiver.spans()}

    assert done.returncode == 0, done.stderr
    assert names(receiver) == ["inner", "of the child", "outer", "queued in the parent"]
    assert found["of the child"].parent_span_id == found["inner"].span_id
    assert all("tellwhy.unfinished" not in span.attributes for span in receiver.spans())
    assert lines_of_ours(done.stderr) == []


def test_a_child_starts_with_fresh_counts_and_no_thread(place: Place, receiver: OtlpReceiver, engine: str) -> None:
    """Nothing of the parent's account, no worker until its first span, a budget of its own."""
    code = (
        "for number in range(5): span('of the parent')\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    assert processor.stats()['produced'] == 0\n"
        "    assert threading.active_count() == 1\n"
        "    span('of the child')\n"
        "    assert threading.active_count() > 1\n"
        "    assert lifecycle.flush(5)\n"
        "    assert processor.stats()['delivered'] == 1\n"
        "    os._exit(9)\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9\n"
    )
    done = run(place, code, ENGINE=engine)

    assert done.returncode == 0, done.stderr
    assert Counter(names(receiver)) == {"of the parent": 5, "of the child": 1}


def test_forks_while_a_batch_is_on_its_way(place: Place, receiver: OtlpReceiver, engine: str) -> None:
    """Many forks beside a busy worker: no hang, nothing lost, nothing twice."""
    code = (
        "stop = []\n"
        "def busy():\n"
        "    while not stop:\n"
        "        span('of the parent'); made.append(1); time.sleep(0.0005)\n"
        "made = []\n"
        "thread = threading.Thread(target=busy); thread.start()\n"
        "children = []\n"
        "for number in range(20):\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        span('of a child'); sys.exit(0)\n"
        "    children.append(child)\n"
        "for child in children: assert os.waitpid(child, 0)[1] == 0\n"
        "stop.append(1); thread.join()\n"
        "print(len(made))\n"
    )
    done = run(place, code.replace("sys.exit(0)", "lifecycle.flush(5); os._exit(0)"), ENGINE=engine)
    counted = Counter(names(receiver))

    assert done.returncode == 0, done.stderr
    assert counted == {"of the parent": int(done.stdout), "of a child": 20}
    assert len({span.span_id for span in receiver.spans()}) == len(receiver.spans())


def test_a_fork_during_the_first_delivery(place: Place, receiver: OtlpReceiver) -> None:
    """The worker imports what it needs when the first batch is due; a fork must not cut that in two."""
    code = (
        "processor._courier._delay = 0.001\n"
        "span('of the parent')\n"
        "children = []\n"
        "for number in range(30):\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        span('of a child'); lifecycle.flush(10); os._exit(0)\n"
        "    children.append(child); time.sleep(0.004)\n"
        "for child in children: assert os.waitpid(child, 0)[1] == 0\n"
    )
    done = run(place, code)

    assert done.returncode == 0, done.stderr
    assert Counter(names(receiver)) == {"of the parent": 1, "of a child": 30}


def test_a_fork_during_any_import_of_ours(place: Place, receiver: OtlpReceiver) -> None:
    """Whatever loads late, on whichever thread, is whole in the child: made slow here, so that forks do meet it."""
    code = (
        "from importlib.machinery import PathFinder\n"
        "class Slow:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if not name.startswith('tellwhy') or threading.current_thread() is threading.main_thread(): return\n"
        "        spec = PathFinder.find_spec(name, path)\n"
        "        execute = spec.loader.exec_module\n"
        "        spec.loader.exec_module = lambda module: (time.sleep(0.05), execute(module))\n"
        "        return spec\n"
        "sys.meta_path.insert(0, Slow())\n"
        "thread = threading.Thread(target=span, args=['of the parent']); thread.start()\n"
        "children = []\n"
        "for number in range(10):\n"
        "    time.sleep(0.04 if number < 5 else 0.3)\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        span('of a child'); lifecycle.flush(10); os._exit(0)\n"
        "    children.append(child)\n"
        "for child in children: assert os.waitpid(child, 0)[1] == 0\n"
    )
    done = run(place, code)

    assert done.returncode == 0, done.stderr
    assert Counter(names(receiver)) == {"of the parent": 1, "of a child": 10}


def test_callbacks_in_a_child(place: Place, receiver: OtlpReceiver) -> None:
    """on_fork_child: called in the child alone, once delivery has started afresh; a failing one is told of."""
    code = (
        "forget = lifecycle.on_fork_child(lambda: print('never'))\n"
        "lifecycle.on_fork_child(lambda: 1 / 0)\n"
        "lifecycle.on_fork_child(lambda: print(processor.stats()['produced'], flush=True))\n"
        "forget()\n"
        "span('one')\n"
        "child = os.fork()\n"
        "if child == 0: os._exit(0)\n"
        "os.waitpid(child, 0)\n"
    )
    done = run(place, code)

    assert done.stdout == "0\n"
    assert "internal fault in a forked child: ZeroDivisionError" in done.stderr


MULTIPROCESSING = """
import multiprocessing, os, sys, time
from concurrent.futures import ProcessPoolExecutor
from traced_program import *

def work(number):
    with tracer.start_as_current_span(f'work {number}', attributes={'pid': os.getpid()}):
        return number

def work_and_exit(number):
    work(number)
    os._exit(4)

def hang(number):
    with tracer.start_as_current_span('open'):
        work(number); started.set(); time.sleep(60)

def initialize(event):
    global started
    started = event

if __name__ == '__main__':
    context = multiprocessing.get_context(sys.argv[1])
    span('of the parent')
    how = sys.argv[2]
    if how == 'process':
        children = [context.Process(target=work, args=(number,)) for number in range(3)]
        for child in children: child.start()
        for child in children: child.join()
        assert [child.exitcode for child in children] == [0] * 3
    elif how == 'pool':
        with context.Pool(2) as pool:
            assert pool.map(work, range(3)) == [0, 1, 2]
    elif how == 'closed pool':
        with context.Pool(2) as pool:
            assert pool.map(work, range(3)) == [0, 1, 2]
            pool.close(); pool.join()
    elif how == 'executor':
        with ProcessPoolExecutor(2, mp_context=context) as executor:
            assert list(executor.map(work, range(3))) == [0, 1, 2]
    elif how == 'os._exit':
        children = [context.Process(target=work_and_exit, args=(number,)) for number in range(3)]
        for child in children: child.start()
        for child in children: child.join()
        assert [child.exitcode for child in children] == [4] * 3
    elif how == 'terminate':
        event = context.Event()
        child = context.Process(target=hang_in, args=(event, 0))
        child.start(); event.wait(); child.terminate(); child.join()
        assert child.exitcode == -15, child.exitcode
""".replace(
    "def initialize(event):\n    global started\n    started = event",
    "def hang_in(event, number):\n    global started\n    started = event\n    hang(number)",
)


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
@pytest.mark.parametrize("how", ["process", "pool", "closed pool", "executor", "os._exit"])
def test_children_of_multiprocessing(place: Place, receiver: OtlpReceiver, method: str, how: str) -> None:
    """Every start method, every way in and out: all spans of all children arrive, each once."""
    place.write("program.py", MULTIPROCESSING)
    done = place.run("python", "program.py", method, how)

    assert done.returncode == 0, done.stderr
    assert names(receiver) == ["of the parent", "work 0", "work 1", "work 2"]
    assert lines_of_ours(done.stderr) == []


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_a_terminated_child(place: Place, receiver: OtlpReceiver, method: str) -> None:
    """Process.terminate() is SIGTERM: finished and open spans arrive, the exit code is still -15."""
    place.write("program.py", MULTIPROCESSING)
    done = place.run("python", "program.py", method, "terminate")

    assert done.returncode == 0, done.stderr
    assert names(receiver) == ["of the parent", "open", "work 0"]


def test_a_child_exits_within_the_budget(tmp_path: Path) -> None:
    """A hanging receiver holds a child up for the budget and no longer; its loss is said."""
    with FaultyReceiver(hang) as hanging:
        place = Place(tmp_path, PYTHONPATH=str(PROGRAMS), ENDPOINT=hanging.endpoint, BUDGET="500")
        code = (
            "import multiprocessing\n"
            "child = multiprocessing.get_context('fork').Process(target=span, args=('lost',))\n"
            "before = time.monotonic()\n"
            "child.start(); child.join()\n"
            "print(time.monotonic() - before, child.exitcode)\n"
        )
        done = run(place, code)
    assert done.returncode == 0, done.stderr
    seconds, code = done.stdout.split()

    assert float(seconds) < 1.5
    assert code == "0"
    (line,) = lines_of_ours(done.stderr)
    assert line.startswith("1 of 1 spans was not delivered: 1 exit; ")


def test_os_exit_is_left_alone_elsewhere(place: Place, receiver: OtlpReceiver) -> None:
    """Only in children of multiprocessing and billiard; not in the program itself, not in a plain fork, not in a grandchild."""
    code = (
        "import multiprocessing\n"
        "real = os._exit\n"
        "def child():\n"
        "    assert os._exit is not real\n"
        "    grandchild = os.fork()\n"
        "    if grandchild == 0: real(0 if os._exit is real else 1)\n"
        "    assert os.waitpid(grandchild, 0)[1] == 0\n"
        "process = multiprocessing.get_context('fork').Process(target=child)\n"
        "process.start(); process.join()\n"
        "assert process.exitcode == 0\n"
        "plain = os.fork()\n"
        "if plain == 0: real(0 if os._exit is real else 1)\n"
        "assert os.waitpid(plain, 0)[1] == 0\n"
        "assert os._exit is real\n"
        "print('alone')\n"
    )
    done = run(place, code)

    assert done.stdout == "alone\n", done.stderr


@pytest.mark.parametrize("options", [(), ("--preload",), ("--threads", "2")], ids=["plain", "preload", "threads"])
@pytest.mark.parametrize("at_import", ["", "yes"], ids=["no-span-at-import", "span-at-import"])
def test_gunicorn(place: Place, receiver: OtlpReceiver, options: tuple[str, ...], at_import: str) -> None:
    """Two workers, requests to both, a graceful stop: every request's span arrives, once."""
    # A SIGTERM that comes before a worker has its own handler is lost, and gunicorn waits half a minute for it.
    place.write("conf.py", "def post_worker_init(worker): worker.log.info('ready')\n")
    command = ("gunicorn", "-c", "conf.py", "-w", "2", "-b", "127.0.0.1:0", *options, "worker_app:app")
    with place.start(*command, SPAN_AT_IMPORT=at_import) as server:
        port = server.wait_for(r"Listening at: http://127\.0\.0\.1:(\d+)")
        server.wait_for(r"\] ready", count=2)
        pids = {server.get(f"/{number}", port)[1] for number in range(40)}
        done = server.stop(signal.SIGTERM)
    counted = Counter(names(receiver))
    imports = counted.pop("at import", 0)

    assert counted == {f"GET /{number}": 1 for number in range(40)}, done.stderr
    assert imports == (0 if not at_import else 1 if "--preload" in options else 2)
    assert {str(span.attributes["pid"]) for span in receiver.spans() if "pid" in span.attributes} == pids
    assert done.returncode == 0
    assert lines_of_ours(done.stderr) == []


@pytest.mark.parametrize("options", [(), ("--workers", "2")], ids=["one", "two-workers"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_uvicorn(place: Place, receiver: OtlpReceiver, options: tuple[str, ...], number: int) -> None:
    """A graceful stop: uvicorn puts the default back and raises the signal again, and every span arrives."""
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    serve = "import sys, uvicorn\nif __name__ == '__main__':\n    sys.exit(uvicorn.main())\n"  # workers import it, too
    place.write("serve.py", listen + serve)
    command = ("python", "serve.py", "asgi_by_hand:app", "--port", "0", "--log-level", "info", *options)
    with place.start(*command) as server:
        port = server.wait_for(r"running on http://127\.0\.0\.1:(\d+)")
        for path in range(5):
            assert server.get(f"/{path}", port)[1] == "ok"
        done = server.stop(number)

    assert names(receiver) == [f"GET /{path}" for path in range(5)], done.stderr
    assert lines_of_ours(done.stderr) == []


@pytest.mark.parametrize("options", [(), ("--preload",)], ids=["plain", "preload"])
def test_gunicorn_with_uvicorn(place: Place, receiver: OtlpReceiver, options: tuple[str, ...]) -> None:
    """Workers that set the default and their own handler after the application is loaded; a graceful stop loses nothing."""
    command = ("gunicorn", "-w", "2", "-k", "uvicorn.workers.UvicornWorker", "-b", "127.0.0.1:0", *options)
    with place.start(*command, "asgi_by_hand:app") as server:
        port = server.wait_for(r"Listening at: http://127\.0\.0\.1:(\d+)")
        server.wait_for("Application startup complete", count=2)  # before, gunicorn's child swallows its SIGTERM
        for path in range(10):
            assert server.get(f"/{path}", port)[1] == "ok"
        done = server.stop(signal.SIGTERM)

    assert names(receiver) == sorted(f"GET /{path}" for path in range(10)), done.stderr
    assert done.returncode == 0
    assert lines_of_ours(done.stderr) == []


@pytest.mark.parametrize(
    "command",
    [
        ("gunicorn", "-w", "1", "-b", "127.0.0.1:0", "worker_app:app"),
        ("gunicorn", "-w", "1", "-b", "127.0.0.1:0", "-k", "gthread", "worker_app:app"),
        ("gunicorn", "-w", "1", "-b", "127.0.0.1:0", "-k", "uvicorn.workers.UvicornWorker", "asgi_by_hand:app"),
        ("uvicorn", "asgi_by_hand:app", "--port", "0"),
        ("uvicorn", "asgi_by_hand:app", "--port", "0", "--workers", "2"),
    ],
    ids=["gunicorn", "gunicorn-threads", "gunicorn-uvicorn", "uvicorn", "uvicorn-workers"],
)
def test_a_stream_that_is_going_on_at_the_stop(place: Place, receiver: OtlpReceiver, command: tuple[str, ...]) -> None:
    """A graceful stop lets it come to its end: the client has all of it, and its span is a finished one."""
    with place.start(*command) as server:
        port = server.wait_for(r"(?:Listening at:|running on) http://127\.0\.0\.1:(\d+)")
        if "asgi_by_hand:app" in command:
            server.wait_for("Application startup complete", count=2 if "--workers" in command else 1)
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=20)
        connection.request("GET", "/stream")
        answer = connection.getresponse()
        first = answer.read(1)
        server.process.send_signal(signal.SIGTERM)
        body = first + answer.read()
        done = server.finish()
    (span,) = receiver.spans()

    assert body.startswith(b"........")
    assert span.name == "GET /stream"
    assert "tellwhy.unfinished" not in span.attributes
    assert lines_of_ours(done.stderr) == []


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--max-tasks-per-child", "1")], ids=["plain", "one-task-each"])
def test_celery_prefork(place: Place, receiver: OtlpReceiver, tmp_path: Path, options: tuple[str, ...]) -> None:
    """Every task's span arrives, though the children of billiard leave by os._exit or are terminated."""
    folder = tmp_path / "broker"
    folder.mkdir()
    place.environ["BROKER_FOLDER"] = str(folder)
    place.write("send.py", "from celery_tasks import work\nfor number in range(6): work.delay(number)\n")
    command = ("celery", "-A", "celery_tasks", "worker", "-P", "prefork", "-c", "2", "-l", "INFO",
               "--without-gossip", "--without-mingle", "--without-heartbeat", *options)  # fmt: skip
    # Sent before anybody looks: a broker of files may show one that is not written to its end.
    assert place.run("python", "send.py").returncode == 0
    with place.start(*command) as worker:
        worker.wait_for(r"celery_tasks\.work\[\S+\] succeeded", timeout=60, count=6)
        done = worker.stop(signal.SIGTERM, timeout=60)

    assert names(receiver) == [f"task {number}" for number in range(6)], done.stderr
    assert lines_of_others(done.stderr) != []
    assert lines_of_ours(done.stderr) == []


@pytest.mark.slow
@pytest.mark.skipif(find_spec("gevent") is None, reason="gevent has no wheel for every Python")
def test_gevent(place: Place, receiver: OtlpReceiver) -> None:
    """Patched first, as gevent demands: the worker is a greenlet, and neither blocks the other."""
    code = (
        "from gevent import monkey; monkey.patch_all()\n"
        "import gevent, time\n"
        "from traced_program import *\n"
        "def work(number):\n"
        "    with tracer.start_as_current_span(f'greenlet {number}'): gevent.sleep(0.05)\n"
        "gevent.joinall([gevent.spawn(work, number) for number in range(20)])\n"
        "before = time.monotonic()\n"
        "assert lifecycle.flush(5)\n"
        "for number in range(600): span('many')\n"
        "ticks = 0\n"
        "while processor.stats()['queued'] and time.monotonic() - before < 5:\n"
        "    gevent.sleep(0.001); ticks += 1\n"
        "print(processor.stats()['delivered'], ticks)\n"
    )
    place.write("program.py", code)
    done = place.run("python", "program.py")

    assert done.returncode == 0, done.stderr
    assert len(receiver.spans()) == 620
    assert lines_of_ours(done.stderr) == []


def test_the_parent_of_a_child_that_dies_keeps_its_connection(place: Place, receiver: OtlpReceiver) -> None:
    """The child lets go of its copy without a word to the receiver."""
    code = (
        "span('one'); assert lifecycle.flush(5)\n"
        "child = os.fork()\n"
        "if child == 0: sys.exit(0)\n"
        "os.waitpid(child, 0)\n"
        "span('two'); assert lifecycle.flush(5)\n"
    )
    done = run(place, code)
    wait_until(lambda: len(receiver.spans()) == 2, "both spans")

    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.skipif(UWSGI is None, reason="uWSGI is not installed")
@pytest.mark.parametrize("loading", [(), ("--lazy-apps",)], ids=["before-the-fork", "lazy"])
@pytest.mark.parametrize("threads", [(), ("--enable-threads",)], ids=["no-threads", "threads"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_uwsgi(
    place: Place, receiver: OtlpReceiver, loading: tuple[str, ...], threads: tuple[str, ...], number: int
) -> None:
    """Forks without telling Python: the workers find out by themselves, and every request's span arrives, once."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with place.start(
        str(UWSGI), "--master", "--processes", "2", "--module", "worker_app:app", "--http-socket", f"127.0.0.1:{port}",
        "--virtualenv", sys.prefix, "--die-on-term", *loading, *threads, SPAN_AT_IMPORT="yes",
    ) as server:  # fmt: skip
        pids: set[str] = set()
        asked = 0
        while len(pids) < 2 and asked < 2000:
            pids.add(server.get(f"/{asked}", port)[1])
            asked += 1
        server.wait_for(r"generated \d+ bytes", count=asked)  # it is done with them, not only we
        done = server.stop(number)
    counted = Counter(name for name in names(receiver) if name != "at import")

    assert counted == {f"GET /{number}": 1 for number in range(asked)}, done.stderr
    assert lines_of_ours(done.stderr) == []
