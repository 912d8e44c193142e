# SPDX-License-Identifier: Apache-2.0
"""``python -m tellwhy``: the same as the command ``tellwhy``."""

from __future__ import annotations

import sys

from tellwhy.cli import main

if __name__ == "__main__":
    sys.exit(main())
