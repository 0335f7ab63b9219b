"""What all protocols have in common: the request, the events of an answer, the adapter's contract."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from agentstore.kit.errors import Invalid
from sandbox.doors import Door
from sandbox.protocols.client import BODY_BYTES


class UnsupportedProtocol(Invalid):
    """The manifest names a protocol that there is no adapter for."""

    code = "unsupported_protocol"


@dataclass(frozen=True, slots=True)
class Message:
    """One earlier or present utterance."""

    role: Literal["user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class InvokeRequest:
    """One turn as an agent sees it. `messages` ends with the present utterance, which `prompt` repeats."""

    prompt: str
    messages: Sequence[Message]
    conversation: str
    turn: str
    locale: str = "en-US"
    currency: str = "USD"
    attachments: Sequence[dict[str, Any]] = field(default_factory=tuple)
    consents: Sequence[str] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer, as it comes."""

    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """The answer is complete; `text` is all of it."""

    text: str


class AgentProtocol(Protocol):
    """One way to speak to an agent through its door, as bounded as `protocols.client`."""

    name: str

    async def is_ready(self, door: Door, deadline: float) -> bool:
        """Whether the agent answers that it can take a turn, within `deadline` seconds. Never raises
        AgentFailure.
        """

    def invoke(
        self, door: Door, request: InvokeRequest, deadline: float, answer_bytes: int = BODY_BYTES
    ) -> AsyncIterator[TextDelta | Done]:
        """The agent's answer as it comes; the last event is `Done`.

        `deadline` is in seconds from the call and bounds all of it, whatever the agent sends meanwhile; its
        body has at most `answer_bytes`.
        Raises AgentFailure(fault, code, message); what was yielded before stands.
        """
