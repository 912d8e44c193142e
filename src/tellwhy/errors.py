# SPDX-License-Identifier: Apache-2.0
"""
The exceptions that tellwhy raises on purpose.

A fault of tellwhy's own never reaches a traced program; these are for what a
developer wrote, and are raised at the place where it was written::

    TellwhyError
    ├── ConfigurationError (ValueError)   a keyword of setup_tracing(), or anything under TELLWHY_STRICT
    └── DecorationError (TypeError)       @traced was put where it cannot work
"""

from __future__ import annotations


class TellwhyError(Exception):
    """The root of every exception that tellwhy raises on purpose."""


class ConfigurationError(TellwhyError, ValueError):
    """A setting given in code is wrong, or any setting is under ``TELLWHY_STRICT=true``."""


class DecorationError(TellwhyError, TypeError):
    """``@traced`` was put on something it cannot trace; the message says what to write instead."""
