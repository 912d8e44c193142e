# SPDX-License-Identifier: Apache-2.0
"""
A real PostgreSQL and a real Redis for every test that wants one, started once per pytest process.

Tests take the fixtures of ``tests/conftest.py`` and need nothing from here::

    @pytest.mark.servers
    def test_something(postgres: str, redis_server: str) -> None:
        connection = psycopg2.connect(postgres)     # postgresql://postgres:…@127.0.0.1:PORT/postgres
        client = redis.Redis.from_url(redis_server)  # redis://:…@127.0.0.1:PORT/0

Both are empty at the start of the session, shared by its tests, and not cleaned in between: create tables and
keys under names of the test's own. They are found on PATH or taken from the wheels of ``tellwhy[demo]``; each
starts in about a second, when first asked for. With ``TELLWHY_TEST_POSTGRES`` or ``TELLWHY_TEST_REDIS`` set to
a URL, that server is used.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from tellwhy.demo.databases import Address, start_postgres, start_redis
from tellwhy.demo.processes import Processes, clean_environ


@contextmanager
def running_postgres() -> Iterator[str]:
    """Run a PostgreSQL and yield its DSN."""
    given = os.environ.get("TELLWHY_TEST_POSTGRES")
    if given:
        yield given
        return
    address = Address()
    with Processes() as processes:
        start_postgres(processes, clean_environ(os.environ), address)
        yield address.postgres_url


@contextmanager
def running_redis() -> Iterator[str]:
    """Run a Redis and yield its URL."""
    given = os.environ.get("TELLWHY_TEST_REDIS")
    if given:
        yield given
        return
    address = Address()
    with Processes() as processes:
        start_redis(processes, clean_environ(os.environ), address)
        yield address.redis_url
