# SPDX-License-Identifier: Apache-2.0
"""The one door to all checks: ``nox`` runs the default sessions, ``nox -l`` lists the others."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nox
from nox.command import CommandFailed

nox.needs_version = ">=2024.4.15"
nox.options.sessions = ["lint", "types", "tests", "docs", "build"]
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = False

# Caches stay in the checkout unless the machine says otherwise.
_CACHE = Path(__file__).parent / ".nox" / ".cache"
for _variable in ("UV_CACHE_DIR", "PIP_CACHE_DIR", "PYRIGHT_PYTHON_CACHE_DIR"):
    os.environ.setdefault(_variable, str(_CACHE / _variable.partition("_")[0].lower()))

SUPPORTED = ("3.10", "3.11", "3.12", "3.13", "3.14")
SERVERS = [
    "gunicorn",
    "uvicorn",
    "fastapi",
    "httpx",
    "celery",
    "django",
    "gevent",
    "eventlet",
    "structlog",
    "loguru",
    "flask-sock",
]
INSTRUMENTATIONS = [
    f"opentelemetry-instrumentation-{name}" for name in ("asgi", "celery", "django", "fastapi", "threading")
]
TEST = [
    "pytest>=8",
    "pytest-timeout",
    "pytest-xdist",
    "hypothesis",
    "trustme",
    "cloudpickle",
    "hatchling",
    "numpy",
    *SERVERS,
    *INSTRUMENTATIONS,
    # uWSGI as a wheel, the same server, not compiled here; AWS Lambda's own runtime client.
    "pyuwsgi; sys_platform == 'linux'",
    "awslambdaric; sys_platform == 'linux'",
]


def _interpreters() -> list[str]:
    """Return the supported versions that are on this machine, also where pyenv keeps them off PATH."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for found in sorted(root.glob("3.*/bin")):
        if ".".join(found.parent.name.split(".")[:2]) in SUPPORTED:
            os.environ["PATH"] += os.pathsep + str(found)
    return [version for version in SUPPORTED if _works(version)]


def _works(version: str) -> bool:
    """Tell whether an interpreter really runs: a version manager's shim may only say that it cannot."""
    name = shutil.which(f"python{version}")
    if name is None:
        return False
    return subprocess.run([name, "-c", "pass"], capture_output=True, check=False).returncode == 0


FOUND = _interpreters() or [f"{sys.version_info.major}.{sys.version_info.minor}"]
MAIN = "3.11" if "3.11" in FOUND else FOUND[-1]


@nox.session(python=MAIN)
def lint(session: nox.Session) -> None:
    """Style and formatting."""
    session.install("ruff>=0.12")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session(python=MAIN)
def types(session: nox.Session) -> None:
    """Types, as mypy and pyright see them; the public face as a user's code sees it."""
    stubs = ["types-requests", "types-protobuf", "types-grpcio", "types-psycopg2"]
    session.install("-e", ".[demo]", "mypy>=1.15", "pyright[nodejs]", *stubs, "structlog", "loguru", "pytest")
    session.run("mypy")
    session.run("pyright")


# What depends on the interpreter; the rest is plain functions of text and numbers, and runs on one version.
ON_EVERY_PYTHON = [
    "tests/engine",
    "tests/traced",
    "tests/settings",
    "tests/patchers",
    "tests/delivery/test_lifecycle.py",
    "tests/context",
    "tests/delivery/test_processes.py",
    "tests/e2e/test_run_programs.py",
    "tests/e2e/test_setup_lines.py",
    "tests/test_imports.py",
]


@nox.session(python=FOUND)
def tests(session: nox.Session) -> None:
    """All tests on one Python, and on every other supported one found those that could differ there."""
    session.install(".[demo]", *TEST)
    missing = [version for version in SUPPORTED if version not in FOUND]
    if missing:
        session.log("not on this machine, so not tested: %s", ", ".join(missing))
    chosen = session.posargs or ([] if session.python == MAIN else ON_EVERY_PYTHON)
    try:
        session.run("python", "-m", "pytest", "-n", "2", "--dist", "loadgroup", *chosen)
    except CommandFailed:
        # Fault and timing tests share two cores with everything else: what failed is run
        # once more alone, and said so, to tell a defect from a starved process.
        session.warn("failed in company; once more alone")
        session.run("python", "-m", "pytest", "--last-failed", "--last-failed-no-failures", "none", *chosen)


@nox.session(python=MAIN)
def coverage(session: nox.Session) -> None:
    """How much of the code the tests reach, subprocesses included."""
    session.install("-e", ".[demo]", *TEST, "coverage[toml]>=7.10")
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", "-q", *session.posargs)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


@nox.session(python=MAIN)
def docs(session: nox.Session) -> None:
    """The generated pages are the ones that the code generates, and every link leads somewhere."""
    session.install(".")
    session.run("python", "docs/check.py")


@nox.session(python=MAIN)
def build(session: nox.Session) -> None:
    """The wheel that users get: built, complete, installed alone, and answering."""
    session.install("build", "twine")
    folder = session.create_tmp()
    session.run("python", "-m", "build", "--outdir", folder, str(Path(__file__).parent), silent=True)
    files = [str(path) for path in Path(folder).glob("tellwhy-*")]
    session.run("twine", "check", "--strict", *files)
    session.install("--force-reinstall", "--no-deps", *(name for name in files if name.endswith(".whl")))
    session.install(*nox.project.load_toml("pyproject.toml")["project"]["dependencies"])
    session.run("tellwhy", "--version")
    session.run("tellwhy", "run", "python", "-c", "import tellwhy; assert tellwhy.setup_tracing().enabled")


@nox.session(python=MAIN)
def bench(session: nox.Session) -> None:
    """Ours beside the peers, as ratios in one run. Each peer has a virtual environment of its own."""
    session.install(".[demo]")
    write = ["--write"] if "--write" in session.posargs else []
    session.run("python", "bench/run.py", *session.posargs)
    session.run("python", "bench/patchers.py", *write)
    session.run("python", "bench/anatomy.py", *write)
    session.run("python", "bench/growth.py", *write)
    session.run("python", "bench/micro_traced.py", *write)


# What the suites of Flask, requests, psycopg2 and redis-py ask for.
HOSTS = ["flask==3.1.*", "requests==2.34.*", "psycopg2-binary==2.9.*", "redis==8.1.*"]
HOSTS_TEST = [
    "pytest==8.*",
    "pytest-asyncio",
    "pytest-forked",
    "pytest-timeout",
    "pytest-httpbin",
    "pytest-mock",
    "httpbin",
    "PySocks",
    "trustme",
    "asgiref",
    "python-dotenv",
    "numpy",
    "pybreaker",
    "redis-entraid",
    "aiohttp",
    "xxhash",
    "ujson",
    "coverage",
]


@nox.session(python=MAIN)
def hosts(session: nox.Session) -> None:
    """The libraries' own test suites end the same under tellwhy as bare, test by test; takes half an hour."""
    session.install(".[demo]", *HOSTS)
    session.install(*HOSTS_TEST)  # httpbin pins what pip would otherwise weigh against OpenTelemetry's pins for minutes
    session.run("python", "tests/hosts/compare.py", *session.posargs)


@nox.session(python=MAIN)
def faults(session: nox.Session) -> None:
    """The long form of the fault harness: a minute's outage, a million spans, kill -9."""
    session.install(".[demo]", *TEST)
    session.run("python", "tests/faults/soak.py", *session.posargs)
