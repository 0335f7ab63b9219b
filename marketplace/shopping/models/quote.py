"""A negotiation over one offer in one conversation: its rounds, and the quotes that they came to."""

from __future__ import annotations

import secrets

from django.db import models

from agentstore.identity.models import Organization
from agentstore.kit.clock import now
from agentstore.kit.ids import new_id
from agentstore.kit.money import Money
from marketplace.catalog.models import Offer
from marketplace.shopping.models.conversation import Conversation, Turn
from marketplace.shopping.models.negotiation import NegotiationRule, NegotiationRuleChange

# Without those that are taken for one another.
_LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"


class Negotiation(models.Model):
    """Its rounds are counted here, under this row's lock, whatever quantity they are about."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="negotiations")
    offer = models.ForeignKey(Offer, on_delete=models.PROTECT, related_name="+")
    merchant = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="negotiations")
    opened_at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["-opened_at", "-id"]
        indexes = [models.Index(fields=["merchant", "-opened_at"], name="negotiation_by_merchant")]
        constraints = [
            models.UniqueConstraint(fields=["conversation", "offer"], name="one_negotiation_per_offer")
        ]

    def __str__(self) -> str:
        return f"offer {self.offer_id} in {self.conversation_id}"


class NegotiationRound(models.Model):
    """One proposal and the answer: the disclosure of a negotiated price. Prices are of one piece.

    The terms are the merchant's alone: neither agents nor shoppers are shown them.
    """

    class Kind(models.TextChoices):
        ACCEPT = "accept", "Accepted"
        COUNTER = "counter", "Countered"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    negotiation = models.ForeignKey(Negotiation, on_delete=models.CASCADE, related_name="rounds")
    turn = models.ForeignKey(Turn, on_delete=models.CASCADE, related_name="rounds")
    number = models.PositiveSmallIntegerField(help_text="from 1; the one after the last takes its counter")
    quantity = models.PositiveIntegerField()
    proposed_micros = models.BigIntegerField()
    argument = models.TextField(blank=True, help_text="the agent's words; shown as text")
    kind = models.CharField(max_length=7, choices=Kind.choices)
    answered_micros = models.BigIntegerField(help_text="what one piece costs by the answer")
    price_micros = models.BigIntegerField(help_text="the offer's own price then")
    currency = models.CharField(max_length=3)
    rounds_left = models.PositiveSmallIntegerField()
    rule = models.ForeignKey(NegotiationRule, on_delete=models.SET_NULL, null=True, related_name="+")
    rule_version = models.ForeignKey(
        NegotiationRuleChange, on_delete=models.SET_NULL, null=True, related_name="+",
        help_text="the rule as it stood",
    )  # fmt: skip
    terms = models.JSONField(help_text="what the rule allowed then")
    key = models.CharField(max_length=80, blank=True, help_text="the agent's idempotency key")
    at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["negotiation", "number"], name="one_round_per_number"),
            models.UniqueConstraint(
                fields=["negotiation", "key"], condition=~models.Q(key=""), name="one_round_per_key"
            ),
            models.CheckConstraint(
                name="answered_within_the_price",
                condition=models.Q(answered_micros__gt=0, answered_micros__lte=models.F("price_micros")),
            ),
        ]

    def __str__(self) -> str:
        return f"round {self.number}: {self.kind}"

    @property
    def proposed(self) -> Money:
        """What the agent proposed for one."""
        return Money(self.proposed_micros, self.currency)

    @property
    def answered(self) -> Money:
        """What one costs by the answer."""
        return Money(self.answered_micros, self.currency)

    @property
    def price(self) -> Money:
        """The offer's own price of one then."""
        return Money(self.price_micros, self.currency)


def new_code() -> str:
    """About 99 random bits: whoever has a guest's code may use it."""
    letters = "".join(secrets.choice(_LETTERS) for _ in range(20))
    return "-".join(["NEG", *(letters[place : place + 5] for place in range(0, 20, 5))])


class Quote(models.Model):
    """A price that a merchant's rule agreed to, for the shopper of one conversation, until it expires; used once."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    round = models.OneToOneField(NegotiationRound, on_delete=models.CASCADE, related_name="quote")
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="quotes")
    offer = models.ForeignKey(Offer, on_delete=models.PROTECT, related_name="+")
    least_quantity = models.PositiveIntegerField(help_text="fewer have not been agreed on")
    quantity = models.PositiveIntegerField(help_text="at most so many")
    unit_price_micros = models.BigIntegerField(help_text="of one piece")
    price_micros = models.BigIntegerField(help_text="the offer's own price of one then")
    currency = models.CharField(max_length=3)
    code = models.CharField(
        max_length=30, unique=True, null=True, default=new_code,
        help_text="what the shopper hands to a platform; no agent is told",
    )  # fmt: skip
    made_at = models.DateTimeField(default=now)
    expires_at = models.DateTimeField()
    checkout = models.ForeignKey(
        "shopping.Checkout", on_delete=models.PROTECT, null=True, related_name="quotes",
        help_text="which uses it; none again when that comes to nothing",
    )  # fmt: skip
    used_at = models.DateTimeField(null=True, blank=True, help_text="when that checkout was paid")

    class Meta:
        ordering = ["made_at", "id"]
        indexes = [models.Index(fields=["conversation", "offer"], name="quote_by_offer")]
        constraints = [
            models.CheckConstraint(
                name="quote_within_the_price",
                condition=models.Q(unit_price_micros__gt=0, unit_price_micros__lte=models.F("price_micros")),
            ),
            models.CheckConstraint(
                name="quote_of_some_pieces",
                condition=models.Q(least_quantity__gte=1, least_quantity__lte=models.F("quantity")),
            ),
            models.CheckConstraint(
                name="used_by_a_checkout", condition=models.Q(used_at=None) | models.Q(checkout__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} of offer {self.offer_id} at {self.unit_price}"

    @property
    def unit_price(self) -> Money:
        """What one piece costs by it."""
        return Money(self.unit_price_micros, self.currency)

    @property
    def price(self) -> Money:
        """The offer's own price of one when it was agreed."""
        return Money(self.price_micros, self.currency)

    @property
    def is_over(self) -> bool:
        """Whether nobody can buy at it any more: it was used, or it has expired."""
        return self.used_at is not None or self.expires_at <= now()

    @property
    def saved(self) -> Money:
        """What one piece cost less than at the offer's own price."""
        return self.price - self.unit_price
