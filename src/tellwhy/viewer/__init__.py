# SPDX-License-Identifier: Apache-2.0
"""
The viewer: an island that knows programs only by the OTLP they send.

A module imports only from those before it::

    model <- otlp, store <- text, layout, terminal, receiver
"""
