"""One merchant's price and stock for a variant: the narrow table that changes all day."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Greatest

from agentstore.identity.models import Organization
from agentstore.kit.clock import now
from agentstore.kit.ids import public_id
from agentstore.kit.money import Money
from marketplace.catalog.models.product import Variant
from marketplace.catalog.sales import Sale, dated_sale


class Offer(models.Model):
    """A price, a stock and where it ships.

    `stock` is what can be bought now. PostgreSQL computes it, so that what a feed says the merchant has and what
    open checkouts hold can change at once without either undoing the other.
    """

    variant = models.ForeignKey(Variant, on_delete=models.CASCADE, related_name="offers")
    merchant = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="offers")
    price_micros = models.BigIntegerField(help_text="asked now; within a minute of a dated sale's edges")
    list_price_micros = models.BigIntegerField(null=True, blank=True, help_text="before the sale, if on sale")
    regular_micros = models.BigIntegerField(null=True, blank=True, help_text="outside a dated sale")
    sale_micros = models.BigIntegerField(null=True, blank=True, help_text="in a dated sale, None without one")
    sale_from = models.DateTimeField(null=True, blank=True)
    sale_to = models.DateTimeField(null=True, blank=True)
    currency = models.CharField(max_length=3)
    on_hand = models.IntegerField(default=0, help_text="what the merchant has, as it says")
    reserved = models.IntegerField(default=0, help_text="held by checkouts that are not paid yet")
    stock = models.GeneratedField(
        expression=Greatest(models.F("on_hand") - models.F("reserved"), models.Value(0)),
        output_field=models.IntegerField(),
        db_persist=True,
    )
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
            models.CheckConstraint(name="on_hand_not_negative", condition=models.Q(on_hand__gte=0)),
            models.CheckConstraint(name="reserved_not_negative", condition=models.Q(reserved__gte=0)),
            models.CheckConstraint(
                name="list_price_above_price",
                condition=models.Q(list_price_micros__isnull=True)
                | models.Q(list_price_micros__gt=models.F("price_micros")),
            ),
            models.CheckConstraint(
                name="dated_sale_is_whole",
                condition=models.Q(
                    sale_micros__isnull=True,
                    regular_micros__isnull=True,
                    sale_from__isnull=True,
                    sale_to__isnull=True,
                )
                | models.Q(
                    sale_micros__gt=0,
                    regular_micros__gt=models.F("sale_micros"),
                    sale_from__lt=models.F("sale_to"),
                ),
            ),
        ]
        indexes = [
            models.Index(fields=["merchant", "stock"], name="offer_by_merchant_stock"),
            models.Index(
                fields=["sale_from"],
                condition=models.Q(sale_micros__isnull=False),
                name="offer_with_dated_sale",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.variant_id} at {self.price}"

    @property
    def public_id(self) -> str:
        """`off_1`"""
        return public_id("off", self.pk)

    @property
    def sale(self) -> Sale | None:
        """Its dated sale, past or to come as well."""
        return dated_sale(self.regular_micros, self.sale_micros, self.sale_from, self.sale_to)

    def prices_at(self, at: datetime) -> tuple[Money, Money | None]:
        """What the shopper pays for one then, and the price before the sale, None when not on sale."""
        sale = self.sale
        asked, before = sale.at(at) if sale else (self.price_micros, self.list_price_micros)
        return Money(asked, self.currency), None if before is None else Money(before, self.currency)

    @property
    def price(self) -> Money:
        """What the shopper pays for one now."""
        return self.prices_at(now())[0]

    @property
    def list_price(self) -> Money | None:
        """The price before the sale, None when not on sale now."""
        return self.prices_at(now())[1]


class PricePoint(models.Model):
    """What an offer asked from an instant on. PostgreSQL writes these itself, whoever changes a price."""

    offer = models.ForeignKey(Offer, on_delete=models.CASCADE, related_name="price_points", db_index=False)
    price_micros = models.BigIntegerField()
    list_price_micros = models.BigIntegerField(null=True)
    at = models.DateTimeField()

    class Meta:
        ordering = ["at", "id"]
        indexes = [models.Index(fields=["offer", "at"], name="price_point_in_order")]

    def __str__(self) -> str:
        return f"offer {self.offer_id} from {self.at:%Y-%m-%d %H:%M}"


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


class Reservation(models.Model):
    """Items of an offer that a buyer holds while paying; it ends once, bought or released."""

    class Status(models.TextChoices):
        HELD = "held", "Held"
        BOUGHT = "bought", "Bought"
        RELEASED = "released", "Released"

    offer = models.ForeignKey(Offer, on_delete=models.PROTECT, related_name="reservations")
    holder = models.CharField(max_length=80, help_text="an opaque reference, as `checkout:<uuid>`")
    quantity = models.PositiveIntegerField()
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.HELD)
    held_at = models.DateTimeField(default=now)
    held_until = models.DateTimeField(help_text="when its holder will give it up; the holder does so")
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["holder", "offer"], name="one_reservation_per_offer"),
            models.CheckConstraint(name="reservation_of_something", condition=models.Q(quantity__gt=0)),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} of offer {self.offer_id}, {self.status}"
