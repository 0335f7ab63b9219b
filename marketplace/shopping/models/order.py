"""One checkout, an order per merchant in it, and which conversation brought each line about."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from agentstore.identity.models import Organization
from agentstore.kit.changes import ChangeByUser
from agentstore.kit.clock import now
from agentstore.kit.ids import new_id
from agentstore.kit.money import Money
from marketplace.catalog.models import Offer
from marketplace.shopping.models.conversation import Conversation
from marketplace.shopping.models.quote import Quote
from marketplace.shopping.models.recommendation import Recommendation
from marketplace.shopping.models.shopper import Shopper


class Checkout(models.Model):
    """One payment for a whole cart. Stock is reserved when it opens, and released once if it comes to nothing.

    A declined card leaves it open, so that the shopper can try another; `decline` is the bank's answer.
    """

    class Status(models.TextChoices):
        OPEN = "open", "Waiting for payment"
        PAID = "paid", "Paid"
        CANCELLED = "cancelled", "Given up"
        EXPIRED = "expired", "Expired"
        RETURNED = "returned", "Paid too late and sent back"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    shopper = models.ForeignKey(Shopper, on_delete=models.PROTECT, related_name="checkouts")
    status = models.CharField(max_length=9, choices=Status.choices, default=Status.OPEN)
    currency = models.CharField(max_length=3)
    total_micros = models.BigIntegerField()
    payment_ref = models.CharField(max_length=80, blank=True, help_text="the processor's payment intent")
    decline = models.CharField(max_length=60, blank=True, help_text="typed code of the last refused attempt")
    opened_at = models.DateTimeField(default=now)
    expires_at = models.DateTimeField()
    paid_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-opened_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["payment_ref"], condition=~models.Q(payment_ref=""), name="one_checkout_per_payment"
            ),
            models.UniqueConstraint(
                fields=["shopper"], condition=models.Q(status="open"), name="one_open_checkout"
            ),
        ]
        indexes = [
            models.Index(fields=["expires_at"], condition=models.Q(status="open"), name="checkout_expiry")
        ]

    def __str__(self) -> str:
        return f"checkout {self.id}"

    @property
    def ref(self) -> str:
        """How stock and processor name this checkout."""
        return f"checkout:{self.pk}"

    @property
    def total(self) -> Money:
        """What is paid, for all orders in it."""
        return Money(self.total_micros, self.currency)


class CheckoutStatusChange(ChangeByUser):
    """Who moved a checkout to which status, when and why."""

    checkout = models.ForeignKey(Checkout, on_delete=models.CASCADE, related_name="status_changes")
    from_status = models.CharField(max_length=9, blank=True)
    to_status = models.CharField(max_length=9)

    def __str__(self) -> str:
        return f"{self.from_status} → {self.to_status}"


class Order(models.Model):
    """What one merchant owes one shopper."""

    class Status(models.TextChoices):
        PENDING = "pending", "Waiting for payment"
        PAID = "paid", "Paid"
        CANCELLED = "cancelled", "Cancelled"
        PART_REFUNDED = "part_refunded", "Partly refunded"
        REFUNDED = "refunded", "Refunded"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    number = models.CharField(max_length=20, unique=True, help_text="for people")
    checkout = models.ForeignKey(Checkout, on_delete=models.PROTECT, related_name="orders")
    shopper = models.ForeignKey(Shopper, on_delete=models.PROTECT, related_name="orders")
    merchant = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="orders")
    status = models.CharField(max_length=13, choices=Status.choices, default=Status.PENDING)
    currency = models.CharField(max_length=3)
    total_micros = models.BigIntegerField()
    ship_to = models.JSONField(default=dict, help_text="name and address; for this merchant alone")
    placed_at = models.DateTimeField(default=now)
    paid_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-placed_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["checkout", "merchant"], name="one_order_per_merchant_and_checkout"
            )
        ]
        indexes = [
            models.Index(fields=["shopper", "-placed_at"], name="order_by_shopper"),
            models.Index(fields=["merchant", "-placed_at"], name="order_by_merchant"),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def ref(self) -> str:
        """How the ledger names this order."""
        return f"order:{self.pk}"

    @property
    def total(self) -> Money:
        """The sum of its lines."""
        return Money(self.total_micros, self.currency)


class OrderLine(models.Model):
    """An offer bought, at the price read when the checkout opened, or at a quote.

    What was paid is the base of refunds, agent tax and attribution.
    """

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="lines")
    offer = models.ForeignKey(Offer, on_delete=models.PROTECT, related_name="+")
    title = models.CharField(max_length=300)
    category = models.CharField(max_length=160, blank=True)
    quantity = models.PositiveIntegerField()
    unit_price_micros = models.BigIntegerField(help_text="what was paid for one")
    list_price_micros = models.BigIntegerField(
        null=True, help_text="the offer's own price of one then; unknown of lines from before negotiations"
    )
    quote = models.ForeignKey(Quote, on_delete=models.PROTECT, null=True, related_name="lines")
    recommendation = models.ForeignKey(Recommendation, on_delete=models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                name="only_a_quote_goes_below",
                condition=models.Q(list_price_micros=None)
                | models.Q(unit_price_micros=models.F("list_price_micros"), quote=None)
                | models.Q(unit_price_micros__lt=models.F("list_price_micros"), quote__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return f"{self.quantity} × {self.title}"

    @property
    def ref(self) -> str:
        """How ledger and ranking name this line."""
        return f"line:{self.pk}"

    @property
    def total_micros(self) -> int:
        """Quantity times unit price, in micro-units."""
        return self.quantity * self.unit_price_micros

    @property
    def saved_micros(self) -> int:
        """What negotiation took off the whole line, in micro-units."""
        return (
            0
            if self.list_price_micros is None
            else self.quantity * self.list_price_micros - self.total_micros
        )


class OrderStatusChange(ChangeByUser):
    """Who moved an order to which status, when and why."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="status_changes")
    from_status = models.CharField(max_length=13, blank=True)
    to_status = models.CharField(max_length=13)

    def __str__(self) -> str:
        return f"{self.from_status} → {self.to_status}"


