# SPDX-License-Identifier: Apache-2.0
"""Fixtures for all rooms: real servers, started when first asked for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.servers import running_postgres, running_redis


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The DSN of a real PostgreSQL: ``postgresql://postgres:…@127.0.0.1:PORT/postgres``."""
    with running_postgres() as dsn:
        yield dsn


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """The URL of a real Redis: ``redis://:…@127.0.0.1:PORT/0``."""
    with running_redis() as url:
        yield url
