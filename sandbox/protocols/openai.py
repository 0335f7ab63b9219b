"""Agents that answer as an OpenAI-compatible model does: POST /v1/chat/completions, streamed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from sandbox.doors import Door
from sandbox.failures import AgentFailure
from sandbox.protocols.base import Done, InvokeRequest, TextDelta
from sandbox.protocols.client import BODY_BYTES, agent_failed, exchange
from sandbox.protocols.http import expect_success
from sandbox.protocols.sse import read_events


class OpenAIProtocol:
    """`protocol = "openai"`."""

    name = "openai"

    async def is_ready(self, door: Door, deadline: float) -> bool:
        """Any answer below 500 to GET /v1/models: such servers differ in what they offer beside
        completions.
        """
        try:
            async with exchange(door, deadline=deadline, method="GET", target="/v1/models") as answer:
                return answer.status < 500
        except AgentFailure:
            return False

    async def invoke(
        self, door: Door, request: InvokeRequest, deadline: float, answer_bytes: int = BODY_BYTES
    ) -> AsyncIterator[TextDelta | Done]:
        """One turn; `user` carries the conversation's id. Raises AgentFailure."""
        said = list[str]()
        body = {
            "model": "agent",
            "stream": True,
            "user": request.conversation,
            "messages": [{"role": m.role, "content": m.content} for m in request.messages],
            "metadata": {"turn": request.turn, "locale": request.locale, "currency": request.currency},
        }
        async with exchange(
            door, deadline=deadline, method="POST", target="/v1/chat/completions", body=body,
            headers={"Accept": "text/event-stream, application/json"}, answer_bytes=answer_bytes,
        ) as answer:  # fmt: skip
            await expect_success(answer)
            if answer.content_type == "text/event-stream":
                async for event in read_events(answer.pieces()):
                    if event.data.strip() == "[DONE]":
                        break
                    if text := _choice_text(event.data, "delta"):
                        said.append(text)
                        yield TextDelta(text)
            elif text := _choice_text((await answer.read()).decode(errors="replace"), "message"):
                said.append(text)
                yield TextDelta(text)
        yield Done("".join(said))


def _choice_text(data: str, part: str) -> str:
    """The first choice's content; empty for frames without one (roles, tool calls, usage)."""
    try:
        found: Any = json.loads(data)
    except (ValueError, RecursionError) as broken:
        raise agent_failed("bad_answer", "The agent's answer is not JSON.") from broken
    if not isinstance(found, dict):
        raise agent_failed("bad_answer", "The agent's answer is not an object.")
    if "error" in found:
        raise agent_failed("reported_error", "The agent reported an error.")
    choices = found.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else {}
    content = choice.get(part, {}) if isinstance(choice, dict) else {}
    text = content.get("content") if isinstance(content, dict) else None
    return text if isinstance(text, str) else ""