class Attribution(models.Model):
    """The conversation that an order line is credited to, and by which rule."""

    class Rule(models.TextChoices):
        CARD = "card", "Bought from the agent's card"
        QUOTE = "quote", "Bought at a price that the agent negotiated"
        SAME_VARIANT = "same_variant", "The agent recommended it within the attribution window"

    line = models.OneToOneField(OrderLine, on_delete=models.CASCADE, related_name="attribution")
    conversation = models.ForeignKey(Conversation, on_delete=models.PROTECT, related_name="attributions")
    recommendation = models.ForeignKey(Recommendation, on_delete=models.PROTECT, related_name="attributions")
    rule = models.CharField(max_length=14, choices=Rule.choices)
    at = models.DateTimeField(default=now)

    def __str__(self) -> str:
        return f"{self.line_id} → {self.conversation_id}"


class Refund(models.Model):
    """Money going back for lines of one order: asked for, granted, done when the processor says so."""

    class Status(models.TextChoices):
        REQUESTED = "requested", "Asked for"
        GRANTED = "granted", "On its way"
        DONE = "done", "Sent back"
        DECLINED = "declined", "Declined"
        FAILED = "failed", "Failed"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="refunds")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.REQUESTED)
    amount_micros = models.BigIntegerField()
    processor_ref = models.CharField(max_length=80, blank=True)
    reason = models.CharField(max_length=200)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    requested_at = models.DateTimeField(default=now)
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-requested_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["processor_ref"],
                condition=~models.Q(processor_ref=""),
                name="one_refund_per_ref",
            )
        ]

    def __str__(self) -> str:
        return f"refund {self.id}"

    @property
    def ref(self) -> str:
        """How ledger and processor name this refund."""
        return f"refund:{self.pk}"


class RefundStatusChange(ChangeByUser):
    """Who moved a refund to which status, when and why."""

    refund = models.ForeignKey(Refund, on_delete=models.CASCADE, related_name="status_changes")
    from_status = models.CharField(max_length=10, blank=True)
    to_status = models.CharField(max_length=10)

    def __str__(self) -> str:
        return f"{self.from_status} → {self.to_status}"


class RefundLine(models.Model):
    """The part of a refund that concerns one order line."""

    refund = models.ForeignKey(Refund, on_delete=models.CASCADE, related_name="lines")
    line = models.ForeignKey(OrderLine, on_delete=models.PROTECT, related_name="refund_lines")
    quantity = models.PositiveIntegerField()
    amount_micros = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["refund", "line"], name="one_refund_line_each")]

    def __str__(self) -> str:
        return f"{self.amount_micros} of line {self.line_id}"


class OrderDispute(models.Model):
    """The part of one order in a payment that the shopper's bank takes back."""

    class Status(models.TextChoices):
        OPEN = "open", "Not decided"
        LOST = "lost", "Lost"
        WON = "won", "Won"

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="disputes")
    processor_ref = models.CharField(max_length=80, help_text="the processor's dispute")
    status = models.CharField(max_length=4, choices=Status.choices, default=Status.OPEN)
    amount_micros = models.BigIntegerField(help_text="this order's part")
    opened_at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["opened_at"]
        constraints = [
            models.UniqueConstraint(fields=["order", "processor_ref"], name="one_dispute_part_per_order")
        ]

    def __str__(self) -> str:
        return f"{self.processor_ref} of {self.order_id}"
