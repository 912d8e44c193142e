"""A FastAPI application without a line of tracing."""

import os

from fastapi import FastAPI

app = FastAPI()


@app.get("/pid")
async def pid() -> int:
    return os.getpid()
