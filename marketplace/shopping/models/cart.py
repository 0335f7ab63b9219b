"""What a shopper is about to buy."""

from __future__ import annotations

from django.db import models

from agentstore.kit.clock import now
from marketplace.catalog.models import Offer
from marketplace.shopping.models.recommendation import Recommendation
from marketplace.shopping.models.shopper import Shopper


class Cart(models.Model):
    """The one open cart of a shopper; emptied by a paid checkout."""

    shopper = models.OneToOneField(Shopper, on_delete=models.CASCADE, related_name="cart")
    updated_at = models.DateTimeField(default=now)

    def __str__(self) -> str:
        return f"cart of {self.shopper_id}"


class CartLine(models.Model):
    """An offer and a quantity. Checkout reads the price again; the one seen is kept to say what changed."""

    cart = models.ForeignKey(Cart, on_delete=models.CASCADE, related_name="lines")
    offer = models.ForeignKey(Offer, on_delete=models.CASCADE, related_name="+")
    quantity = models.PositiveIntegerField(default=1)
    seen_price_micros = models.BigIntegerField()
    recommendation = models.ForeignKey(
        Recommendation,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        help_text="the card it came from",
    )
    added_at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["cart", "offer"], name="one_line_per_offer"),
            models.CheckConstraint(name="cart_quantity_1_to_99", condition=models.Q(quantity__range=(1, 99))),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} × {self.offer_id}"
