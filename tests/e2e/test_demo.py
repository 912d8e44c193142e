# SPDX-License-Identifier: Apache-2.0
"""``tellwhy demo`` as a new user runs it: real servers, real traces, and nothing left behind."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks for processes left behind in /proc"),
]

# What a user may well have set, none of which is meant for the demo.
MISLEADING = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "authorization=secret",
    "OTEL_TRACES_EXPORTER": "console",
    "OTEL_TRACES_SAMPLER": "always_off",
    "OTEL_SDK_DISABLED": "true",
    "OTEL_SERVICE_NAME": "mine",
    "TELLWHY_INSTRUMENT": "none",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "http_proxy": "http://127.0.0.1:9",
    "PGHOST": "production.example",
    "PGUSER": "me",
}


class Stage:
    """An empty home and temporary directory for one run, and a mark by which its processes are found."""

    def __init__(self, home: Path, temporary: str) -> None:
        self.temporary = temporary
        self.mark = f"DEMO_TEST_MARK={uuid.uuid4()}"
        name, _, value = self.mark.partition("=")
        kept = {key: os.environ[key] for key in ("PATH", "LANG", "PYTHONPATH", "VIRTUAL_ENV") if key in os.environ}
        self.environ = {**kept, "HOME": str(home), "TMPDIR": temporary, "COLUMNS": "100", name: value}

    def start(self, *words: str, **environ: str) -> subprocess.Popen[str]:
        """Start the demo."""
        return subprocess.Popen(
            [sys.executable, "-m", "tellwhy", "demo", *words],
            env={**self.environ, **environ},
            cwd=self.environ["HOME"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )

    def processes(self) -> dict[int, str]:
        """Return the processes of this stage, by id, with their command lines."""
        found = {}
        for process in Path("/proc").iterdir():
            if not process.name.isdigit():
                continue
            try:
                environ = (process / "environ").read_bytes()
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if self.mark.encode() in environ or self.temporary in command:
                found[int(process.name)] = command
        return found

    def assert_nothing_left(self, seconds: float = 0.0) -> None:
        """Check that no process and no file is left; or, where the demo was killed, that soon none is."""
        deadline = time.monotonic() + seconds
        while (left := self.processes()) or os.listdir(self.temporary):
            assert time.monotonic() < deadline, f"left behind: {left} {os.listdir(self.temporary)}"
            time.sleep(0.05)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Make a stage; its temporary directory is one that other users can get to, as /tmp is."""
    temporary = tempfile.mkdtemp(prefix="tellwhy-test-")
    os.chmod(temporary, 0o755)
    it = Stage(tmp_path, temporary)
    yield it
    for pid in it.processes():
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(temporary, ignore_errors=True)


def read_until(demo: subprocess.Popen[str], stop: str | Callable[[str], bool]) -> str:
    """Read what the demo says up to a line; what it has said so far if it ends before."""
    fits = stop if callable(stop) else lambda line: stop in line
    said = []
    assert demo.stdout is not None
    for line in demo.stdout:
        said.append(line)
        if fits(line):
            return "".join(said)
    raise AssertionError("the demo has ended:\n" + "".join(said))


def test_once_draws_every_trace_and_leaves_nothing(stage: Stage) -> None:
    """Exit 0, the three trees with all that the demo promises, whatever else the environment says."""
    started = time.monotonic()
    with stage.start("--once", **MISLEADING) as demo:
        output, _ = demo.communicate(timeout=90)
    took = time.monotonic() - started

    assert demo.returncode == 0, output
    trees = re.split(r"\n(?=[●✖] )", output)[1:]
    assert len(trees) == 3, output
    products, checkout, abroad = trees
    assert re.search(r"shop · GET /products +200 ", products)
    assert re.search(r"40 . postgresql SELECT sum\(pieces\) FROM delivery", products)
    assert "redis GET" in products
    for tree in (checkout, abroad):
        assert "payment.process" in tree
        assert "payment.order_id=" in tree
        assert "redis SET" in tree
        assert "postgresql SELECT count(*) FROM payment" in tree
        assert "bank · POST /charge 200" in tree
        assert re.search(r"why: \d+ ms of \d+ ms", tree)
        assert re.search(r"trace [0-9a-f]{32}$", tree, re.MULTILINE)
    assert "postgresql INSERT INTO payment" in checkout
    assert checkout.startswith("● ")
    assert abroad.startswith("✖ ")
    assert re.search(r"POST 127\.0\.0\.1:\d+/charge ReadTimeout +\d+ ms ✖", abroad)
    assert "Read timed out" in abroad
    assert "none missing" in output
    assert took < 60, "15 s on a machine of its own"
    stage.assert_nothing_left()
    assert os.listdir(stage.environ["HOME"]) == []


