"""How far a merchant lets the store go for it, and who said so."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from agentstore.identity.models import Organization
from agentstore.kit.clock import now
from agentstore.kit.ids import new_id
from agentstore.kit.money import Money
from marketplace.catalog.models import Category, Offer, Product
from marketplace.shopping.negotiation.terms import Break, Terms


class NegotiationRule(models.Model):
    """A merchant's terms for one offer, one product or one category. It is switched off, never deleted."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    merchant = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="negotiation_rules")
    offer = models.ForeignKey(Offer, on_delete=models.CASCADE, null=True, related_name="+")
    product = models.ForeignKey(Product, on_delete=models.CASCADE, null=True, related_name="+")
    category = models.ForeignKey(
        Category, on_delete=models.PROTECT, null=True, related_name="+", help_text="with all below it"
    )
    off_ppm = models.PositiveIntegerField(help_text="the most off one piece, in parts per million")
    step_ppm = models.PositiveIntegerField(help_text="what each round comes down by, in parts per million")
    rounds = models.PositiveSmallIntegerField()
    floor_micros = models.BigIntegerField(null=True, help_text="the lowest price of one piece")
    currency = models.CharField(max_length=3)
    breaks = models.JSONField(default=list, help_text="pairs of a quantity and what may be off from there on")
    valid_from = models.DateTimeField(null=True)
    valid_to = models.DateTimeField(null=True)
    from_hour = models.PositiveSmallIntegerField(null=True, help_text="UTC")
    to_hour = models.PositiveSmallIntegerField(null=True)
    least_stock = models.PositiveIntegerField(default=0)
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=now)
    updated_at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["-updated_at", "-id"]
        constraints = [
            models.CheckConstraint(
                name="rule_for_one_thing",
                condition=Q(offer__isnull=False, product__isnull=True, category__isnull=True)
                | Q(offer__isnull=True, product__isnull=False, category__isnull=True)
                | Q(offer__isnull=True, product__isnull=True, category__isnull=False),
            ),
            models.UniqueConstraint(fields=["merchant", "offer"], name="one_rule_per_offer"),
            models.UniqueConstraint(fields=["merchant", "product"], name="one_rule_per_product"),
            models.UniqueConstraint(fields=["merchant", "category"], name="one_rule_per_merchant_category"),
        ]

    def __str__(self) -> str:
        return f"{self.scope}: {self.about}"

    @property
    def scope(self) -> str:
        """`offer`, `product` or `category`."""
        if self.offer_id is not None:
            return "offer"
        return "product" if self.product_id is not None else "category"

    @property
    def about(self) -> str:
        """What it is for, in words."""
        if self.offer is not None:
            variant = self.offer.variant
            return f"{variant.product.title}, {variant.title}" if variant.title else variant.product.title
        return self.product.title if self.product is not None else str(self.category)

    @property
    def terms(self) -> Terms:
        """What it allows, and when."""
        return Terms(
            off_ppm=self.off_ppm,
            step_ppm=self.step_ppm,
            rounds=self.rounds,
            floor=None if self.floor_micros is None else Money(self.floor_micros, self.currency),
            breaks=tuple(Break(quantity, off) for quantity, off in self.breaks),
            valid_from=self.valid_from,
            valid_to=self.valid_to,
            from_hour=self.from_hour,
            to_hour=self.to_hour,
            least_stock=self.least_stock,
        )


class NegotiationRuleChange(models.Model):
    """A rule as somebody left it: who, when, why."""

    rule = models.ForeignKey(NegotiationRule, on_delete=models.CASCADE, related_name="changes")
    terms = models.JSONField()
    active = models.BooleanField()
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    reason = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["-at", "-id"]

    def __str__(self) -> str:
        return f"rule {self.rule_id} at {self.at:%Y-%m-%d %H:%M}"
