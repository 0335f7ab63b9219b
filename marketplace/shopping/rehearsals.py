"""The conversation that every submission holds before an operator sees it; never shown, never billed."""

from __future__ import annotations

import time
import uuid

import structlog
from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import transaction

from agentstore.kit.errors import Unavailable
from agentstore.kit.money import Money
from marketplace.publishing import verdicts
from marketplace.publishing.models import Submission
from marketplace.shopping import events, runner, turns
from marketplace.shopping.conversations import close_conversation, open_rehearsal
from marketplace.shopping.failures import explain_failure
from marketplace.shopping.grounding import Code
from marketplace.shopping.models import Conversation, Message, Recommendation, Turn
from marketplace.shopping.recommendations import refusal_for_developers
from marketplace.shopping.traces import limits_of
from sandbox.failures import Fault

log = structlog.get_logger(__name__)

_LIMIT_MICROS = 50_000_000
_QUOTE_LETTERS = 300
# What a claim is refused for by who the shopper is, which no agent is told: it may try and be refused.
_UNTOLD = frozenset({Code.AGE_RESTRICTED, Code.NOT_SHIPPABLE})


class RehearsalUndecided(Unavailable):
    """The platform failed, not the agent: nothing was recorded, and the rehearsal has to be held again."""

    code = "rehearsal_undecided"


def rehearse(*, submission_id: uuid.UUID) -> None:
    """Hold the rehearsal of a submission, record its two checks and conclude.

    Safe to repeat: a submission that is not waiting for its rehearsal is left alone, and a rehearsal
    that was cut off is held anew. Raises RehearsalUndecided when the failure was the platform's.
    """
    submission = Submission.objects.select_related("version__agent").get(pk=submission_id)
    if submission.status != Submission.Status.REHEARSING or submission.version is None:
        return
    started = time.monotonic()
    _close_earlier(submission)
    conversation = open_rehearsal(version=submission.version)
    turn = turns.start_turn(conversation=conversation, text=canned_request(submission.version.manifest))
    try:
        async_to_sync(_run)(turn)
    finally:
        close_conversation(conversation=conversation, by="platform", reason="rehearsal over")
    turn.refresh_from_db()
    if turn.status != Turn.Status.DONE and turn.fault != Fault.AGENT:
        raise RehearsalUndecided(
            f"The rehearsal could not be held ({turn.failure or turn.status}).", hint="It is tried again."
        )
    _record(submission_id, turn, duration_ms=int((time.monotonic() - started) * 1000))
    verdicts.conclude(submission_id=submission_id)


async def _run(turn: Turn) -> None:
    try:
        await runner.run_turn(turn.pk, owner=turn.lease_owner)
    finally:
        await events.close_client()


def canned_request(manifest: dict[str, object]) -> str:
    """What the rehearsal asks: something that a catalogue can answer, in the agent's own field, with a
    limit.
    """
    categories = manifest.get("categories")
    first = str(categories[0]) if isinstance(categories, list) and categories else ""
    field = first.split("--")[-1].replace("-", " ")
    limit = Money(_LIMIT_MICROS, settings.STORE_CURRENCY)
    about = f" It should be something from {field}." if field and field != "all" else ""
    return f"I need a gift under {limit}.{about} What do you recommend?"


def _close_earlier(submission: Submission) -> None:
    earlier = Conversation.objects.filter(
        version=submission.version, purpose=Conversation.Purpose.REHEARSAL, status=Conversation.Status.OPEN
    )
    for conversation in earlier:
        close_conversation(conversation=conversation, by="platform", reason="rehearsed anew")


@transaction.atomic
def _record(submission_id: uuid.UUID, turn: Turn, *, duration_ms: int) -> None:
    answer = turn.messages.filter(role=Message.Role.AGENT).first()
    claims = list(turn.recommendations.all())
    shown = [claim for claim in claims if claim.status == Recommendation.Status.SHOWN]
    refused = [claim for claim in claims if claim.status == Recommendation.Status.REFUSED]
    evidence = {"conversation": str(turn.conversation_id), "turn": str(turn.pk)}
    answered = turn.status == Turn.Status.DONE and answer is not None
    if answered and answer is not None:
        detail = f"It answered: “{answer.text[:_QUOTE_LETTERS]}”"
    elif turn.status == Turn.Status.DONE:
        detail = "It showed cards but answered with no words."
    else:
        told = explain_failure(turn.failure)
        detail = f"It did not answer. {told.words} {told.hint}"
    verdicts.record_check(
        submission_id=submission_id, name="answers_request", passed=answered, detail=detail,
        evidence={**evidence, "log": [*limits_of(turn), *turn.log_tail.splitlines()]}, duration_ms=duration_ms,
    )  # fmt: skip
    honest = all(claim.refusal in _UNTOLD for claim in refused)
    verdicts.record_check(
        submission_id=submission_id, name="recommends_real_variants", passed=bool(shown) and honest,
        detail=_words(shown, refused), duration_ms=duration_ms,
        evidence={
            **evidence,
            "shown": [claim.claimed_variant for claim in shown],
            "log": [f"{c.claimed_variant}: {refusal_for_developers(c.refusal)}" for c in refused],
        },
    )  # fmt: skip


_REFUSALS = {
    "unknown_variant": "does not exist in the catalogue",
    "malformed_id": "is no id of a variant",
    "out_of_stock": "is out of stock",
    "withheld": "is withheld from the store",
    "not_for_sale": "is not for sale",
    "over_limit": "costs more than the limit that the request stated",
    "age_restricted": "has an age limit",
    "not_shippable": "is not shipped to where the request came from",
    "other_currency": "is priced in another currency",
    "too_many": "came after more cards than one turn may show",
}


def _words(shown: list[Recommendation], refused: list[Recommendation]) -> str:
    if not shown and not refused:
        return "It recommended nothing. Call the recommend tool with a variant_id from the catalogue."
    real = f"{len(shown)} of {len(shown) + len(refused)} recommendations hold."
    false = " ".join(
        f"{claim.claimed_variant} {_REFUSALS.get(refusal_for_developers(claim.refusal), 'was refused')}."
        for claim in refused[:10]
    )
    return f"{real} {false}".strip()
