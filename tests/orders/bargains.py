"""Prices agreed on: a rule of the merchant's, and a proposal in a conversation that it accepts."""

from __future__ import annotations

from marketplace.catalog.models import Offer
from marketplace.shopping.models import Conversation, NegotiationRule, Quote, Turn
from marketplace.shopping.negotiation import Break, Terms
from marketplace.shopping.negotiation.negotiating import Heard, Proposal, negotiate
from marketplace.shopping.negotiation.rules import add_rule

# $89.10 for one of $99.00, $79.20 for each of five and more, in one round.
GENEROUS = Terms(off_ppm=100_000, step_ppm=500_000, rounds=3, breaks=(Break(5, 200_000),))


def allow(offer: Offer, terms: Terms = GENEROUS) -> NegotiationRule:
    """A rule of the offer's merchant for it."""
    owner = offer.merchant.memberships.select_related("user").get(role="owner").user
    return add_rule(merchant=offer.merchant, target=offer, terms=terms, active=True, by=owner)


def propose(conversation: Conversation, offer: Offer, amount: int, quantity: int = 1, **more: str) -> Heard:
    """An agent's proposal in a turn of its own, in cents."""
    turn = Turn.objects.create(conversation=conversation, index=conversation.turns.count())
    try:
        proposal = Proposal(offer.public_id, amount, quantity, **more)
        return negotiate(conversation_id=conversation.pk, turn_id=turn.pk, proposal=proposal)
    finally:
        Turn.objects.filter(pk=turn.pk).update(status=Turn.Status.DONE)


def agree(conversation: Conversation, offer: Offer, amount: int, quantity: int = 1) -> Quote:
    """A quote."""
    quote = propose(conversation, offer, amount, quantity).quote
    assert quote
    return quote
