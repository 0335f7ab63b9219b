"""What programs buy through UCP: the platforms they speak for, their carts, checkouts, and answers kept."""

from __future__ import annotations

import secrets

from django.db import models

from agentstore.kit.clock import now
from marketplace.shopping.models.order import Checkout
from marketplace.shopping.models.shopper import Shopper


def new_cart_id() -> str:
    """192 random bits: whoever knows the id of an unsigned cart may use it."""
    return f"cart_{secrets.token_urlsafe(24)}"


def new_session_id() -> str:
    """192 random bits: whoever knows the id of an unsigned checkout may use it."""
    return f"chk_{secrets.token_urlsafe(24)}"


class UcpPlatform(models.Model):
    """A platform whose keys are known: what it signs is believed to be its own."""

    profile = models.CharField(max_length=300, unique=True, help_text="the https address of its UCP profile")
    keys = models.JSONField(default=list, help_text="its public keys, as JWK")
    must_sign = models.BooleanField(default=False, help_text="refuse what it does not sign")
    added_at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["profile"]
        verbose_name = "UCP platform"

    def __str__(self) -> str:
        return self.profile


class UcpOwned(models.Model):
    """Belongs to the platform that made it; to its signature alone when it was made by a signed request."""

    platform = models.CharField(max_length=300)
    signed = models.BooleanField(default=False)
    lines = models.JSONField(default=list, help_text="id, item, offer and quantity of each line")
    buyer = models.JSONField(default=dict, blank=True)
    context = models.JSONField(default=dict, blank=True)
    # A release from before goes on while it is replaced: it names neither `codes` nor `applied`.
    codes = models.JSONField(
        default=list, db_default=[], blank=True, help_text="discount codes, as they were sent"
    )
    created_at = models.DateTimeField(default=now)
    expires_at = models.DateTimeField()

    class Meta:
        abstract = True


class UcpCart(UcpOwned):
    """Lines without promise: prices and stock are read each time."""

    id = models.CharField(primary_key=True, max_length=40, default=new_cart_id, editable=False)
    canceled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["expires_at"], name="ucp_cart_expiry")]

    def __str__(self) -> str:
        return self.id


class UcpCheckout(UcpOwned):
    """A checkout as a platform sees it. Its purchase, once there is one, is a checkout of the store."""

    class Status(models.TextChoices):
        OPEN = "open", "Being filled in"
        PAYING = "paying", "Payment under way"
        ESCALATED = "escalated", "Handed to the buyer"
        COMPLETED = "completed", "Bought"
        CANCELED = "canceled", "Given up"

    id = models.CharField(primary_key=True, max_length=40, default=new_session_id, editable=False)
    status = models.CharField(max_length=9, choices=Status.choices, default=Status.OPEN)
    cart = models.ForeignKey(UcpCart, on_delete=models.SET_NULL, null=True, related_name="checkouts")
    destination = models.JSONField(default=dict, blank=True, help_text="a postal address with its id")
    method_id = models.CharField(max_length=60, default="shipping")
    applied = models.JSONField(
        default=list,
        db_default=[],
        blank=True,
        help_text="the codes that counted when the platform was last answered",
    )
    messages = models.JSONField(default=list, blank=True, help_text="what the last attempt to pay came to")
    told_minor = models.BigIntegerField(null=True, help_text="the total that the platform was last told")
    shopper = models.ForeignKey(Shopper, on_delete=models.PROTECT, null=True, related_name="+")
    purchase = models.OneToOneField(Checkout, on_delete=models.PROTECT, null=True, related_name="ucp")
    paying_since = models.DateTimeField(null=True, blank=True)
    confirmed_at = models.DateTimeField(null=True, blank=True, help_text="when the buyer was mailed")

    class Meta:
        indexes = [models.Index(fields=["expires_at"], name="ucp_checkout_expiry")]

    def __str__(self) -> str:
        return self.id


class UcpCheckoutChange(models.Model):
    """Which status a platform's checkout went to, when and why."""

    checkout = models.ForeignKey(UcpCheckout, on_delete=models.CASCADE, related_name="changes")
    from_status = models.CharField(max_length=9, blank=True)
    to_status = models.CharField(max_length=9)
    reason = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return f"{self.from_status} → {self.to_status}"


class UcpReply(models.Model):
    """An answer kept under its idempotency key, to be given again; none yet while the first is being made."""

    platform = models.CharField(max_length=300)
    key = models.CharField(max_length=200)
    digest = models.CharField(max_length=64, help_text="of operation, target and arguments")
    status = models.PositiveSmallIntegerField(null=True)
    body = models.JSONField(null=True)
    at = models.DateTimeField(default=now, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["platform", "key"], name="one_ucp_reply_per_key")]

    def __str__(self) -> str:
        return self.key
