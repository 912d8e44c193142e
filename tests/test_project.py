# SPDX-License-Identifier: Apache-2.0
"""What is a program called that nobody named, and which version is it?"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tellwhy.project import UNKNOWN, Project, git_commit

PYTHON = "/usr/bin/python3"


def _name(command: list[str], folder: Path, environ: dict[str, str] | None = None) -> str:
    return Project([PYTHON, *command], environ or {}, str(folder)).service_name()[0]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["app.py"], "app"),
        (["/srv/shop/worker.py", "--loud"], "worker"),
        (["-m", "shop"], "shop"),
        (["-m", "shop.jobs", "app.py"], "shop.jobs"),
        (["-mshop.jobs"], "shop.jobs"),
        (["-X", "dev", "-W", "error", "-O", "app.py"], "app"),
        (["-m", "shop.__main__"], "shop"),
        (["/srv/shop/__main__.py"], "shop"),
        (["/usr/bin/nightly-report"], "nightly-report"),
        (["-c", "import app", "x.py"], UNKNOWN),
        (["-"], UNKNOWN),
        ([], UNKNOWN),
        (["/usr/bin/gunicorn", "shop:app"], "shop"),
        (["/usr/bin/gunicorn", "-w", "2", "-b", "0.0.0.0:80", "shop.wsgi:application"], "shop"),
        (["/usr/bin/gunicorn", "shop.wsgi:app", "--workers=2"], "shop"),
        (["-m", "gunicorn", "shop.api.app:create()"], "shop.api"),
        (["/usr/bin/uvicorn", "--port", "80", "shop.main:app"], "shop"),
        (["-m", "uvicorn", "--factory", "shop:create"], "shop"),
        (["/usr/bin/flask", "--app", "shop", "run"], "shop"),
        (["-m", "flask", "--app=shop/app.py", "run"], "shop"),
        (["/usr/bin/flask", "run"], "here"),
        (["/usr/bin/celery", "-A", "shop.tasks", "worker"], "shop.tasks"),
        (["/usr/bin/celery", "--app=shop", "worker", "-l", "info"], "shop"),
        (["/usr/bin/gunicorn", "-c", "conf.py"], "here"),
        (["/usr/bin/uwsgi", "--http", "0.0.0.0:80", "--module", "shop.wsgi:application", "--master"], "shop"),
        (["/usr/bin/uwsgi", "-w", "shop", "-p", "4"], "shop"),
        (["/usr/bin/uwsgi", "--wsgi-file=shop/app.py"], "shop"),
        (["/usr/bin/uwsgi", "--ini", "conf.ini"], "here"),
    ],
)
def test_name_of_a_launch(tmp_path: Path, command: list[str], expected: str) -> None:
    """The script, the module, or the application that a server was given."""
    folder = tmp_path / "here"
    folder.mkdir()

    assert _name(command, folder) == expected


def test_lambda_function(tmp_path: Path) -> None:
    """On AWS Lambda every program is the runtime client; the function has a name of its own."""
    command = ["-m", "awslambdaric", "function.handler"]

    assert _name(command, tmp_path, {"AWS_LAMBDA_FUNCTION_NAME": "checkout"}) == "checkout"


def test_flask_app_by_variable(tmp_path: Path) -> None:
    """``FLASK_APP`` names what ``flask run`` serves."""
    assert _name(["/usr/bin/flask", "run"], tmp_path, {"FLASK_APP": "shop/wsgi.py"}) == "shop"


def test_projects_own_name_is_better(tmp_path: Path) -> None:
    """``[project] name`` of the script's folder or above wins over the script's name, and says where it is from."""
    (tmp_path / "pyproject.toml").write_text("[tool.x]\nname = 'no'\n[project]\nname = \"web-shop\" # comment\n")
    (tmp_path / "jobs").mkdir()

    project = Project([PYTHON, "jobs/nightly.py"], {}, str(tmp_path))

    assert project.service_name() == ("web-shop", "named after pyproject.toml")
    assert _name(["/usr/bin/flask", "run"], tmp_path / "jobs") == "web-shop"


@pytest.mark.parametrize(
    ("host", "expected"),
    [("checkout-7d9f8b6c5-x2x4z", "checkout"), ("web-shop-5d4f7c9b8d-abcde", "web-shop"), ("plain", "app")],
)
def test_kubernetes_deployment(tmp_path: Path, host: str, expected: str) -> None:
    """A pod's name holds that of its deployment."""
    assert _name(["app.py"], tmp_path, {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "HOSTNAME": host}) == expected
    assert _name(["app.py"], tmp_path, {"HOSTNAME": host}) == "app"


def _git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@example.com", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()


def test_version_is_the_commit(tmp_path: Path) -> None:
    """The commit that is checked out: on a branch, detached, packed, and in a worktree."""
    repository = tmp_path / "repository"
    repository.mkdir()
    _git(repository, "init", "-q", "-b", "feature/x")
    assert git_commit(str(repository)) == ""
    (repository / "file").write_text("1")
    _git(repository, "add", ".")
    _git(repository, "commit", "-q", "-m", "first")
    commit = _git(repository, "rev-parse", "HEAD")[:12]
    (repository / "deep").mkdir()

    assert git_commit(str(repository / "deep")) == commit
    assert Project([PYTHON, "deep/app.py"], {}, str(repository)).service_version() == (commit, "git")
    _git(repository, "pack-refs", "--all")
    assert git_commit(str(repository)) == commit
    _git(repository, "worktree", "add", "-q", str(tmp_path / "worktree"), "-b", "other")
    assert git_commit(str(tmp_path / "worktree")) == commit
    _git(repository, "checkout", "-q", "--detach")
    assert git_commit(str(repository)) == commit


def test_version_of_the_project_without_git(tmp_path: Path) -> None:
    """Without git the version is the project's; without both there is none."""
    assert Project([PYTHON, "app.py"], {}, str(tmp_path)).service_version() == ("", "")
    (tmp_path / "pyproject.toml").write_text("[project]\nversion = '1.2.3'\n")
    assert Project([PYTHON, "app.py"], {}, str(tmp_path)).service_version() == ("1.2.3", "pyproject.toml")
    (tmp_path / "pyproject.toml").write_text("[project]\ndynamic = ['version']\n[tool.y]\nversion = '9'\n")
    assert Project([PYTHON, "app.py"], {}, str(tmp_path)).service_version() == ("", "")


@pytest.mark.parametrize("head", ["", "ref: refs/heads/none", "ref: ../../secret", "not a commit", "0" * 39 + "g"])
def test_broken_repository_has_no_version(tmp_path: Path, head: str) -> None:
    """What is no repository, or a damaged one, gives no version and no error."""
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text(head)

    assert git_commit(str(tmp_path)) == ""


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.text(max_size=12) | st.sampled_from(["-m", "-c", "-X", "gunicorn", "flask", "a:b", "--app", "__main__.py"]),
        max_size=6,
    )
)
def test_any_command_line_has_a_name(command: list[str]) -> None:
    """No command line raises, and each has a name that is not empty."""
    assert _name(command, Path("/"))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=80))
def test_any_file_of_a_project_is_read(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Whatever stands in pyproject.toml and .git/HEAD, name and version come out."""
    folder = tmp_path_factory.mktemp("any")
    (folder / ".git").mkdir()
    (folder / ".git" / "HEAD").write_bytes(content)
    (folder / "pyproject.toml").write_bytes(b"[project]\nname = " + content)

    project = Project([PYTHON, "app.py"], {}, str(folder))

    assert project.service_name()[0]
    assert isinstance(project.service_version()[0], str)
