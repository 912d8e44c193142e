"""Hands over in a request: ``GET /<way>``, in the event loop where the way belongs there."""

from __future__ import annotations

import asyncio
import threading

import handing_over
from fastapi import FastAPI
from handing_over import child

app = FastAPI()


@app.get("/{way}")
async def do(way: str) -> str:
    loop = asyncio.get_running_loop()
    if way == "to_thread":
        await asyncio.to_thread(child)
    elif way == "run_in_executor":
        await loop.run_in_executor(None, child)
    elif way == "task":
        await asyncio.create_task(asyncio.to_thread(child))
    elif way == "call_soon_threadsafe":
        done = asyncio.Event()
        threading.Thread(target=lambda: loop.call_soon_threadsafe(lambda: (child(), done.set()))).start()
        await done.wait()
    else:
        handing_over.hand_over(way)
    return "ok"
