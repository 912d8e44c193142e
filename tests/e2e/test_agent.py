# SPDX-License-Identifier: Apache-2.0
"""The agent of ``examples/agent`` as its README says: the trees that arrive, and what is seen before they end."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from support.otlp import OtlpReceiver, ReceivedSpan
from support.program import Place

EXAMPLE = Path(__file__).parents[2] / "examples" / "agent"
CHAT = "chat stub-1"
TURN = f"""
invoke_agent support
  retrieval documents
    embeddings stub-embedding-1
      POST
    SELECT document
  {CHAT}
    POST
  INSERT said
  execute_tool find_order
    SELECT order
  {CHAT}
    POST
  INSERT said
  execute_tool track_parcel !TimeoutError
  {CHAT}
    POST
  INSERT said
  execute_tool track_parcel
  {CHAT}
    POST
  INSERT said
  execute_tool refund
    UPDATE order
    SELECT order
  {CHAT}
    POST
  INSERT said
"""
LEARNING = """
learn documents
  embeddings stub-embedding-1
    POST
  INSERT document
  INSERT document
  INSERT document
  INSERT document
  INSERT document
"""


def drawn(spans: list[ReceivedSpan]) -> str:
    """The tree of what has arrived, in the order of starts, as the README draws it."""
    lines: list[str] = []

    def draw(parent: str, depth: int) -> None:
        for span in sorted((one for one in spans if one.parent_span_id == parent), key=lambda one: one.start_ns):
            error = f" !{span.attributes['error.type']}" if span.status == "ERROR" else ""
            lines.append("  " * depth + span.name + error)
            draw(span.span_id, depth + 1)

    draw("", 0)
    assert len(lines) == len(spans), "a span whose parent has not arrived"
    return "\n".join(lines)


@pytest.fixture
def agent(place: Place) -> Place:
    shutil.copytree(EXAMPLE, place.folder / "agent", ignore=shutil.ignore_patterns("__pycache__"))
    return place


def test_the_turn_is_a_tree(agent: Place, receiver: OtlpReceiver) -> None:
    """Lookup, retrieval, calls of the model, tools and writes: each under what asked for it, named as GenAI says."""
    done = agent.wrapped("python", "agent/agent.py")

    assert (done.returncode, done.stdout) == (0, "Your parcel was lost. You get 29.9 EUR back.\n"), done.stderr
    assert drawn(receiver.spans()) == LEARNING.strip() + "\n" + TURN.strip()
    by_name = {span.name: span for span in receiver.spans()}
    assert by_name["invoke_agent support"].kind == "INTERNAL"
    assert _genai(by_name["invoke_agent support"]) == {
        "operation.name": "invoke_agent",
        "agent.name": "support",
        "conversation.id": "conversation-1",
        "output.type": "text",
    }
    assert by_name["retrieval documents"].kind == by_name[CHAT].kind == "CLIENT"
    assert _genai(by_name["retrieval documents"]) == {
        "operation.name": "retrieval",
        "data_source.id": "documents",
        "retrieval.top_k": 3,
    }
    chats = sorted((span for span in receiver.spans() if span.name == CHAT), key=lambda span: span.start_ns)
    assert [list(_genai(chat)["response.finish_reasons"]) for chat in chats] == [["tool_calls"]] * 4 + [["stop"]]
    tokens = [_genai(chat)["usage.input_tokens"] for chat in chats]
    assert tokens == sorted(tokens) and tokens[0] > 0, "the conversation grows"
    assert {"provider.name", "request.model", "response.model", "response.id", "usage.output_tokens"} <= set(
        _genai(chats[0])
    )
    assert _genai(by_name["embeddings stub-embedding-1"])["embeddings.dimension.count"] == 64
    tool = by_name["execute_tool refund"]
    assert tool.kind == "INTERNAL"
    assert _genai(tool) == {
        "operation.name": "execute_tool",
        "tool.name": "refund",
        "tool.type": "function",
        "tool.call.id": "call_4",
    }
    assert by_name["UPDATE order"].attributes["db.query.text"] == 'update "order" set refunded = total where id = ?'


def test_what_is_said_does_not_leave(agent: Place, receiver: OtlpReceiver) -> None:
    """Neither the question nor the answer is in any span."""
    agent.wrapped("python", "agent/agent.py", "My name is Ada Lovelace. Where is order 41?")
    told = str([(span.name, span.attributes, span.events) for span in receiver.spans()])
    assert "invoke_agent support" in told
    assert "Lovelace" not in told and "lost" not in told


def test_it_runs_untraced(agent: Place) -> None:
    """Without ``tellwhy run`` it does the same, and says nothing else."""
    done = agent.run("python", "agent/agent.py")
    assert (done.returncode, done.stdout, done.stderr) == (0, "Your parcel was lost. You get 29.9 EUR back.\n", "")


def test_it_is_seen_while_it_thinks(agent: Place, receiver: OtlpReceiver, engine: str) -> None:
    """With ``--open-spans`` the turn is there, with what has ended below it, before it ends."""
    if engine == "sdk":
        pytest.skip("only the lean engine shows open spans")
    with agent.start("tellwhy", "run", "--open-spans", "200", "python", "agent/agent.py", "--think", "0.7") as running:
        seen = receiver.wait_for(lambda span: span.name == "invoke_agent support", timeout=30)
        receiver.wait_for(lambda span: span.name == "retrieval documents")
        assert running.process.poll() is None, "it has not ended"
        assert seen.attributes["tellwhy.unfinished"] is True
        done = running.finish()
    assert done.returncode == 0, done.stderr
    finished = [span for span in receiver.spans() if "tellwhy.unfinished" not in span.attributes]
    assert drawn(finished) == LEARNING.strip() + "\n" + TURN.strip()
    (turn,) = [span for span in finished if span.name == seen.name]
    assert (turn.span_id, turn.trace_id) == (seen.span_id, seen.trace_id)


def _genai(span: ReceivedSpan) -> dict[str, Any]:
    return {key[7:]: value for key, value in span.attributes.items() if key.startswith("gen_ai.")}
