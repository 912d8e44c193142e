# SPDX-License-Identifier: Apache-2.0
"""
The demo: a small shop under real load, and why its requests are slow.

The parent process (``story``) starts everything as children; the shop and the
bank know nothing of it::

    story -> load, expectations, progress, processes -> guard
          -> databases, goods          (PostgreSQL and Redis, and what is in them)
          -> shop, bank                (programs of their own, under ``tellwhy run``)
"""
