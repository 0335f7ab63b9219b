"""Cards as a page draws them: what was recommended, and what is true of it at this instant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from agentstore.kit.money import Money
from marketplace.catalog.offers import OfferFact, read_offers
from marketplace.shopping.models import Quote, Recommendation
from marketplace.shopping.quotes import quotes_of_one


@dataclass(frozen=True, slots=True)
class Card:
    """A shown recommendation, its offer now, and the quote of its conversation at which one is to be had.

    The price is the one that the platform read for the card.
    """

    recommendation: Recommendation
    fact: OfferFact
    quote: Quote | None

    @property
    def note(self) -> str:
        """At which other price it is to be had now; empty when there is none."""
        if self.quote is not None:
            return (
                f"Negotiated: {self.quote.unit_price} in your cart until {self.quote.expires_at:%H:%M} UTC."
            )
        return "" if self.fact.price == self.recommendation.price else f"The price is {self.fact.price} now."

    @property
    def store_earns(self) -> str:
        """The disclosure beside the card, in words."""
        if not self.recommendation.disclosure:
            return ""
        paid = (
            f"{self.fact.merchant_name} pays {self.placement} for this conversation, of which "
            f"the agent's developer gets {self.placement_developer}. "
            if self.placement
            else "Nobody paid for this recommendation. "
        )
        price = f" at {self.recommendation.price}" if self.note else ""
        return (
            f"{paid}If you buy it{price}, the store keeps {self.sale_store} and the developer gets "
            f"{self.sale_developer}; your price is the same either way. Neither changes what an agent finds "
            "or where it ranks."
        )

    @property
    def fields(self) -> list[tuple[str, str]]:
        """What the form that puts it into the cart sends."""
        return [("offer_id", self.fact.public_ids["offer"]), ("recommendation", str(self.recommendation.pk))]

    @property
    def placement(self) -> Money | None:
        """What the merchant paid for the conversation, None for nothing."""
        return self._disclosed("placement_micros")

    @property
    def placement_developer(self) -> Money | None:
        """The developer's part of it."""
        return self._disclosed("placement_developer_micros")

    @property
    def sale_store(self) -> Money:
        """What the store would keep of a sale at the card's price."""
        return self._disclosed("sale_store_micros") or Money(0, self.recommendation.currency)

    @property
    def sale_developer(self) -> Money:
        """What the developer would get of it."""
        return self._disclosed("sale_developer_micros") or Money(0, self.recommendation.currency)

    def _disclosed(self, key: str) -> Money | None:
        micros = self.recommendation.disclosure.get(key)
        return Money(micros, self.recommendation.currency) if micros else None


def cards_for(recommendations: Iterable[Recommendation]) -> list[Card]:
    """Cards of shown recommendations in their order; a few queries for all. One whose offer is gone is left
    out.
    """
    rows = [row for row in recommendations if row.status == Recommendation.Status.SHOWN and row.offer_id]
    facts = read_offers(offer_ids=[row.offer_id for row in rows if row.offer_id is not None])
    quotes = quotes_of_one({row.conversation_id for row in rows}, facts) if rows else {}
    return [
        Card(row, facts[row.offer_id], quotes.get((row.conversation_id, row.offer_id)))
        for row in rows
        if row.offer_id in facts
    ]
