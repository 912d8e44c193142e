# SPDX-License-Identifier: Apache-2.0
"""Settings: one declared table, read from every place where people may set something."""

from __future__ import annotations

from tellwhy.settings.files import find_pyproject, read_pyproject
from tellwhy.settings.load import ROWS, Settings, load
from tellwhy.settings.setting import Problem, Setting

__all__ = ["ROWS", "Problem", "Setting", "Settings", "find_pyproject", "load", "read_pyproject"]
