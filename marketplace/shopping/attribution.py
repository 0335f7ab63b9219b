"""Which conversation an order line is credited to (docs/algorithms/attribution.md)."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Q

from marketplace.shopping.models import Attribution, Conversation, OrderLine, Recommendation

WINDOW: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Card:
    """A card that this shopper was shown: which one, of what, in which conversation, when."""

    id: uuid.UUID
    conversation_id: uuid.UUID
    variant_id: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Credit:
    """The card that a line is credited to, and the rule that says so."""

    card: Card
    rule: str


def credit_line(
    *,
    variant_id: int,
    bought_from: uuid.UUID | None,
    negotiated_in: uuid.UUID | None = None,
    ordered_at: datetime,
    cards: Sequence[Card],
) -> Credit | None:
    """The rule, pure. A line bought from a card is that card's; one bought at a quote is the card's of the conversation
    that negotiated it, if it showed one. Any other line is the last card's that showed the same variant within WINDOW
    before the order; None when there is none, and nobody is paid.
    """
    for card in cards:
        if card.id == bought_from:
            return Credit(card, Attribution.Rule.CARD)
    for card in cards:
        if card.conversation_id == negotiated_in and card.variant_id == variant_id:
            return Credit(card, Attribution.Rule.QUOTE)
    recent = [
        card
        for card in cards
        if card.variant_id == variant_id and ordered_at - WINDOW <= card.at <= ordered_at
    ]
    if not recent:
        return None
    return Credit(max(recent, key=lambda card: (card.at, card.id)), Attribution.Rule.SAME_VARIANT)


def attribute_lines(
    *, shopper_id: uuid.UUID, lines: Collection[OrderLine], ordered_at: datetime
) -> list[Attribution]:
    """Record the credit of each line that has one; a line that has its attribution keeps it."""
    cards = _cards(shopper_id, lines, ordered_at)
    for line in lines:
        credit = credit_line(
            variant_id=line.offer.variant_id,
            bought_from=line.recommendation_id,
            negotiated_in=line.quote.conversation_id if line.quote else None,
            ordered_at=ordered_at,
            cards=cards,
        )
        if credit is not None:
            Attribution.objects.get_or_create(
                line=line,
                defaults={
                    "conversation_id": credit.card.conversation_id,
                    "recommendation_id": credit.card.id,
                    "rule": credit.rule,
                },
            )
    return list(
        Attribution.objects.filter(line__in=lines)
        .select_related(
            "line__order__merchant",
            "conversation__agent__developer",
            "conversation__shopper",
            "recommendation",
        )
        .order_by("line_id")
    )


def _cards(shopper_id: uuid.UUID, lines: Collection[OrderLine], ordered_at: datetime) -> list[Card]:
    """The shopper's own cards of these variants, those the lines were bought from, and those of the conversations that
    negotiated their prices.

    A conversation deleted since has no shopper any more, but the card that a line came from still names it.
    """
    shown = Recommendation.objects.filter(
        status=Recommendation.Status.SHOWN, conversation__purpose=Conversation.Purpose.SHOPPING
    )
    own = shown.filter(
        conversation__shopper_id=shopper_id,
        variant_id__in={line.offer.variant_id for line in lines},
        at__gte=ordered_at - WINDOW,
        at__lte=ordered_at,
    )
    named = shown.filter(
        Q(pk__in=[line.recommendation_id for line in lines if line.recommendation_id])
        | Q(
            conversation_id__in=[line.quote.conversation_id for line in lines if line.quote],
            variant_id__in={line.offer.variant_id for line in lines},
        )
    )
    return [
        Card(id=r.pk, conversation_id=r.conversation_id, variant_id=r.variant_id, at=r.at)
        for r in own.union(named)
        if r.variant_id is not None
    ]