@pytest.mark.slow
def test_once_fails_and_names_the_span_that_is_missing(stage: Stage) -> None:
    """Redis is not instrumented: exit 1, and one line for each span that did not come; ASCII where no more is."""
    without_redis = ["--env", "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=redis"]
    with stage.start("--once", *without_redis, PYTHONIOENCODING="ascii", COLUMNS="80") as demo:
        output, _ = demo.communicate(timeout=120)

    assert demo.returncode == 1, output
    assert "x a checkout: missing: client span 'SET' (redis) of shop under 'payment.process'\n" in output
    assert "x the product page: missing: client span 'GET' (redis) of shop under 'GET /products'\n" in output
    assert "shop has said:" in output
    assert output.isascii()
    drawing = output.partition("the product page ")[2].partition("\nx the product page")[0]
    assert max(map(len, drawing.splitlines())) <= 80
    stage.assert_nothing_left()


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_served_until_it_is_asked_to_end(stage: Stage, number: signal.Signals) -> None:
    """A request of the user's own is drawn too; then exit 0 and nothing is left."""
    with stage.start() as demo:
        output = read_until(demo, "send spans of your own")
        shop = re.search(r"(http://127\.0\.0\.1:\d+)/products", output.partition("browse")[2])
        assert shop is not None
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{shop[1]}/no-such-page?a=1")
        read_until(demo, "GET /no-such-page")
        demo.send_signal(number)
        rest, _ = demo.communicate(timeout=30)

    assert rest.endswith("\nclosed.\n")
    assert demo.returncode == 0
    stage.assert_nothing_left()


def test_interrupted_while_it_starts(stage: Stage) -> None:
    """The servers are half up: 130, as for any interrupted program, and nothing is left."""
    with stage.start() as demo:
        read_until(demo, "Redis")
        demo.send_signal(signal.SIGINT)
        demo.communicate(timeout=30)

    assert demo.returncode == 130
    stage.assert_nothing_left(5)


def test_killed_outright(stage: Stage) -> None:
    """No handler runs; the guard does it all."""
    with stage.start() as demo:
        read_until(demo, "shop  http://")
        demo.kill()
        demo.communicate(timeout=30)

    stage.assert_nothing_left(20)


@pytest.mark.slow
def test_a_child_that_dies_ends_the_demo(stage: Stage) -> None:
    """Exit 1, with its name and last words, and nothing is left."""
    with stage.start() as demo:
        read_until(demo, "send spans of your own")
        (bank,) = [pid for pid, command in stage.processes().items() if "tellwhy.demo.bank" in command]
        os.kill(bank, signal.SIGKILL)
        output, _ = demo.communicate(timeout=30)

    assert demo.returncode == 1
    assert "tellwhy demo: bank has ended by itself:" in output
    stage.assert_nothing_left()


def test_a_port_that_is_taken_is_named(stage: Stage) -> None:
    """Before anything else is tried."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with stage.start("--once", "--port", str(port)) as demo:
            output, _ = demo.communicate(timeout=30)

    assert demo.returncode == 1
    assert output == f"tellwhy demo: shop cannot listen on port {port}: Address already in use\n"
    stage.assert_nothing_left()


def test_without_the_extra_one_line_says_how_to_get_it(stage: Stage) -> None:
    """Flask and Redis cannot be imported."""
    code = "import sys; sys.modules.update(flask=None, redis=None); from tellwhy.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "demo", "--once"]
    answer = subprocess.run(command, env=stage.environ, capture_output=True, text=True, timeout=30)

    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr == 'tellwhy demo: needs flask, redis: pip install "tellwhy[demo]"\n'


@pytest.mark.parametrize("word", ["NAME", "=value", ""])
def test_a_setting_that_is_none_is_a_usage_error(stage: Stage, word: str) -> None:
    """As argparse has it: status 2."""
    command = [sys.executable, "-m", "tellwhy", "demo", "--env", word]
    answer = subprocess.run(command, env=stage.environ, capture_output=True, text=True, timeout=30)

    assert answer.returncode == 2
    assert "expected NAME=VALUE" in answer.stderr
