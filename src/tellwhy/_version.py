# SPDX-License-Identifier: Apache-2.0
"""The version, in a file of its own so that the build and a User-Agent can read it cheaply."""

__version__ = "0.1.0"
