"""Opening, finding and closing conversations."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import transaction

from agentstore.kit.clock import now
from agentstore.kit.errors import Conflict, NotFound
from billing.fraud import note_end_of_conversation
from billing.pricing import current_price_version
from marketplace.publishing.models import Agent, Version
from marketplace.shopping import events
from marketplace.shopping.constraints import MAX_PRICE, Constraints, constraints_of
from marketplace.shopping.models import (
    Conversation,
    ConversationStatusChange,
    Message,
    NegotiationRound,
    Shopper,
    Turn,
)
from marketplace.shopping.shoppers import consents_in_force
from sandbox import pool

CLAIM_PREFIX = "conversation:"


class AgentNotServing(Conflict):
    """The agent takes no conversations now."""

    code = "agent_not_serving"


class ConversationClosed(Conflict):
    """The conversation is over."""

    code = "conversation_closed"


def claim_key(conversation_id: uuid.UUID) -> str:
    """By which a sandbox is bound to the conversation."""
    return f"{CLAIM_PREFIX}{conversation_id}"


def conversation_of_claim(key: str) -> uuid.UUID | None:
    """The conversation that a claim key names, None when it names something else."""
    if not key.startswith(CLAIM_PREFIX):
        return None
    try:
        return uuid.UUID(key.removeprefix(CLAIM_PREFIX))
    except ValueError:
        return None


@transaction.atomic
def open_conversation(
    *, shopper: Shopper, agent: Agent, exposure_id: uuid.UUID | None = None, experiment_arm: str = ""
) -> Conversation:
    """A new conversation; pins the live version, the prices in force, consents, country and currency.

    Raises AgentNotServing when the agent is not live, billing's NoPricesInForce when there are no prices.
    """
    agent = Agent.objects.select_related("live_version").get(pk=agent.pk)
    if agent.status != Agent.Status.LISTED or agent.live_version is None:
        raise AgentNotServing(f"{agent.name} takes no conversations now.", hint="Choose another agent.")
    conversation = Conversation.objects.create(
        shopper=shopper, agent=agent, version=agent.live_version,
        price_version_ref=str(current_price_version().pk), exposure_id=exposure_id,
        experiment_arm=experiment_arm, consents=consents_in_force(shopper),
        currency=settings.STORE_CURRENCY, country=shopper.country,
    )  # fmt: skip
    note_status(conversation, to=Conversation.Status.OPEN, by="shopper")
    return conversation


@transaction.atomic
def open_rehearsal(*, version: Version) -> Conversation:
    """A conversation that only the checks see: no shopper, never shown, never billed."""
    conversation = Conversation.objects.create(
        purpose=Conversation.Purpose.REHEARSAL, agent=version.agent, version=version,
        price_version_ref="", currency=settings.STORE_CURRENCY,
    )  # fmt: skip
    note_status(conversation, to=Conversation.Status.OPEN, by="platform", reason="rehearsal")
    return conversation


def conversation_for(shopper: Shopper | None, conversation_id: uuid.UUID) -> Conversation:
    """The shopper's own conversation. Raises NotFound for everybody else's, as for one that never was."""
    found = None
    if shopper is not None:
        found = (
            Conversation.objects.select_related("agent__developer", "version")
            .filter(pk=conversation_id, shopper=shopper, purpose=Conversation.Purpose.SHOPPING)
            .first()
        )
    if found is None:
        raise NotFound("There is no such conversation.", hint="It may have been deleted. Start a new one.")
    return found


@transaction.atomic
def close_conversation(*, conversation: Conversation, by: str, reason: str) -> None:
    """End it: its sandbox dies, what was shown and billed stays. Idempotent."""
    row = Conversation.objects.select_for_update().get(pk=conversation.pk)
    if row.status == Conversation.Status.CLOSED:
        return
    note_status(row, to=Conversation.Status.CLOSED, by=by, reason=reason, from_status=row.status)
    row.status, row.closed_at = Conversation.Status.CLOSED, now()
    row.save(update_fields=["status", "closed_at"])
    note_end_of_conversation(
        conversation_ref=str(row.pk), ended_at=row.closed_at, real_messages=count_real_messages(row)
    )
    key = claim_key(row.pk)
    transaction.on_commit(lambda: pool.release_claim(claim_key=key, reason=reason), robust=True)


def count_real_messages(conversation: Conversation) -> int:
    """How many of the shopper's messages have words; signs and digits alone are none."""
    return conversation.messages.filter(role=Message.Role.SHOPPER, text__regex="[[:alpha:]]").count()


@transaction.atomic
def delete_conversation(*, conversation: Conversation) -> None:
    """Take its words away for good; raises Conflict while a turn runs.

    Where an order was attributed to it, or a fee depends on it, the record of what was recommended and negotiated
    stays, without the words that were said and without the shopper.
    """
    row = Conversation.objects.select_for_update().get(pk=conversation.pk)
    if row.turns.filter(status="running").exists():
        raise Conflict("The agent is still answering.", hint="Stop it first, then delete the conversation.")
    close_conversation(conversation=row, by="shopper", reason="deleted by the shopper")
    row.messages.update(text="", masked=[])
    row.tool_calls.update(arguments={}, result={})
    row.turns.update(log_tail="", failure_detail="")
    row.recommendations.update(reason="")
    NegotiationRound.objects.filter(negotiation__conversation=row).update(argument="")
    pool.forget_logs(claim_key=claim_key(row.pk))
    if row.recommendations.filter(status="shown").exists() or row.negotiations.exists():
        Conversation.objects.filter(pk=row.pk).update(
            status=Conversation.Status.DELETED, shopper=None, limits={}, consents=[]
        )
        note_status(row, to=Conversation.Status.DELETED, by="shopper", from_status=Conversation.Status.CLOSED)
    else:
        row.delete()
    key = conversation.pk
    transaction.on_commit(lambda: events.forget(key), robust=True)


def constraints_in_force(conversation: Conversation) -> Constraints:
    """What the platform checks claims against in this conversation, at this instant."""
    shopper = conversation.shopper
    return constraints_of(
        limits=conversation.limits, country=conversation.country, currency=conversation.currency,
        birth_year=shopper.birth_year if shopper else None, this_year=now().year,
    )  # fmt: skip


@transaction.atomic
def lift_limit(*, conversation: Conversation) -> None:
    """Forget the price limit that the shopper stated."""
    row = Conversation.objects.select_for_update().get(pk=conversation.pk)
    row.limits.pop(MAX_PRICE, None)
    row.save(update_fields=["limits"])


def note_status(
    conversation: Conversation,
    *,
    to: str,
    by: str,
    reason: str = "",
    from_status: str = "",
    turn: Turn | None = None,
) -> None:
    """The row that every change of a conversation's or a turn's status leaves."""
    ConversationStatusChange.objects.create(
        conversation=conversation,
        turn=turn,
        from_status=from_status,
        to_status=to,
        by=by,
        reason=reason[:200],
    )
