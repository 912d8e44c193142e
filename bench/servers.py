# SPDX-License-Identifier: Apache-2.0
"""
What the measured programs talk to: real PostgreSQL and Redis, a web server, and a sink for what they export.

The web server and the sink are one process of its own, so that their time is nobody's.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from sink import serving

from tellwhy.demo.databases import Address, start_postgres, start_redis
from tellwhy.demo.processes import Processes, clean_environ


def main() -> None:
    """Serve until stdin is closed."""
    print(serving().url, flush=True)
    sys.stdin.read()


@contextmanager
def running() -> Iterator[dict[str, str]]:
    """Start all of them; yields the variables by which the measured program finds them."""
    database, cache = Address(), Address()
    web = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert web.stdin is not None and web.stdout is not None
    try:
        with Processes() as processes:
            environ = clean_environ(os.environ)
            start_postgres(processes, environ, database)
            start_redis(processes, environ, cache)
            url = web.stdout.readline().strip()
            yield {
                "BENCH_POSTGRES": database.postgres_url,
                "BENCH_REDIS": cache.redis_url,
                "BENCH_URL": f"{url}/ok",
                "BENCH_SENTRY_DSN": url.replace("://", "://key@") + "/1",
                "OTEL_EXPORTER_OTLP_ENDPOINT": url,
                "DD_TRACE_AGENT_URL": url,
            }
    finally:
        web.stdin.close()
        web.wait(20)


if __name__ == "__main__":
    main()
