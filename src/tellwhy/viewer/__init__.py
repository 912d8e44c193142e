# SPDX-License-Identifier: Apache-2.0
"""
The viewer: an island that knows programs only by the OTLP they send.

A module imports only from those to its left::

    model <- otlp, store <- receiver                             spans in
    model <- text <- describe, style <- layout <- bars <- terminal    trees out
"""
