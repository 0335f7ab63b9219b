"""Rounds as the shopper's page draws them: what was proposed, what was answered, and what is true of it now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import QuerySet

from marketplace.catalog.offers import OfferFact, read_offers
from marketplace.shopping.models import NegotiationRound, Quote, Recommendation


@dataclass(frozen=True, slots=True)
class ShownRound:
    """A round with its offer now, its quote where it was accepted, and the offer's card in the conversation."""

    row: NegotiationRound
    fact: OfferFact
    quote: Quote | None
    card: Recommendation | None

    @property
    def holds(self) -> bool:
        """Whether it can be bought at the quote now."""
        quote = self.quote
        if quote is None or quote.checkout_id is not None or quote.is_over or self._is_cheaper:
            return False
        same = self.fact.price.currency == quote.currency
        return same and self.fact.available and self.fact.stock >= quote.least_quantity

    @property
    def standing(self) -> str:
        """Why an accepted price does not hold any more, in a word or two; empty for one that holds, or none."""
        if self.quote is None or self.holds:
            return ""
        if self.quote.used_at is not None:
            return "used"
        if self.quote.checkout_id is not None:
            return "in your open checkout"
        if self.quote.is_over:
            return "over"
        return (
            f"not needed: the item is {self.fact.price} now" if self._is_cheaper else "not available any more"
        )

    @property
    def _is_cheaper(self) -> bool:
        """Whether the cart takes the offer's own price, which has fallen below the quote."""
        quote, price = self.quote, self.fact.price
        return quote is not None and price.currency == quote.currency and price < quote.unit_price

    @property
    def rule(self) -> str:
        """What the rule that answered is for, in words."""
        rule = self.row.rule
        if rule is None:
            return "a rule that is gone since"
        return {"offer": "its rule for this item", "product": "its rule for this product"}.get(
            rule.scope, f"its rule for {rule.about}"
        )

    @property
    def pieces(self) -> int:
        """How many its button puts into the cart: as many as were agreed on and are left."""
        return min(self.row.quantity, self.fact.stock)

    @property
    def fields(self) -> list[tuple[str, str]]:
        """What the form that puts it into the cart sends."""
        fields = [("offer_id", self.fact.public_ids["offer"]), ("quantity", str(self.pieces))]
        return [*fields, ("recommendation", str(self.card.pk))] if self.card else fields


def rounds_for(rows: QuerySet[NegotiationRound]) -> list[ShownRound]:
    """Rounds in their order; a few queries for all. One whose offer is gone is left out."""
    found = list(rows.select_related("negotiation", "quote", "rule__category"))
    facts = read_offers(offer_ids={row.negotiation.offer_id for row in found}) if found else {}
    cards = _cards(found)
    return [
        ShownRound(
            row,
            fact,
            getattr(row, "quote", None),
            cards.get((row.negotiation.conversation_id, fact.variant_id)),
        )
        for row in found
        if (fact := facts.get(row.negotiation.offer_id)) is not None
    ]


def _cards(rows: Iterable[NegotiationRound]) -> dict[object, Recommendation]:
    shown = Recommendation.objects.filter(
        conversation_id__in={row.negotiation.conversation_id for row in rows},
        status=Recommendation.Status.SHOWN,
    )
    return {(card.conversation_id, card.variant_id): card for card in shown} if rows else {}
