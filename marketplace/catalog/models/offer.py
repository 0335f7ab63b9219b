"""One merchant's price and stock for a variant: the narrow table that changes all day."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from agentstore.identity.models import Organization
from agentstore.kit.clock import now
from agentstore.kit.ids import public_id
from agentstore.kit.money import Money
from marketplace.catalog.models.product import Variant


class Offer(models.Model):
    """A price, a stock and where it ships. PostgreSQL itself keeps stock from going below zero."""

    variant = models.ForeignKey(Variant, on_delete=models.CASCADE, related_name="offers")
    merchant = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="offers")
    price_micros = models.BigIntegerField()
    list_price_micros = models.BigIntegerField(null=True, blank=True, help_text="before the sale, if on sale")
    currency = models.CharField(max_length=3)
    stock = models.IntegerField(default=0)
    ships_to = ArrayField(
        models.CharField(max_length=2), default=list, blank=True, help_text="ISO 3166-1; none: everywhere"
    )
    valid_from = models.DateTimeField(null=True, blank=True)
    valid_to = models.DateTimeField(null=True, blank=True)
    active = models.BooleanField(default=True)
    updated_at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["variant", "merchant"], name="one_offer_per_merchant"),
            models.CheckConstraint(name="price_above_zero", condition=models.Q(price_micros__gt=0)),
            models.CheckConstraint(name="stock_not_negative", condition=models.Q(stock__gte=0)),
            models.CheckConstraint(
                name="list_price_above_price",
                condition=models.Q(list_price_micros__isnull=True)
                | models.Q(list_price_micros__gt=models.F("price_micros")),
            ),
        ]
        indexes = [models.Index(fields=["merchant", "stock"], name="offer_by_merchant_stock")]

    def __str__(self) -> str:
        return f"{self.variant_id} at {self.price}"

    @property
    def public_id(self) -> str:
        """`off_1`"""
        return public_id("off", self.pk)

    @property
    def price(self) -> Money:
        """What the shopper pays for one."""
        return Money(self.price_micros, self.currency)

    @property
    def list_price(self) -> Money | None:
        """The price before the sale, None when not on sale."""
        return None if self.list_price_micros is None else Money(self.list_price_micros, self.currency)


class OfferChange(models.Model):
    """An offer as somebody left it by hand: who, when, why. Feeds leave their own report."""

    offer = models.ForeignKey(Offer, on_delete=models.CASCADE, related_name="changes")
    price_micros = models.BigIntegerField()
    list_price_micros = models.BigIntegerField(null=True)
    stock = models.IntegerField()
    active = models.BooleanField()
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    reason = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["-at", "-id"]

    def __str__(self) -> str:
        return f"offer {self.offer_id} at {self.at:%Y-%m-%d %H:%M}"
