"""Who is calling: the run token names the sandbox, its claim the conversation. No id is taken from a
request.
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
from sandbox.models import Sandbox
from sandbox.tokens import InvalidToken, digest_of, sandbox_for


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
    """The caller of a request. Raises NoToken, InvalidToken, NotBound, NoTurn."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NoToken("Send the run token.", hint="Authorization: Bearer $AGENTSTORE_TOKEN")
    return caller_by(token.strip())


def caller_by(token: str) -> Caller:
    """The caller whose run token this is. Raises as `caller_of`."""
    try:
        sandbox_id, key = sandbox_for(token)
    except InvalidToken:
        if Sandbox.objects.filter(token_hash=digest_of(token), status__in=_UNCLAIMED).exists():
            raise _not_bound() from None
        raise
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


_UNCLAIMED = (Sandbox.Status.STARTING, Sandbox.Status.WARM)


def _not_bound() -> NotBound:
    return NotBound("This sandbox serves no conversation yet.", hint="Wait for the first message.")
