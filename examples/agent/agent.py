# SPDX-License-Identifier: Apache-2.0
"""
A support agent whose turns are traces: embedding lookup, retrieval, a dozen calls of a model, tools, database writes.

Everything is here: the model is a stub in a process of its own, the knowledge a SQLite file. In one command::

    tellwhy run --traces-exporter console python examples/agent/agent.py
    tellwhy run --open-spans 500 python examples/agent/agent.py --think 1   # see it while it thinks

The spans follow OpenTelemetry's conventions for generative AI: invoke_agent, retrieval, embeddings, chat and
execute_tool (https://github.com/open-telemetry/semantic-conventions-genai).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Annotated, Any

from knowledge import Knowledge
from model import Model, started_stub
from tools import TOOLS

import tellwhy
from tellwhy import SpanAttr, traced

NAME = "support"
MOST_STEPS = 12


class Agent:
    """Answers questions with what it knows and what its tools tell it."""

    def __init__(self, model: Model, knowledge: Knowledge) -> None:
        self.model = model
        self.knowledge = knowledge

    @traced(
        f"invoke_agent {NAME}",
        attributes={"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": NAME},
        result=lambda answer: {"gen_ai.output.type": "text", "answer.length": len(answer)},
    )
    def answer(self, question: str, conversation: Annotated[str, SpanAttr("gen_ai.conversation.id")]) -> str:
        """One turn: look up what is known, then let the model and its tools take turns until there is an answer."""
        context = self.recall(question)
        messages: list[dict[str, Any]] = [
            {"role": "system", "content": "You help customers. What is known:\n" + "\n".join(context)},
            {"role": "user", "content": question},
        ]
        for step in range(1, MOST_STEPS + 1):
            tellwhy.annotate({"agent.steps": step})
            said = self.model.chat(messages, conversation)
            messages.append(said)
            self.knowledge.remember(conversation, step, said)
            if not said.get("tool_calls"):
                return str(said["content"])
            messages += [self.use_tool(call) for call in said["tool_calls"]]
        tellwhy.fail("no answer within the most steps")
        return "I do not know."

    @traced(
        "retrieval documents",
        kind="client",
        attributes={
            "gen_ai.operation.name": "retrieval",
            "gen_ai.data_source.id": "documents",
            "gen_ai.retrieval.top_k": lambda top: top,
        },
    )
    def recall(self, question: str, top: int = 3) -> list[str]:
        """Return the documents that are nearest to a question."""
        return self.knowledge.nearest(self.model.embedding(question), top)

    def use_tool(self, call: dict[str, Any]) -> dict[str, Any]:
        """Run one tool for the model; what goes wrong is told to the model, and seen in the trace."""
        name = call["function"]["name"]
        try:
            # One span for each tool, under its own name: there are few of them.
            with tellwhy.span(
                f"execute_tool {name}",
                **{
                    "gen_ai.operation.name": "execute_tool",
                    "gen_ai.tool.name": name,
                    "gen_ai.tool.type": "function",
                    "gen_ai.tool.call.id": call["id"],
                },
            ):
                result = TOOLS[name](self.knowledge, **json.loads(call["function"]["arguments"]))
        except Exception as error:
            result = {"error": str(error)}
        return {"role": "tool", "tool_call_id": call["id"], "content": json.dumps(result)}


def main() -> None:
    """Answer one question."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("question", nargs="?", default="Where is my order 42? If it is lost I want my money back.")
    parser.add_argument("--think", type=float, default=0.01, help="how long the model thinks, in seconds")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, started_stub(given.think) as url:
        model = Model(url, "stub-1")
        knowledge = Knowledge(Path(folder) / "knowledge.sqlite")
        knowledge.learn(model.embeddings)
        print(Agent(model, knowledge).answer(given.question, "conversation-1"), flush=True)


if __name__ == "__main__":
    main()
