# SPDX-License-Identifier: Apache-2.0
"""
Do the libraries' own test suites end the same, test by test, under ``tellwhy run`` as bare? ``nox -s hosts``.

The suites come with the source distributions of the installed versions, the
servers are real. A test that ends in another way is run again alone, both ways:
one that is unsteady by itself is named and is no difference. Exits 1 where a
suite has one, or was not traced at all.

``python tests/hosts/compare.py [--folder FOLDER] [flask requests psycopg2 redis] [-- pytest arguments]``
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from support.otlp import OtlpReceiver  # noqa: E402
from support.servers import running_postgres, running_redis  # noqa: E402

Ends = dict[str, str]
_TRIES = 3  # of a test that ended in another way


class Host(NamedTuple):
    """One library's suite: its distribution, what pytest is told, and what it is to find in its environment."""

    distribution: str
    arguments: Callable[[str, str], list[str]]
    variables: Callable[[str], dict[str, str]] = lambda _: {}
    plugins: tuple[str, ...] = ()


def _postgres_variables(postgres: str) -> dict[str, str]:
    url = urlsplit(postgres)
    names = {
        "": url.path[1:], "_HOST": url.hostname, "_PORT": url.port, "_USER": url.username, "_PASSWORD": url.password
    }  # fmt: skip
    return {f"PSYCOPG2_TESTDB{name}": str(value) for name, value in names.items()}


# Whatever wants a cluster, sentinels, TLS or Redis' modules would wait for servers that are not there.
_REDIS_MARKS = "not onlycluster and not redismod and not ssl and not multidb_integration and not cp_integration"
HOSTS = {
    "flask": Host("flask", lambda *_: ["tests"]),
    "requests": Host("requests", lambda *_: ["tests"], plugins=("pytest_httpbin.plugin", "pytest_mock")),
    "psycopg2": Host("psycopg2", lambda *_: ["tests"], _postgres_variables),
    "redis": Host(
        "redis",
        lambda _, redis: ["tests", "-m", _REDIS_MARKS, "--ignore=tests/test_scenario", f"--redis-url={redis}"],
        plugins=("pytest_asyncio.plugin", "pytest_timeout", "pytest_forked"),
    ),
}


class Suite:
    """A host's unpacked tests, with the servers that they use."""

    def __init__(self, host: Host, folder: Path, postgres: str, redis: str) -> None:
        self.folder = _unpacked(host.distribution, folder)
        self.arguments = host.arguments(postgres, redis)
        self.variables = host.variables(postgres)
        self.plugins = [word for name in ("host_outcomes", *host.plugins) for word in ("-p", name)]

    def run(self, chosen: Sequence[str], *, traced: bool) -> tuple[Ends, int]:
        """Run all tests, or those chosen, in a process of its own; returns how they ended, and how many spans came."""
        with tempfile.TemporaryDirectory() as scratch, OtlpReceiver() as receiver:
            outcomes = Path(scratch) / "outcomes.json"
            path = os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH"))))
            environ = {
                **os.environ,
                **self.variables,
                "PYTHONPATH": path,
                "HOST_OUTCOMES": str(outcomes),
                "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
                "TELLWHY_DIAGNOSTICS": "quiet",
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            }
            wrapper = [str(Path(sys.executable).parent / "tellwhy"), "run"] if traced else []
            done = subprocess.run(
                [*wrapper, sys.executable, "-m", "pytest", "-q", "--no-header", "--tb=no", "-p", "no:cacheprovider", *self.plugins,
                 *(chosen or self.arguments)],
                cwd=self.folder, env=environ, check=False, capture_output=True, text=True, errors="replace",
            )  # fmt: skip
            if not outcomes.exists():
                raise RuntimeError(f"{self.folder.name} did not run:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
            ends: Ends = json.loads(outcomes.read_text())
            return ends, len(receiver.spans()) if traced else 0


def _unpacked(distribution: str, folder: Path) -> Path:
    """Return the folder of the installed version's source distribution, downloaded if it is not there."""
    name = f"{distribution}-{version('psycopg2-binary' if distribution == 'psycopg2' else distribution)}"
    if not (folder / name).exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:",
             "--dest", str(folder), name.replace("-", "==", 1)],
            check=True,
        )  # fmt: skip
        with tarfile.open(folder / f"{name}.tar.gz") as archive:
            archive.extractall(folder)
    return folder / name


def compare(name: str, suite: Suite) -> bool:
    """Run a suite both ways; tell whether every test ends the same, and say which do not."""
    bare, _ = suite.run((), traced=False)
    traced, spans = suite.run((), traced=True)
    changed = [test for test in sorted(bare.keys() | traced.keys()) if bare.get(test) != traced.get(test)]
    different = []
    for test in changed:
        without, with_ = {bare.get(test)}, {traced.get(test)}
        for _ in range(_TRIES):
            without.add(suite.run((test,), traced=False)[0].get(test))
            with_.add(suite.run((test,), traced=True)[0].get(test))
        steady = len(without) == len(with_) == 1
        different += [test] if steady or not without & with_ else []
        print(f"  {test}: {_told(without)} without, {_told(with_)} with", flush=True)
    passed = sum(end == "call passed" for end in bare.values())
    print(
        f"{name} {suite.folder.name}: {len(bare)} tests, {passed} pass bare, {spans} spans arrived, "
        f"{len(different)} end in another way, {len(changed) - len(different)} are unsteady by themselves",
        flush=True,
    )
    return not different and spans > 0


def _told(ends: set[str | None]) -> str:
    return " or ".join(sorted(end or "not run" for end in ends))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("hosts", nargs="*", default=list(HOSTS), help="by default all")
    parser.add_argument("--folder", type=Path, default=HERE.parent.parent / ".nox" / "hosts")
    options = parser.parse_args()
    same = True
    with running_postgres() as postgres, running_redis() as redis:
        for name in options.hosts:
            same &= compare(name, Suite(HOSTS[name], options.folder.resolve(), postgres, redis))
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
