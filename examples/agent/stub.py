# SPDX-License-Identifier: Apache-2.0
"""
A model that is none: it answers the chat completions and embeddings APIs by rule, the same each time.

``python stub.py THINK``: thinks so many seconds before each answer, and prints its URL first.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import re
import sys
import time
from typing import Any

DIMENSIONS = 64
THINK = float(sys.argv[1]) if len(sys.argv) > 1 else 0.0


def embedding(text: str) -> list[float]:
    """Return a vector in which texts with the same words are near to each other."""
    vector = [0.0] * DIMENSIONS
    for word in re.findall(r"[a-z0-9]+", text.lower()):
        vector[hashlib.sha256(word.encode()).digest()[0] % DIMENSIONS] += 1.0
    length = sum(value * value for value in vector) ** 0.5 or 1.0
    return [value / length for value in vector]


def next_step(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """Say what a helpful model would: look the order up, follow the parcel (twice, for it fails once), pay back."""
    results = [json.loads(message["content"]) for message in messages if message["role"] == "tool"]
    found = re.search(r"order (\d+)", next(one["content"] for one in messages if one["role"] == "user"))
    if found is None:
        return {"role": "assistant", "content": "Which order do you mean?"}
    order = int(found.group(1))
    if not results:
        return _call(1, "find_order", order=order)
    if len(results) == 1:
        return _call(2, "track_parcel", parcel=results[0].get("parcel", ""))
    if "error" in results[-1]:
        return _call(3, "track_parcel", parcel=results[0].get("parcel", ""))
    if results[-1].get("state") == "lost":
        return _call(4, "refund", order=order)
    return {"role": "assistant", "content": f"Your parcel was lost. You get {results[-1]['refunded']} EUR back."}


def _call(number: int, name: str, **arguments: Any) -> dict[str, Any]:
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {"role": "assistant", "tool_calls": [{"id": f"call_{number}", "type": "function", "function": function}]}


def reply(path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to one request."""
    words = len(json.dumps(body).split())
    if path == "/v1/embeddings":
        data = [{"index": index, "embedding": embedding(text)} for index, text in enumerate(body["input"])]
        return {"model": body["model"], "data": data, "usage": {"prompt_tokens": words}}
    message = next_step(body["messages"])
    return {
        "id": f"chatcmpl-{len(body['messages'])}",
        "model": f"{body['model']}-2026",
        "choices": [{"message": message, "finish_reason": "tool_calls" if "tool_calls" in message else "stop"}],
        "usage": {"prompt_tokens": words, "completion_tokens": len(json.dumps(message).split())},
    }


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(THINK)
        answer = json.dumps(reply(self.path, body)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()
