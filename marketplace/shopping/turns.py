"""The life of a turn as rows: started, leased to the process that runs it, ended exactly once."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Max

from agentstore.kit.clock import now
from agentstore.kit.errors import Conflict, Invalid
from agentstore.kit.ids import new_id
from agentstore.kit.text import storable
from marketplace.publishing.models import Agent, Version
from marketplace.shopping import events
from marketplace.shopping.agent_logs import readable_log
from marketplace.shopping.constraints import MAX_PRICE, stated_limit
from marketplace.shopping.conversations import (
    CLAIM_PREFIX,
    AgentNotServing,
    ConversationClosed,
    claim_key,
    note_status,
)
from marketplace.shopping.events import Name
from marketplace.shopping.failures import LOST, Failure
from marketplace.shopping.masking import mask
from marketplace.shopping.models import Conversation, Message, Turn
from sandbox import pool
from sandbox.models import Sandbox
from sandbox.pool import NoCapacity

MESSAGE_LETTERS = 4000
_IDLE = timedelta(minutes=10)
_PROCESS = f"{socket.gethostname()[:40]}:{os.getpid()}"


class TurnRunning(Conflict):
    """The agent is still answering the message before."""

    code = "turn_running"


class NoTurn(Conflict):
    """The conversation has no turn that runs: an agent may act only while it is asked."""

    code = "no_turn"


@transaction.atomic
def start_turn(*, conversation: Conversation, text: str) -> Turn:
    """Store the shopper's message, personal data masked, and lease the turn to this process.

    Notes the price limit that the message states. Raises Invalid for no text or too much of it,
    ConversationClosed, AgentNotServing when the agent was suspended since, TurnRunning.
    """
    text = text.strip()
    if not text:
        raise Invalid("Write something first.")
    if len(text) > MESSAGE_LETTERS:
        raise Invalid(f"A message has at most {MESSAGE_LETTERS} characters.", hint="Say it in fewer words.")
    row = Conversation.objects.select_for_update().get(pk=conversation.pk)
    if row.status != Conversation.Status.OPEN:
        raise ConversationClosed("This conversation is over.", hint="Start a new one.")
    _require_serving(row)
    if row.turns.filter(status=Turn.Status.RUNNING).exists():
        raise TurnRunning("The agent is still answering.", hint="Wait for it, or stop it.")
    last = row.turns.aggregate(last=Max("index"))["last"]
    turn = Turn.objects.create(
        conversation=row, index=0 if last is None else last + 1, lease_owner=f"{_PROCESS}:{new_id().hex[:8]}",
        lease_until=_lease(),
    )  # fmt: skip
    note_status(row, turn=turn, to=Turn.Status.RUNNING, by=_author(row))
    masked = mask(text)
    Message.objects.create(
        conversation=row, turn=turn, role=Message.Role.SHOPPER, text=masked.text, masked=list(masked.kinds)
    )
    limit = stated_limit(masked.text, currency=row.currency)
    if limit is not None:
        row.limits[MAX_PRICE] = limit.micros
        row.save(update_fields=["limits"])
    return turn


def _author(conversation: Conversation) -> str:
    return "platform" if conversation.purpose == Conversation.Purpose.REHEARSAL else "shopper"


def _require_serving(conversation: Conversation) -> None:
    if conversation.purpose == Conversation.Purpose.REHEARSAL:
        return
    agent = Agent.objects.get(pk=conversation.agent_id)
    version = Version.objects.get(pk=conversation.version_id)
    if agent.status != Agent.Status.LISTED or version.status == Version.Status.REJECTED:
        raise AgentNotServing(f"{agent.name} takes no conversations now.", hint="Choose another agent.")


def renew_leases(*, owners: Mapping[uuid.UUID, str]) -> set[uuid.UUID]:
    """Keep these turns, each its owner's; those that are still theirs. What is done for the others should stop."""
    held = Turn.objects.filter(status=Turn.Status.RUNNING, lease_owner__in=list(owners.values()))
    held.update(lease_until=_lease())
    return {pk for pk, owner in held.values_list("pk", "lease_owner") if owners.get(pk) == owner}


def _lease() -> datetime:
    return now() + timedelta(seconds=settings.TURN_LEASE_SECONDS)


