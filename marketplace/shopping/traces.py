"""What an agent did in a conversation, for those who may know: its developer, and operators for a rehearsal.

A developer sees every tool call, refusal, failure and timing, the end of the agent's log where a turn failed
(`agent_logs`), and the shopper's pseudonym. The words of a shopper are not theirs to read, nor are the agent's
answers to them, which repeat those words; of a rehearsal, where the platform itself asked, both are shown.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q, QuerySet

from agentstore.identity.models import Organization
from agentstore.kit.errors import NotFound
from marketplace.publishing.limits import granted_limits
from marketplace.shopping.failures import explain_failure
from marketplace.shopping.models import Conversation, Message, Recommendation, ToolCall, Turn
from marketplace.shopping.pseudonyms import pseudonym
from marketplace.shopping.recommendations import refusal_for_developers
from sandbox.failures import Explained
from sandbox.strain import Strain, limits_met

_HIDDEN_ARGUMENTS = frozenset({"query", "reason", "argument", "message"})
# The gateway's word (marketplace.gateway.errors), which stands above this room.
TOO_MANY_CALLS = "too_many_calls"
HIDDEN = "(the shopper's words are not shown)"


@dataclass(frozen=True, slots=True)
class TracedCall:
    """One tool call as its developer reads it."""

    call: ToolCall
    arguments: dict[str, Any]
    result: dict[str, Any]


@dataclass(frozen=True, slots=True)
class TracedClaim:
    """One recommendation and, when it was refused, why."""

    claim: Recommendation
    refusal: str


@dataclass(frozen=True, slots=True)
class TracedTurn:
    """One turn: how it went and how long it took."""

    turn: Turn
    asked: str
    answered: str
    calls: list[TracedCall]
    claims: list[TracedClaim]
    failure: Explained | None
    limits: list[str]

    @property
    def milliseconds(self) -> int | None:
        """From the message to the end; None while it runs."""
        ended = self.turn.ended_at
        return None if ended is None else int((ended - self.turn.started_at).total_seconds() * 1000)


@dataclass(frozen=True, slots=True)
class Trace:
    """A conversation without the shopper."""

    conversation: Conversation
    pseudonym: str
    words_shown: bool
    turns: list[TracedTurn]


def traced_conversations(organization: Organization) -> QuerySet[Conversation]:
    """The conversations with a developer's agents, the newest first, with counts of turns, cards and
    refusals.
    """
    return (
        Conversation.objects.filter(agent__developer=organization)
        .select_related("agent", "version")
        .annotate(
            turn_count=Count("turns", distinct=True),
            failed_count=Count("turns", filter=Q(turns__status=Turn.Status.FAILED), distinct=True),
            shown_count=Count("recommendations", filter=Q(recommendations__status="shown"), distinct=True),
            refused_count=Count(
                "recommendations", filter=Q(recommendations__status="refused"), distinct=True
            ),
        )
        .order_by("-opened_at")
    )


def trace_for_developer(organization: Organization, conversation_id: uuid.UUID) -> Trace:
    """The trace of a conversation with one of the organization's agents. Raises NotFound for all others."""
    conversation = (
        Conversation.objects.filter(agent__developer=organization, pk=conversation_id)
        .select_related("agent__developer", "version", "shopper")
        .first()
    )
    return _trace(conversation)


def trace_of_rehearsal(conversation_id: uuid.UUID) -> Trace:
    """The trace of a rehearsal, for operators. Raises NotFound for a shopper's conversation."""
    conversation = (
        Conversation.objects.filter(pk=conversation_id, purpose=Conversation.Purpose.REHEARSAL)
        .select_related("agent__developer", "version", "shopper")
        .first()
    )
    return _trace(conversation)


def _trace(conversation: Conversation | None) -> Trace:
    if conversation is None:
        raise NotFound("There is no such conversation.")
    words = conversation.purpose == Conversation.Purpose.REHEARSAL
    shopper = conversation.shopper
    turns = [
        _turn(turn, words=words)
        for turn in conversation.turns.prefetch_related("messages", "tool_calls", "recommendations")
    ]
    known_as = pseudonym(agent_id=conversation.agent_id, shopper_id=shopper.pk) if shopper else ""
    return Trace(conversation, known_as, words, turns)


def limits_of(turn: Turn) -> list[str]:
    """A sentence for each limit that the agent ran into in a turn: what its sandbox met, and calls."""
    nofile = int(granted_limits(turn.conversation.version.manifest)["open_files"].value)
    met = limits_met(Strain.from_json(turn.strain), turn.log_tail, nofile=nofile) if turn.failure else []
    refused = sum(call.outcome == TOO_MANY_CALLS for call in turn.tool_calls.all())
    return [*met, f"Calls: {refused} beyond calls_per_turn were refused."] if refused else met


def _turn(turn: Turn, *, words: bool) -> TracedTurn:
    said = {message.role: message.text for message in turn.messages.all()} if words else {}
    return TracedTurn(
        turn=turn,
        asked=said.get(Message.Role.SHOPPER, ""),
        answered=said.get(Message.Role.AGENT, ""),
        calls=[
            TracedCall(call, _shown(call.arguments, words), _shown(call.result, words))
            for call in turn.tool_calls.all()
        ],
        claims=[
            TracedClaim(claim, refusal_for_developers(claim.refusal)) for claim in turn.recommendations.all()
        ],
        failure=explain_failure(turn.failure) if turn.failure else None,
        limits=limits_of(turn),
    )


def _shown(value: Any, words: bool) -> Any:
    """A JSON value without what an agent may have copied from the shopper's words."""
    if words or not isinstance(value, dict):
        return value
    return {key: HIDDEN if key in _HIDDEN_ARGUMENTS else _shown(item, words) for key, item in value.items()}
