# SPDX-License-Identifier: Apache-2.0
"""The client of a model that speaks the chat completions API, and the stub that stands in for one."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

import tellwhy
from tellwhy import traced

PROVIDER = "stub"
EMBEDDING_MODEL = "stub-embedding-1"


class Model:
    """One model behind a URL; every call is a span, with the HTTP request below it."""

    def __init__(self, url: str, name: str) -> None:
        self.url = url
        self.name = name
        self.session = requests.Session()
        address = urlsplit(url)
        self.server = {"server.address": address.hostname or "", "server.port": address.port or 80}

    def chat(self, messages: list[dict[str, Any]], conversation: str) -> dict[str, Any]:
        """Return what the model says next. Counted are its tokens; what is said is not recorded."""
        with tellwhy.span(
            f"chat {self.name}",
            kind="client",
            **{
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": PROVIDER,
                "gen_ai.request.model": self.name,
                "gen_ai.request.max_tokens": 500,
                "gen_ai.conversation.id": conversation,
                **self.server,
            },
        ):
            asked = {"model": self.name, "messages": messages, "max_tokens": 500}
            reply = self._post("/v1/chat/completions", asked)
            choice = reply["choices"][0]
            tellwhy.annotate(
                {
                    "gen_ai.response.id": reply["id"],
                    "gen_ai.response.model": reply["model"],
                    "gen_ai.response.finish_reasons": [choice["finish_reason"]],
                    "gen_ai.usage.input_tokens": reply["usage"]["prompt_tokens"],
                    "gen_ai.usage.output_tokens": reply["usage"]["completion_tokens"],
                }
            )
            message: dict[str, Any] = choice["message"]
            return message

    def embedding(self, text: str) -> list[float]:
        """Return the vector of one text."""
        return self.embeddings([text])[0]

    @traced(
        f"embeddings {EMBEDDING_MODEL}",
        kind="client",
        attributes={
            "gen_ai.operation.name": "embeddings",
            "gen_ai.provider.name": PROVIDER,
            "gen_ai.request.model": EMBEDDING_MODEL,
        },
    )
    def embeddings(self, texts: list[str]) -> list[list[float]]:
        """Return the vectors of some texts."""
        reply = self._post("/v1/embeddings", {"model": EMBEDDING_MODEL, "input": texts})
        vectors = [one["embedding"] for one in reply["data"]]
        tellwhy.annotate(
            {
                "gen_ai.usage.input_tokens": reply["usage"]["prompt_tokens"],
                "gen_ai.embeddings.dimension.count": len(vectors[0]),
                **self.server,
            }
        )
        return vectors

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.session.post(self.url + path, json=body, timeout=30)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


@contextlib.contextmanager
def started_stub(think: float) -> Iterator[str]:
    """Start the stub in a process of its own, and end it; gives its URL."""
    program = [sys.executable, str(Path(__file__).with_name("stub.py")), str(think)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as stub:
        try:
            assert stub.stdout is not None
            yield stub.stdout.readline().strip()
        finally:
            stub.terminate()
