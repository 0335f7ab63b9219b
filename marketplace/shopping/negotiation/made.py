"""What was negotiated with a merchant's rules, for the merchant: never with whom, nor what was said."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, F, Prefetch, Q, QuerySet, Sum

from agentstore.identity.models import Organization
from agentstore.kit.money import Money
from marketplace.shopping.models import Conversation, Negotiation, NegotiationRound, Quote


@dataclass(frozen=True, slots=True)
class Made:
    """One negotiation: its rounds, and what it came to."""

    row: Negotiation
    rounds: list[NegotiationRound]

    @property
    def item(self) -> str:
        """What it was about."""
        variant = self.row.offer.variant
        return f"{variant.product.title}, {variant.title}" if variant.title else variant.product.title

    @property
    def outcome(self) -> NegotiationRound:
        """The round that it came to: the last whose quote was bought at, else the last agreed on, else the last."""
        agreed = [each for each in self.rounds if each.kind == NegotiationRound.Kind.ACCEPT]
        bought = [each for each in agreed if each.quote.used_at is not None]
        return (bought or agreed or self.rounds)[-1]

    @property
    def quote(self) -> Quote | None:
        """What was agreed on, None for nothing."""
        return getattr(self.outcome, "quote", None)

    @property
    def off(self) -> float:
        """What is off the offer's price by the quote, as a share of it."""
        return self.quote.saved.micros / self.quote.price.micros if self.quote else 0.0


@dataclass(frozen=True, slots=True)
class Sums:
    """All of a merchant's negotiations together. `given` is what quotes took off the orders paid with them."""

    negotiations: int
    rounds: int
    agreed: int
    bought: int
    given: Money


def negotiations_of(merchant: Organization) -> QuerySet[Negotiation]:
    """A merchant's negotiations with shoppers' agents, the newest first; rehearsals are none."""
    heard = NegotiationRound.objects.select_related("quote").order_by("number")
    return (
        Negotiation.objects.filter(merchant=merchant, conversation__purpose=Conversation.Purpose.SHOPPING)
        .select_related("conversation__agent", "offer__variant__product")
        .prefetch_related(Prefetch("rounds", queryset=heard))
    )


def sums_of(merchant: Organization, *, currency: str) -> Sums:
    """What they come to, in the store's currency."""
    rounds = NegotiationRound.objects.filter(
        negotiation__merchant=merchant,
        negotiation__conversation__purpose=Conversation.Purpose.SHOPPING,
    )
    counted = rounds.aggregate(
        negotiations=Count("negotiation", distinct=True),
        rounds=Count("pk"),
        agreed=Count("negotiation", distinct=True, filter=Q(quote__isnull=False)),
        bought=Count("quote", distinct=True, filter=Q(quote__used_at__isnull=False)),
    )
    given = Quote.objects.filter(round__in=rounds, used_at__isnull=False).aggregate(
        micros=Sum(
            F("lines__quantity") * (F("lines__list_price_micros") - F("lines__unit_price_micros")),
            filter=Q(lines__order__paid_at__isnull=False),
        )
    )
    return Sums(**counted, given=Money(given["micros"] or 0, currency))
