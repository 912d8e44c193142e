"""
Two services with probes: what they do for a request is a span, a log line, a query of SQLite, and a call of another.

``GET /<anything>``; SQLAlchemy-free: the span ``query`` stands for the query.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading

import fastapi
import flask
import requests

import tellwhy

logging.basicConfig(format="line %(message)s %(trace_id)s %(trace_flags)s", level=logging.WARNING)
app = flask.Flask(__name__)
asgi = fastapi.FastAPI()


def work(path: str) -> str:
    logging.warning(path)
    with tellwhy.span(f"query {path}"):
        requests.get(os.environ["BEHIND"] + f"/ok?{path}", timeout=10)
    thread = threading.Thread(target=in_thread, args=(path,))
    thread.start()
    thread.join()
    return "ok"


def in_thread(path: str) -> None:
    with tellwhy.span(f"in thread {path}"):
        pass


@app.get("/<path:path>")
def in_flask(path: str) -> str:
    return work(path)


@asgi.get("/{path:path}")
async def in_fastapi(path: str) -> str:
    return await asyncio.to_thread(work, path)
