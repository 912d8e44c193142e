# SPDX-License-Identifier: Apache-2.0
"""Starts tracing where no .pth file is read: leaves the path as it found it, then runs the user's own."""

import os
import sys

_ours = os.path.dirname(os.path.abspath(__file__))
_module = sys.modules.pop("sitecustomize")
sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder) != _ours]

try:
    import tellwhy.bootstrap.start  # noqa: F401  # after the path is as the program expects it
except ImportError:  # a child with another path or interpreter, which tellwhy is not installed for
    pass
try:
    import sitecustomize  # type: ignore[import-not-found]  # noqa: F401  # the user's, if there is one
except ImportError as error:
    if error.name != "sitecustomize":
        raise
finally:
    sys.modules.setdefault("sitecustomize", _module)  # the import system expects one to be there
