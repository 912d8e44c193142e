# SPDX-License-Identifier: Apache-2.0
"""
How the wrapped program's interpreter comes to start tracing.

The wheel carries one line for site-packages (``tellwhy.pth``), which acts only
when TELLWHY_RUN is set; ``PYTHONPATH``, ``sys.path`` and the user's own
``sitecustomize`` stay as they are. Where no ``.pth`` file is read (a folder
filled by ``pip install --target``), the folder of our ``sitecustomize`` is put
on PYTHONPATH instead.
"""

from __future__ import annotations

import os
import sys

WRAPPER_VARIABLE = "TELLWHY_RUN"
"""``start`` until the program's first interpreter has started, then its process id; children inherit it."""

_UNCLAIMED = "start"

PTH = "tellwhy.pth"


def announce(environ: dict[str, str]) -> None:
    """Put into a program's environment what makes its interpreter start tracing."""
    environ[WRAPPER_VARIABLE] = _UNCLAIMED
    if not _pth_is_read():
        path = environ.get("PYTHONPATH")
        ours = os.path.join(os.path.dirname(__file__), "path")
        environ["PYTHONPATH"] = f"{ours}{os.pathsep}{path}" if path else ours


def claim() -> bool:
    """
    Tell whether this process is the program itself; False in its children.

    The program is the first interpreter that starts, whatever is in between (a
    shell script, ``uv run``), and remains it when it replaces itself by exec.
    """
    own = str(os.getpid())
    # Under `opentelemetry-instrument` nobody has set it before the program.
    if os.environ.get(WRAPPER_VARIABLE, _UNCLAIMED) == _UNCLAIMED:
        os.environ[WRAPPER_VARIABLE] = own
    return os.environ.get(WRAPPER_VARIABLE) == own


def _pth_is_read() -> bool:
    site = sys.modules.get("site")  # python -S has none
    if site is None:
        return False
    folders = list(site.getsitepackages())
    if site.ENABLE_USER_SITE:
        folders.append(site.getusersitepackages())
    return any(os.path.exists(os.path.join(folder, PTH)) for folder in folders)


def is_hooked_in(interpreter: str) -> bool:
    """
    Tell whether a Python interpreter on disk would read our line, as far as files tell.

    A launcher script (a version manager's shim) may lead anywhere: it is given
    the benefit of the doubt.
    """
    folder = os.path.dirname(os.path.abspath(interpreter))
    if folder == os.path.dirname(sys.executable) or not _is_binary(interpreter):
        return True
    prefix = os.path.dirname(folder)
    try:
        versions = os.listdir(os.path.join(prefix, "lib"))
    except OSError:
        return True
    sites = [
        os.path.join(prefix, "lib", version, name)
        for version in versions
        if version.startswith("python")
        for name in ("site-packages", "dist-packages")
    ]
    return any(os.path.exists(os.path.join(site, PTH)) for site in sites)


def _is_binary(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(2) != b"#!"
    except OSError:
        return False
