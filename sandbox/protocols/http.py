"""The store's own protocol: GET /ping, POST /invocations, answered by JSON or a stream of text.

The shape is what container agents already speak (docs/guides/container-contract.md), session header included.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

from sandbox.doors import Door
from sandbox.failures import AgentFailure
from sandbox.protocols.base import Done, InvokeRequest, TextDelta
from sandbox.protocols.client import BODY_BYTES, Answer, agent_failed, exchange
from sandbox.protocols.sse import read_events

SESSION_HEADER = "X-Amzn-Bedrock-AgentCore-Runtime-Session-Id"
_SMALL = 64 * 1024


class HttpProtocol:
    """`protocol = "http"`."""

    name = "http"

    async def is_ready(self, door: Door, deadline: float) -> bool:
        """200 to GET /ping, with a JSON `status` that starts with "Healthy" where there is one."""
        try:
            async with exchange(door, deadline=deadline, method="GET", target="/ping") as answer:
                if answer.status != 200:
                    return False
                body = await answer.read(_SMALL)
        except AgentFailure:
            return False
        found = _parsed(body)
        status = found.get("status", "Healthy") if isinstance(found, dict) else "Healthy"
        return isinstance(status, str) and status.lower().startswith("healthy")

    async def invoke(
        self, door: Door, request: InvokeRequest, deadline: float, answer_bytes: int = BODY_BYTES
    ) -> AsyncIterator[TextDelta | Done]:
        """One turn. Raises AgentFailure."""
        said = list[str]()
        async with exchange(
            door, deadline=deadline, method="POST", target="/invocations", body=asdict(request),
            headers={"Accept": "text/event-stream, application/json", SESSION_HEADER: request.conversation},
            answer_bytes=answer_bytes,
        ) as answer:  # fmt: skip
            await expect_success(answer)
            if answer.content_type == "text/event-stream":
                async for event in read_events(answer.pieces()):
                    if event.data.strip() == "[DONE]":
                        break
                    if text := _event_text(event.event, event.data):
                        said.append(text)
                        yield TextDelta(text)
            else:
                text = _whole_text(answer.content_type, await answer.read())
                said.append(text)
                if text:
                    yield TextDelta(text)
        yield Done("".join(said))


async def expect_success(answer: Answer) -> None:
    """Raises AgentFailure `bad_status` unless the answer is a 2xx; the body's beginning is for the
    developer.
    """
    if 200 <= answer.status < 300:
        return
    beginning = (await answer.read(_SMALL))[:300].decode(errors="replace")
    failure = agent_failed("bad_status", f"The agent answered with status {answer.status}.")
    failure.log_tail = beginning
    raise failure


def _event_text(event: str, data: str) -> str:
    found = _parsed(data)
    if event == "error" or (isinstance(found, dict) and "error" in found):
        failure = agent_failed("reported_error", "The agent reported an error.")
        failure.log_tail = data[:300]
        raise failure
    return _text_in(found) or ""


def _whole_text(content_type: str, body: bytes) -> str:
    try:
        if content_type.startswith("text/"):
            return body.decode()
        text = _text_in(json.loads(body))
    except ValueError as broken:
        raise agent_failed("bad_answer", "The agent's answer is neither JSON nor text.") from broken
    except RecursionError as bomb:
        raise agent_failed("bad_answer", "The agent's answer is nested too deeply.") from bomb
    if text is None:
        raise agent_failed("bad_answer", "The agent's answer has no “text”.")
    return text


def _text_in(found: Any) -> str | None:
    """The text of one JSON value: a string, or an object's `text` (`result`, as some runtimes call it)."""
    if isinstance(found, str):
        return found
    if isinstance(found, dict):
        for key in ("text", "result"):
            if isinstance(found.get(key), str):
                return str(found[key])
    return None


def _parsed(data: str | bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None
