"""An agent's claim “this variant, for this reason”, grounded or refused."""

from __future__ import annotations

from django.contrib.postgres.indexes import BrinIndex
from django.db import models

from agentstore.kit.clock import now
from agentstore.kit.ids import new_id
from agentstore.kit.money import Money
from marketplace.catalog.models import Offer, Variant
from marketplace.shopping.models.conversation import Conversation, Turn


class Recommendation(models.Model):
    """A shown card or a recorded refusal. The price is what the platform read, never the agent's word."""

    class Status(models.TextChoices):
        SHOWN = "shown", "Shown"
        REFUSED = "refused", "Refused"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="recommendations")
    turn = models.ForeignKey(Turn, on_delete=models.CASCADE, related_name="recommendations")
    status = models.CharField(max_length=8, choices=Status.choices)
    claimed_variant = models.CharField(max_length=80, help_text="the id as the agent gave it")
    reason = models.TextField(help_text="why, in the agent's words; shown as text")
    refusal = models.CharField(max_length=60, blank=True, help_text="typed code, when refused")
    variant = models.ForeignKey(Variant, on_delete=models.PROTECT, null=True, related_name="+")
    offer = models.ForeignKey(Offer, on_delete=models.PROTECT, null=True, related_name="+")
    merchant_id = models.UUIDField(
        null=True, help_text="of a refused claim too, where there is such an offer"
    )
    price_micros = models.BigIntegerField(null=True)
    list_price_micros = models.BigIntegerField(null=True, help_text="before the sale, if on sale")
    currency = models.CharField(max_length=3, blank=True)
    sponsored = models.BooleanField(default=False, help_text="its conversation earns PPCv from this merchant")
    disclosure = models.JSONField(
        default=dict, help_text="what the store and the developer earn, for the shopper"
    )
    at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["at", "id"]
        indexes = [
            models.Index(fields=["merchant_id", "-at"], name="recommendation_by_merchant"),
            # Cards lie in the order of their showing: a few kilobytes find a day among millions.
            BrinIndex(fields=["at"], autosummarize=True, name="recommendation_by_day"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["conversation", "variant"],
                condition=models.Q(status="shown"),
                name="one_card_per_variant",
            ),
            models.CheckConstraint(
                name="shown_is_grounded",
                condition=models.Q(status="refused", refusal__gt="")
                | models.Q(status="shown", variant__isnull=False, offer__isnull=False, price_micros__gt=0),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.claimed_variant}: {self.refusal or 'shown'}"

    @property
    def price(self) -> Money | None:
        """The price on the card, as read when it was drawn."""
        return None if self.price_micros is None else Money(self.price_micros, self.currency)

    @property
    def list_price(self) -> Money | None:
        """The price before the sale, as read when the card was drawn; None when not on sale."""
        return None if self.list_price_micros is None else Money(self.list_price_micros, self.currency)
