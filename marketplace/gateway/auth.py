"""Who is calling: the socket names the sandbox, its run token proves it, its claim names the conversation. No id is
taken from a request.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.http import HttpRequest

from marketplace.gateway.errors import NotBound, NoToken, NotPermitted
from marketplace.publishing.limits import calls_per_turn
from marketplace.shopping.conversations import conversation_of_claim
from marketplace.shopping.models import Conversation, Turn
from marketplace.shopping.turns import NoTurn, running_turn
from sandbox.tokens import NotClaimed, sandbox_for


@dataclass(frozen=True, slots=True)
class Caller:
    """An agent in the middle of a turn, with what its manifest lets it do."""

    sandbox_id: uuid.UUID
    conversation: Conversation
    turn: Turn
    permissions: frozenset[str]
    calls_per_turn: int

    def require(self, permission: str) -> None:
        """Raises NotPermitted unless the manifest asks for the permission."""
        if permission not in self.permissions:
            raise NotPermitted(
                f"The manifest of this agent does not ask for “{permission}”.",
                hint="Add it to permissions in agent.toml and publish a new version.",
            )


def caller_of(request: HttpRequest) -> Caller:
    """The caller of a request. Raises NoToken, InvalidToken, TokenFromElsewhere, NotBound, NoTurn."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NoToken("Send the run token.", hint="Authorization: Bearer $AGENTSTORE_TOKEN")
    try:
        sandbox_id, key = sandbox_for(token.strip(), caller=_calling_sandbox(request))
    except NotClaimed:
        raise _not_bound() from None
    conversation_id = conversation_of_claim(key)
    if conversation_id is None:
        raise _not_bound()
    turn = running_turn(conversation_id)
    if turn is None:
        raise NoTurn("No turn is running.", hint="Call tools while you are answering a message.")
    manifest = turn.conversation.version.manifest
    return Caller(
        sandbox_id,
        turn.conversation,
        turn,
        frozenset(manifest.get("permissions", ())),
        calls_per_turn(manifest),
    )


def _calling_sandbox(request: HttpRequest) -> uuid.UUID | None:
    """Whose socket the request came through: the server's word, which no header can change."""
    try:
        return uuid.UUID(hex=request.META.get("REMOTE_ADDR") or "")
    except ValueError:
        return None


def _not_bound() -> NotBound:
    return NotBound("This sandbox serves no conversation yet.", hint="Wait for the first message.")
