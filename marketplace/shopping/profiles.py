"""What a consenting shopper lets an agent know; never a name, an address, an e-mail or a card."""

from __future__ import annotations

from typing import Any

from marketplace.shopping.models import Consent, Conversation, OrderLine
from marketplace.shopping.pseudonyms import pseudonym

_PURCHASES = 20


def profile_for(conversation: Conversation) -> dict[str, Any] | None:
    """The shopper's facts for the agent of a conversation, None without consent.

    The consent must have been in force when the conversation was opened and still be: taking it back
    works at once.
    """
    shopper = conversation.shopper
    if shopper is None or Consent.Scope.PROFILE not in conversation.consents:
        return None
    if not shopper.consents.filter(scope=Consent.Scope.PROFILE, withdrawn_at=None).exists():
        return None
    bought = OrderLine.objects.filter(order__shopper=shopper, order__status="paid").order_by(
        "-order__placed_at"
    )
    return {
        "pseudonym": pseudonym(agent_id=conversation.agent_id, shopper_id=shopper.pk),
        "sizes": list(shopper.facts.get("sizes", [])),
        "likes": list(shopper.facts.get("likes", [])),
        "past_purchases": [{"title": line.title, "category": line.category} for line in bought[:_PURCHASES]],
    }
