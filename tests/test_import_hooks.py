# SPDX-License-Identifier: Apache-2.0
"""Is something done when a module has been imported, with nothing imported and nothing changed for the program?"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

from tellwhy import diagnostics, imports


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    """No hook of one test waits in the next; those of others stay."""
    before = (
        dict(imports._waiting),
        dict(imports._around),
        list(sys.meta_path),
        set(sys.modules),
        dict(imports._lasting),
    )
    yield
    imports._waiting.clear()
    imports._waiting.update(before[0])
    imports._around.clear()
    imports._around.update(before[1])
    imports._lasting.clear()
    imports._lasting.update(before[4])
    sys.meta_path[:] = before[2]
    for name in set(sys.modules) - before[3]:
        del sys.modules[name]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Write a module that can be imported."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def put(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        importlib.invalidate_caches()
        return path

    return put


def test_action_runs_after_the_modules_body(write: Callable[[str, str], Path]) -> None:
    """Not before somebody imports it, then once, with the finished module, before the import statement returns."""
    write("hooked_a.py", "value = 1\n")
    seen: list[ModuleType] = []

    imports.when_imported("hooked_a", seen.append)
    assert seen == []
    assert "hooked_a" not in sys.modules
    module = importlib.import_module("hooked_a")
    importlib.import_module("hooked_a")

    assert seen == [module]
    assert module.value == 1


def test_action_runs_at_once_for_what_is_there() -> None:
    """A module that was imported before is handled now, and no finder is needed for it."""
    seen: list[ModuleType] = []
    before = list(sys.meta_path)

    imports.when_imported("json", seen.append)

    assert seen == [sys.modules["json"]]
    assert sys.meta_path == before


def test_module_is_what_it_would_be(write: Callable[[str, str], Path]) -> None:
    """Loader, spec, file and cached file are the real ones, also while its own code runs."""
    path = write("hooked_b.py", "at_import = (type(__loader__), __spec__.loader is __loader__, __file__)\n")
    imports.when_imported("hooked_b", lambda module: None)

    module = importlib.import_module("hooked_b")

    real = importlib.machinery.SourceFileLoader
    assert module.at_import == (real, True, str(path))
    assert type(module.__loader__) is real
    assert module.__spec__ is not None
    assert module.__spec__.loader is module.__loader__
    assert module.__spec__.origin == str(path)
    assert importlib.reload(module).at_import == module.at_import


def test_packages_and_their_parts(write: Callable[[str, str], Path]) -> None:
    """A submodule is waited for by its full name; its package's import does not set it off."""
    write("hooked_package/__init__.py", "")
    write("hooked_package/part.py", "")
    seen: list[str] = []
    for name in ("hooked_package.part", "hooked_package"):
        imports.when_imported(name, lambda module: seen.append(module.__name__))

    importlib.import_module("hooked_package")
    assert seen == ["hooked_package"]
    importlib.import_module("hooked_package.part")
    assert seen == ["hooked_package", "hooked_package.part"]


def test_several_actions_in_order(write: Callable[[str, str], Path]) -> None:
    """All actions run, in the order in which they came."""
    write("hooked_c.py", "")
    seen: list[int] = []
    for number in range(3):
        imports.when_imported("hooked_c", lambda module, number=number: seen.append(number))

    importlib.import_module("hooked_c")

    assert seen == [0, 1, 2]


def test_action_that_raises_is_reported(write: Callable[[str, str], Path], capfd: pytest.CaptureFixture[str]) -> None:
    """The import succeeds, the next action runs, one line says what happened."""
    write("hooked_d.py", "")
    seen: list[ModuleType] = []
    diagnostics.reset()
    diagnostics.configure(stream=sys.stderr)

    imports.when_imported("hooked_d", lambda module: 1 / 0)  # type: ignore[arg-type, return-value]
    imports.when_imported("hooked_d", seen.append)
    module = importlib.import_module("hooked_d")

    assert seen == [module]
    assert "internal fault in the patching of hooked_d: ZeroDivisionError" in capfd.readouterr().err
    diagnostics.reset()


def test_failed_import_is_the_programs(write: Callable[[str, str], Path]) -> None:
    """What the module raises is raised; the hook waits for the next attempt."""
    path = write("hooked_e.py", "raise ImportError('not yet')\n")
    seen: list[ModuleType] = []
    around: list[str] = []

    @contextmanager
    def inside() -> Iterator[None]:
        around.append("in")
        yield

    imports.when_imported("hooked_e", seen.append)
    imports.around_import("hooked_e", inside)
    with pytest.raises(ImportError, match="not yet"):
        importlib.import_module("hooked_e")
    assert (seen, "hooked_e" in sys.modules) == ([], False)
    path.write_text("# now it works, and is longer than before\n")
    importlib.invalidate_caches()
    module = importlib.import_module("hooked_e")

    assert seen == [module]
    assert around == ["in", "in"]


