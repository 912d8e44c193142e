# SPDX-License-Identifier: Apache-2.0
"""Setup: from settings to a running pipeline. The story is in ``tracing.py``, its parts beside it."""
