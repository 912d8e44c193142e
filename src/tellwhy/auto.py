# SPDX-License-Identifier: Apache-2.0
"""Importing this module is the action: it sets tracing up from the environment."""

from __future__ import annotations

from tellwhy.setup.tracing import setup_tracing

tracing = setup_tracing()
