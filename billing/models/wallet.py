"""How a merchant pays for PPCv: from a balance paid in before, or later by invoice up to a credit limit."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from agentstore.kit.changes import Change
from agentstore.kit.clock import now
from agentstore.kit.ids import new_id
from agentstore.kit.money import Money
from billing.models.ledger import Journal


class MerchantFunding(models.Model):
    """A merchant's way of paying. Without a row it pays by invoice, limited by its own caps alone."""

    class Mode(models.TextChoices):
        PREPAID = "prepaid", "From a balance paid in before"
        POSTPAID = "postpaid", "By invoice"

    merchant_ref = models.CharField(max_length=64)
    currency = models.CharField(max_length=3)
    mode = models.CharField(max_length=8, choices=Mode.choices, default=Mode.POSTPAID)
    credit_limit_micros = models.BigIntegerField(
        null=True,
        blank=True,
        help_text="at most owed at a time, held fees included; none: no limit of the store's",
    )
    alert_below_micros = models.BigIntegerField(
        default=0, help_text="tell the merchant when less than this is left of its balance"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["merchant_ref", "currency"], name="one_funding_a_merchant"),
            models.CheckConstraint(
                condition=Q(credit_limit_micros__isnull=True) | Q(credit_limit_micros__gte=0),
                name="credit_limit_is_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.merchant_ref} {self.mode}"


class FundingChange(Change):
    """How a merchant pays, or up to which limit, changed: who, when, why."""

    funding = models.ForeignKey(MerchantFunding, on_delete=models.PROTECT, related_name="changes")
    mode = models.CharField(max_length=8, choices=MerchantFunding.Mode.choices)
    credit_limit_micros = models.BigIntegerField(null=True, blank=True)
    alert_below_micros = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.funding_id} to {self.mode}"


class TopUp(models.Model):
    """A payment of a merchant into its balance."""

    class Status(models.TextChoices):
        STARTED = "started", "Not paid yet"
        PAID = "paid", "Paid"
        FAILED = "failed", "Given up"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    merchant_ref = models.CharField(max_length=64)
    currency = models.CharField(max_length=3)
    amount_micros = models.BigIntegerField()
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.STARTED)
    decline = models.CharField(
        max_length=60, blank=True, help_text="the bank's last answer while it is not paid"
    )
    payment_ref = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(default=now)
    journal = models.OneToOneField(
        Journal, null=True, blank=True, on_delete=models.PROTECT, related_name="top_up"
    )

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(amount_micros__gt=0), name="top_up_adds_something"),
            models.CheckConstraint(
                condition=Q(status="paid", journal__isnull=False)
                | ~Q(status="paid") & Q(journal__isnull=True),
                name="paid_top_ups_are_booked",
            ),
        ]
        indexes = [models.Index(fields=["merchant_ref", "-created_at"], name="top_up_by_merchant")]

    def __str__(self) -> str:
        return f"{self.amount} by {self.merchant_ref}"

    @property
    def amount(self) -> Money:
        """What is paid in."""
        return Money(self.amount_micros, self.currency)


class TopUpChange(Change):
    """A top-up's status changed: who, when, why."""

    top_up = models.ForeignKey(TopUp, on_delete=models.PROTECT, related_name="changes")
    status = models.CharField(max_length=8, choices=TopUp.Status.choices)

    def __str__(self) -> str:
        return f"{self.top_up_id} {self.status}"
