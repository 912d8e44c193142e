"""A thread that is started in a span, a worker of a pool, and a timer, all of which outlive the span."""

from __future__ import annotations

import logging
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import tellwhy

LINK_AFTER = float(sys.argv[1])
logging.basicConfig(format="%(message)s trace=%(trace_id)s", level=logging.INFO)
ended, grown_old, done = threading.Event(), threading.Event(), threading.Event()


def lives_on() -> None:
    with tellwhy.span("while open"):
        pass
    ended.wait(30)
    with tellwhy.span("soon after"):
        pass
    logging.info("soon after")
    grown_old.wait(30)
    with tellwhy.span("long after"):
        with tellwhy.span("below"):
            pass
    logging.info("long after")
    threading.Thread(target=from_there).start()


def from_there() -> None:
    with tellwhy.span("from there"):
        pass
    done.set()


def in_the_pool(name: str) -> None:
    with tellwhy.span(name):
        pass


pool = ThreadPoolExecutor(1)
with tellwhy.span("request"):
    threading.Thread(target=lives_on, daemon=True).start()
    pool.submit(in_the_pool, "asked for").result()
    time.sleep(0.05)
ended.set()
pool.submit(in_the_pool, "asked for by nobody").result()
time.sleep(LINK_AFTER)
grown_old.set()
assert done.wait(30)
