"""Two services, in Flask and in FastAPI: ``GET /pass-on?times=N&to=URL`` calls that URL N times."""

from __future__ import annotations

import asyncio

import fastapi
import flask
import requests

app = flask.Flask(__name__)
asgi = fastapi.FastAPI()


def pass_on(times: int, to: str) -> str:
    for _ in range(times):
        requests.get(to, timeout=10)
    return "ok"


@app.get("/pass-on")
def in_flask() -> str:
    return pass_on(int(flask.request.args["times"]), flask.request.args["to"])


@asgi.get("/pass-on")
async def in_fastapi(times: int, to: str) -> str:
    return await asyncio.to_thread(pass_on, times, to)