@transaction.atomic
def end_turn(
    *, turn_id: uuid.UUID, status: str, by: str, text: str = "", failure: Failure | None = None,
    owner: str | None = None, first_event_ms: int | None = None,
) -> bool:  # fmt: skip
    """End a running turn, keep what the agent had said, and tell the page; False when it had ended before.

    With `owner`, only while that owner holds the lease. What was shown or billed stays as it is. A failed
    turn gives its sandbox up in the same transaction, so that whoever is told and tries again gets a fresh one.
    """
    turn = Turn.objects.select_for_update(of=("self",)).select_related("conversation__agent").get(pk=turn_id)
    if turn.status != Turn.Status.RUNNING or (owner is not None and turn.lease_owner != owner):
        return False
    note_status(
        turn.conversation, turn=turn, to=status, by=by, from_status=turn.status,
        reason=failure.code if failure else "",
    )  # fmt: skip
    turn.status, turn.ended_at, turn.lease_until = status, now(), None
    turn.first_event_ms = first_event_ms if first_event_ms is not None else turn.first_event_ms
    if failure is not None:
        turn.fault, turn.failure, turn.strain = failure.fault, failure.code, failure.strain
        said = _said_by_a_shopper(turn.conversation)
        turn.failure_detail = readable_log(failure.detail, said=said)[:300]
        turn.log_tail = readable_log(failure.log_tail, said=said)
    turn.save()
    # The agent may still be busy with this turn; where there was no place, one may be on its way.
    key = claim_key(turn.conversation_id)
    if failure is None:
        pool.rest_claim(claim_key=key)
    elif failure.code != NoCapacity.code:
        pool.release_claim(claim_key=key, reason=f"its turn failed: {failure.code}")
    if text:
        Message.objects.create(
            conversation=turn.conversation, turn=turn, role=Message.Role.AGENT, text=storable(text)
        )
    shown = turn.recommendations.filter(status="shown").count()
    transaction.on_commit(lambda: _tell_end(turn, text=text, shown=shown, failure=failure))
    return True


def _said_by_a_shopper(conversation: Conversation) -> list[str]:
    """Nothing in a rehearsal, where the platform itself asks."""
    if conversation.purpose == Conversation.Purpose.REHEARSAL:
        return []
    return list(conversation.messages.filter(role=Message.Role.SHOPPER).values_list("text", flat=True))


def _tell_end(turn: Turn, *, text: str, shown: int, failure: Failure | None) -> None:
    where = {"turn": str(turn.pk)}
    if text:
        events.tell(turn.conversation_id, Name.MESSAGE_DONE, **where, text=text)
    if failure is not None:
        events.tell(
            turn.conversation_id, Name.TURN_FAILED, **where, fault=failure.fault.value, code=failure.code,
            message=failure.words(turn.conversation.agent.name),
        )  # fmt: skip
    else:
        events.tell(
            turn.conversation_id,
            Name.TURN_DONE,
            **where,
            stopped=turn.status == Turn.Status.STOPPED,
            cards=shown,
        )


def stop_turn(*, conversation: Conversation) -> uuid.UUID | None:
    """The shopper has heard enough; what was said so far is kept. The turn that was stopped, None when
    none ran.
    """
    turn = conversation.turns.filter(status=Turn.Status.RUNNING).first()
    if turn is None:
        return None
    said = events.said(conversation.pk, turn.pk)
    stopped = end_turn(turn_id=turn.pk, status=Turn.Status.STOPPED, by="shopper", text=said)
    return turn.pk if stopped else None


def running_turn(conversation_id: uuid.UUID) -> Turn | None:
    """The turn that runs now with its lease in force, None when there is none."""
    return (
        Turn.objects.filter(
            conversation_id=conversation_id, status=Turn.Status.RUNNING, lease_until__gt=now()
        )
        .select_related("conversation__agent", "conversation__version", "conversation__shopper")
        .first()
    )


def lock_running_turn(*, conversation_id: uuid.UUID, turn_id: uuid.UUID) -> Turn:
    """The turn, locked until the caller's transaction ends: what agents do in it comes one after the other.

    Raises NoTurn when it has ended.
    """
    turn = (
        Turn.objects.select_for_update(of=("self",), no_key=True)
        .select_related("conversation__agent__developer", "conversation__shopper")
        .filter(pk=turn_id, conversation_id=conversation_id, status=Turn.Status.RUNNING)
        .first()
    )
    if turn is None:
        raise NoTurn("No turn is running.", hint="Call tools while you are answering a message.")
    return turn


def reap_turns() -> int:
    """End the turns whose process is gone; how many."""
    lost = Turn.objects.filter(status=Turn.Status.RUNNING, lease_until__lt=now())[:200]
    ended = 0
    for turn in lost:
        said = events.said(turn.conversation_id, turn.pk)
        if end_turn(
            turn_id=turn.pk,
            status=Turn.Status.FAILED,
            by="reaper",
            text=said,
            failure=LOST,
            owner=turn.lease_owner,
        ):
            ended += 1
    return ended


def release_idle_sandboxes() -> int:
    """Give back the sandboxes of conversations that were silent for ten minutes; the next message claims
    another.
    """
    idle = Sandbox.objects.filter(
        status=Sandbox.Status.CLAIMED, claim_key__startswith=CLAIM_PREFIX, last_used_at__lt=now() - _IDLE
    )[:200]
    running = Turn.objects.filter(status=Turn.Status.RUNNING).values_list("conversation_id", flat=True)
    busy = {claim_key(pk) for pk in running}
    return sum(
        pool.release(sandbox_id=row.pk, reason="its conversation went silent")
        for row in idle
        if row.claim_key not in busy
    )
