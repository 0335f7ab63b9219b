"""Speak to an agent in the protocol that its manifest names; the adapters live on our side."""

from __future__ import annotations

from sandbox.protocols.base import (
    AgentProtocol,
    Done,
    InvokeRequest,
    Message,
    TextDelta,
    UnsupportedProtocol,
)
from sandbox.protocols.http import HttpProtocol
from sandbox.protocols.openai import OpenAIProtocol

_ADAPTERS: dict[str, AgentProtocol] = {"http": HttpProtocol(), "openai": OpenAIProtocol()}
NAMES = tuple(_ADAPTERS)


def for_name(name: str) -> AgentProtocol:
    """The adapter for a manifest's `protocol`. Raises UnsupportedProtocol, which names those there are."""
    try:
        return _ADAPTERS[name]
    except KeyError:
        raise UnsupportedProtocol(
            f"The protocol {name!r:.40} is not spoken here.", hint=f"Use one of: {', '.join(NAMES)}."
        ) from None


__all__ = [
    "NAMES",
    "AgentProtocol",
    "Done",
    "InvokeRequest",
    "Message",
    "TextDelta",
    "UnsupportedProtocol",
    "for_name",
]
