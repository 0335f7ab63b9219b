"""An agent's claim, tested and recorded: shown with the platform's own price, or refused with a reason."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import structlog
from django.db import transaction
from django.db.models import Q

from agentstore.identity.models import Membership
from agentstore.kit.clock import now
from agentstore.kit.errors import Invalid, Refused
from agentstore.kit.ids import MalformedId, parse_public_id, public_id
from billing import fees, metering
from billing.fraud import Rule
from billing.metering import PpcvOutcome
from billing.pricing import fixed_terms
from marketplace.catalog.offers import OfferFact, read_offer
from marketplace.catalog.ucp import objects
from marketplace.shopping import events
from marketplace.shopping.conversations import constraints_in_force, count_real_messages
from marketplace.shopping.events import Name
from marketplace.shopping.grounding import Code, Refusal, ground
from marketplace.shopping.models import Conversation, Recommendation, Turn
from marketplace.shopping.quotes import quotes_of_one
from marketplace.shopping.turns import lock_running_turn

log = structlog.get_logger(__name__)

REASON_LETTERS = 400
# Recorded for operators; an agent and its developer read NOT_FOR_SALE, since a budget is none of their
# business.
PAUSED = "paused_by_merchant"


class ClaimRefused(Refused):
    """A claim that does not hold; the code is the rule that failed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a claim. `already`: the shopper had this card before."""

    recommendation: Recommendation
    refusal: Refusal | None = None
    already: bool = False


@transaction.atomic
def recommend(
    *,
    conversation_id: uuid.UUID,
    turn_id: uuid.UUID,
    variant_id: str,
    reason: str,
    offer_id: str | None = None,
) -> Outcome:
    """Ground a claim and record it, shown or refused; idempotent per conversation and variant.

    `variant_id` and `offer_id` are public ids, as the agent gave them. A shown card of a conversation
    with a shopper is metered (PPCv) and labelled accordingly, in the same transaction; the page is told
    after it.
    Raises Invalid without a reason, NoTurn when the turn has ended. A refusal is a value, so that its
    record is kept.
    """
    reason = reason.strip()
    if not reason:
        raise Invalid("A recommendation needs a reason.", hint="Say in a sentence why it suits the shopper.")
    turn = lock_running_turn(conversation_id=conversation_id, turn_id=turn_id)
    claim = _Claim(turn, variant_id[:80], reason[:REASON_LETTERS])
    try:
        variant = parse_public_id("var", variant_id)
        offer = parse_public_id("off", offer_id) if offer_id else None
    except MalformedId as malformed:
        return claim.refuse(
            Refusal(Code.MALFORMED_ID, malformed.message, "Use the ids that the catalogue tools return.")
        )
    shown = list(
        Recommendation.objects.filter(
            Q(variant_id=variant) | Q(turn=turn),
            conversation_id=conversation_id,
            status=Recommendation.Status.SHOWN,
        )
    )
    earlier = next((row for row in shown if row.variant_id == variant), None)
    if earlier is not None:
        return Outcome(earlier, already=True)
    fact = read_offer(variant_id=variant, offer_id=offer)
    quotes = quotes_of_one([conversation_id], {fact.offer_id: fact}) if fact else {}
    grounded = ground(
        fact,
        constraints_in_force(turn.conversation),
        shown_this_turn=len(shown),
        agreed=next((quote.unit_price for quote in quotes.values()), None),
    )
    if isinstance(grounded, Refusal):
        return claim.refuse(grounded, fact=fact)
    fee = _meter(turn, grounded.fact)
    if fee is not None and fee.status == "paused":
        return claim.refuse(_PAUSED_REFUSAL, fact=fact, record_as=PAUSED)
    return claim.show(grounded.fact, fee)


_PAUSED_REFUSAL = Refusal(Code.NOT_FOR_SALE, "This offer is not for sale now.", "Recommend another product.")


@dataclass(frozen=True, slots=True)
class _Claim:
    turn: Turn
    claimed_variant: str
    reason: str

    def refuse(
        self, refusal: Refusal, *, fact: OfferFact | None = None, record_as: str | None = None
    ) -> Outcome:
        """The offer itself is not referred to: a refused claim must not keep a merchant from deleting it."""
        row = Recommendation.objects.create(
            conversation=self.turn.conversation, turn=self.turn, status=Recommendation.Status.REFUSED,
            claimed_variant=self.claimed_variant, reason=self.reason, refusal=record_as or refusal.code,
            merchant_id=fact.merchant_id if fact else None, price_micros=fact.price.micros if fact else None,
            currency=fact.price.currency if fact else "",
        )  # fmt: skip
        return Outcome(row, refusal)

    def show(self, fact: OfferFact, fee: PpcvOutcome | None) -> Outcome:
        conversation = self.turn.conversation
        row = Recommendation.objects.create(
            conversation=conversation, turn=self.turn, status=Recommendation.Status.SHOWN,
            claimed_variant=self.claimed_variant, reason=self.reason, variant_id=fact.variant_id,
            offer_id=fact.offer_id, merchant_id=fact.merchant_id, price_micros=fact.price.micros,
            list_price_micros=fact.list_price.micros if fact.list_price else None,
            currency=fact.price.currency,
            sponsored=fee is not None and fee.sponsored, disclosure=_disclosure(conversation, fact, fee),
        )  # fmt: skip
        transaction.on_commit(lambda: _tell(row, fact))
        return Outcome(row)


def _meter(turn: Turn, fact: OfferFact) -> PpcvOutcome | None:
    """Hold the merchant's fee for this conversation; None where none may be earned.

    A rehearsal earns nothing, and neither does a developer's own organization talking to its own agent. A
    merchant's own people, and a message without words, are left to an operator.
    """
    conversation = turn.conversation
    if conversation.purpose != Conversation.Purpose.SHOPPING or conversation.shopper is None:
        return None
    user_id = conversation.shopper.user_id
    developer = conversation.agent.developer
    theirs = (
        set(Membership.objects.filter(user_id=user_id).values_list("organization_id", flat=True))
        if user_id
        else ()
    )
    if developer.pk in theirs:
        return None
    reported = []
    if fact.merchant_id in theirs:
        reported.append(Rule.OWN_ORGANIZATION)
    if not count_real_messages(conversation):
        reported.append(Rule.NO_REAL_MESSAGE)
    return metering.meter_ppcv(
        conversation_ref=str(conversation.pk), merchant_ref=fact.merchant_ref, developer_ref=developer.ref,
        category=fact.category, price_version_id=uuid.UUID(conversation.price_version_ref), occurred_at=now(),
        agent_ref=conversation.agent.ref, buyer_ref=f"shopper:{conversation.shopper.pk}", reported=reported,
    )  # fmt: skip


def _disclosure(conversation: Conversation, fact: OfferFact, fee: PpcvOutcome | None) -> dict[str, int | str]:
    """What the card says about money, in micro-units of its currency, by the prices of the conversation."""
    if not conversation.price_version_ref:
        return {}
    sale = fees.earnings_on_sale(
        fixed_terms(uuid.UUID(conversation.price_version_ref)), fact.category, fact.price
    )
    paid = fee if fee is not None and fee.sponsored else None
    return {
        "currency": fact.price.currency,
        "placement_micros": paid.fee.micros if paid else 0,
        "placement_developer_micros": paid.developer_share.micros if paid else 0,
        "sale_store_micros": sale.store.micros,
        "sale_developer_micros": sale.developer.micros,
    }


def _tell(row: Recommendation, fact: OfferFact) -> None:
    events.tell(
        row.conversation_id, Name.RECOMMENDATION, turn=str(row.turn_id), id=str(row.pk),
        variant_id=public_id("var", fact.variant_id), offer_id=public_id("off", fact.offer_id),
        title=fact.title,
        merchant=fact.merchant_name, price=objects.price(fact.price),
        reason=row.reason, sponsored=row.sponsored,
    )  # fmt: skip


def refusal_for_developers(code: str) -> str:
    """A recorded refusal as an agent and its developer may read it."""
    return Code.NOT_FOR_SALE.value if code == PAUSED else code
