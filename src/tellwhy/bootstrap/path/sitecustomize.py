# SPDX-License-Identifier: Apache-2.0
"""Starts tracing where no .pth file is read: leaves the path as it found it, then runs the user's own."""

import os
import sys

_ours = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder) != _ours]
del sys.modules["sitecustomize"]

import tellwhy.bootstrap.start  # noqa: E402, F401  # after the path is as the program expects it

try:
    import sitecustomize  # type: ignore[import-not-found]  # noqa: F401  # the user's, if there is one
except ImportError as error:
    if error.name != "sitecustomize":
        raise
