# SPDX-License-Identifier: Apache-2.0
"""An ASGI application that traces by hand; its module, and with it the lifecycle, loads after the server's handlers."""

from __future__ import annotations

import asyncio

from traced_program import tracer


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    with tracer.start_as_current_span(f"GET {scope['path']}"):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        for _ in range(8 if scope["path"] == "/stream" else 0):
            await send({"type": "http.response.body", "body": b".", "more_body": True})
            await asyncio.sleep(0.2)
        await send({"type": "http.response.body", "body": b"ok"})