def test_missing_module_is_missing() -> None:
    """A waited-for module that does not exist fails with the error that names it."""
    imports.when_imported("hooked_nowhere", lambda module: None)

    with pytest.raises(ModuleNotFoundError, match="No module named 'hooked_nowhere'") as caught:
        importlib.import_module("hooked_nowhere")

    assert caught.value.name == "hooked_nowhere"
    assert importlib.util.find_spec("hooked_nowhere") is None


def test_asking_for_a_spec_imports_nothing(write: Callable[[str, str], Path]) -> None:
    """``find_spec`` answers as ever, can be called often, and what is loaded from it is hooked."""
    path = write("hooked_f.py", "x = 1\n")
    seen: list[ModuleType] = []
    imports.when_imported("hooked_f", seen.append)

    spec = importlib.util.find_spec("hooked_f")
    assert spec is not None
    assert (spec.origin, spec.loader and spec.loader.get_source("hooked_f")) == (str(path), "x = 1\n")  # type: ignore[attr-defined]
    assert seen == []
    importlib.import_module("hooked_f")

    assert len(seen) == 1


def test_namespace_package(write: Callable[[str, str], Path]) -> None:
    """A folder without ``__init__.py`` is imported as ever."""
    write("hooked_space/part.py", "")
    imports.when_imported("hooked_space", lambda module: None)

    assert importlib.import_module("hooked_space.part").__name__ == "hooked_space.part"


def test_module_that_replaces_itself(write: Callable[[str, str], Path]) -> None:
    """The action gets what the program gets (celery puts a lazy module into its own place)."""
    write("hooked_g.py", "import sys, types\nsys.modules[__name__] = types.SimpleNamespace(real=True)\n")
    seen: list[object] = []
    imports.when_imported("hooked_g", seen.append)

    module = importlib.import_module("hooked_g")

    assert seen == [module]
    assert module.real


def test_action_that_imports_and_hooks(write: Callable[[str, str], Path]) -> None:
    """An action may import others, waited for as well, and set more imports."""
    write("hooked_h.py", "")
    write("hooked_i.py", "")
    seen: list[str] = []

    def first(module: ModuleType) -> None:
        imports.when_imported("hooked_i", lambda other: seen.append("second"))
        importlib.import_module("hooked_i")
        seen.append("first")

    imports.when_imported("hooked_h", first)
    importlib.import_module("hooked_h")

    assert seen == ["second", "first"]


def test_imported_in_many_threads(write: Callable[[str, str], Path]) -> None:
    """Threads that import at the same moment all get the patched module; the action runs once."""
    write("hooked_j.py", "import time\ntime.sleep(0.05)\n")
    seen: list[ModuleType] = []

    def patch(module: ModuleType) -> None:
        seen.append(module)
        module.patched = True  # type: ignore[attr-defined]

    imports.when_imported("hooked_j", patch)
    found: list[bool] = []
    threads = [
        threading.Thread(target=lambda: found.append(importlib.import_module("hooked_j").patched)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [True] * 8
    assert len(seen) == 1


def test_forget_all() -> None:
    """Afterwards nothing waits and the finder is gone."""
    before = [finder for finder in sys.meta_path if finder is not imports._finder]
    imports.when_imported("hooked_k", lambda module: None)
    assert sys.meta_path == [imports._finder, *before]

    imports.forget_all()

    assert sys.meta_path == before


def test_warning_at_import_blames_the_import_statement(write: Callable[[str, str], Path]) -> None:
    """A module that warns of whoever imports it does so with the program's file and line, not with ours."""
    write("hooked_warns.py", "import warnings\nwarnings.warn('old', DeprecationWarning, stacklevel=2)\n")
    imports.when_imported("hooked_warns", lambda module: None)

    with pytest.warns(DeprecationWarning) as caught:
        import hooked_warns  # noqa: F401

    assert caught[0].filename == __file__


def test_finder_leaves_when_nothing_is_waited_for(write: Callable[[str, str], Path]) -> None:
    """The last module that was waited for takes it along: later imports do not pass us."""
    imports.forget_all()
    write("hooked_l.py", "")
    imports._lasting.clear()
    imports.when_imported("hooked_l", lambda module: None)

    importlib.import_module("hooked_l")

    assert imports._finder not in sys.meta_path


def test_what_lasts_outlives_forget_all(write: Callable[[str, str], Path]) -> None:
    """What a class needs to be what it is stays waiting when tracing is shut down; once, however often it is asked."""
    write("hooked_m.py", "")
    seen: list[ModuleType] = []
    act = seen.append
    imports.when_imported("hooked_m", act, lasting=True)
    imports.when_imported("hooked_m", act, lasting=True)

    imports.forget_all()
    module = importlib.import_module("hooked_m")

    assert seen == [module]
