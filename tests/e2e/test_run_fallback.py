# SPDX-License-Identifier: Apache-2.0
"""Does the wrapper work where no ``.pth`` file is read: a package in a folder that is only on PYTHONPATH?"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

import tellwhy
from support.otlp import OtlpReceiver
from support.program import Place, lines_of_others, lines_of_ours


@pytest.fixture
def engine() -> str:
    """The default one: nothing here depends on it."""
    return "lean"


SOURCE = Path(tellwhy.__file__).parent
PTH = Path(__file__).parents[2] / "src" / "tellwhy" / "bootstrap" / "tellwhy.pth"  # a wheel has it beside the package


@pytest.fixture(scope="module")
def interpreter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An interpreter of its own, with nothing installed in it."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    import venv

    venv.create(folder, symlinks=True)
    yield str(folder / "bin" / "python")


@pytest.fixture
def target(place: Place, interpreter: str) -> Place:
    """A place whose PYTHONPATH holds tellwhy as ``pip install --target`` leaves it, and what it depends on."""
    target = place.folder.parent / "target"
    shutil.copytree(SOURCE, target / "tellwhy", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PTH, target)
    # Dependencies from where they are: PYTHONPATH reads no .pth file there either.
    place.environ["PYTHONPATH"] = os.pathsep.join([str(target), sysconfig.get_path("purelib")])
    place.environ["PATH"] = f"{Path(interpreter).parent}:/usr/bin:/bin"
    return place


def test_program_is_traced_without_pth(target: Place, receiver: OtlpReceiver) -> None:
    """The program is traced, and PYTHONPATH inside it is what its own environment says, with ours in front."""
    target.copy("one_span.py")

    done = target.run("python", "-m", "tellwhy", "run", "python", "one_span.py")

    assert (done.returncode, lines_of_others(done.stderr)) == (0, []), done.stderr
    assert receiver.spans(count=1)[0].service == "one_span"


@pytest.mark.parametrize("own", [True, False], ids=["sitecustomize", "none"])
def test_users_own_sitecustomize_is_chained(target: Place, own: bool) -> None:
    """The user's sitecustomize still runs, under its name; ours is no trace on ``sys.path``."""
    code = (
        "import sys; print('sitecustomize' in sys.modules and sys.modules['sitecustomize'].__file__); "
        "print([p for p in sys.path if 'bootstrap' in p])"
    )
    if own:
        target.write("site/sitecustomize.py", "print('mine')\n")
        target.environ["PYTHONPATH"] += f"{os.pathsep}{target.folder}/site"

    done = target.run("python", "-m", "tellwhy", "run", "python", "-c", code)

    assert (done.returncode, lines_of_others(done.stderr)) == (0, []), done.stderr
    assert len(lines_of_ours(done.stderr)) == 1
    printed = done.stdout.splitlines()
    assert printed[-1] == "[]"
    if own:
        assert printed[:2] == ["mine", f"{target.folder}/site/sitecustomize.py"]


def test_users_sitecustomize_that_fails_fails_as_ever(target: Place) -> None:
    """What the user's file raises is reported by the interpreter, and the program runs."""
    target.write("site/sitecustomize.py", "import no_such_module\n")
    target.environ["PYTHONPATH"] += f"{os.pathsep}{target.folder}/site"

    done = target.run("python", "-m", "tellwhy", "run", "python", "-c", "print(1)")

    assert (done.returncode, done.stdout) == (0, "1\n")
    assert "no_such_module" in done.stderr


def test_child_without_tellwhy_on_its_path_starts_in_silence(target: Place) -> None:
    """A child whose PYTHONPATH lost tellwhy, but not our folder, runs and says nothing of it."""
    folder = f"{target.folder.parent}/target/tellwhy/bootstrap/path"
    target.write(
        "program.py",
        "import os, subprocess, sys\n"
        f"environ = dict(os.environ, PYTHONPATH={folder!r})\n"
        "assert os.environ['PYTHONPATH'].startswith(environ['PYTHONPATH'])\n"
        "sys.exit(subprocess.run([sys.executable, '-c', 'print(1)'], env=environ).returncode)\n",
    )

    done = target.run("python", "-m", "tellwhy", "run", "python", "program.py")

    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    assert lines_of_others(done.stderr) == []


def test_pip_install_target(place: Place, receiver: OtlpReceiver, interpreter: str) -> None:
    """A wheel that pip puts into a folder brings the ``.pth`` line, the fallback and the command."""
    root = Path(__file__).parents[2]
    if not (find_spec("pip") and find_spec("hatchling")):
        pytest.skip("pip or hatchling is not installed here: there is nothing to build a wheel with")
    target = place.folder.parent / "target"
    done = place.run(
        sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index", "--quiet",
        "--disable-pip-version-check", "--target", str(target), str(root), timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (target / "tellwhy.pth").read_text() == PTH.read_text()

    place.copy("one_span.py")
    path = os.pathsep.join([str(target), sysconfig.get_path("purelib")])
    done = place.run(interpreter, str(target / "bin" / "tellwhy"), "run", interpreter, "one_span.py", PYTHONPATH=path)

    assert done.returncode == 0, done.stderr
    assert receiver.spans(count=1)
