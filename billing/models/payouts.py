"""What developers earn and are sent: releases of their shares, accounts at the processor, payouts, holds."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from agentstore.kit.changes import Change
from agentstore.kit.clock import now
from agentstore.kit.ids import new_id
from agentstore.kit.money import Money
from billing.models.ledger import Journal


class EarningRelease(models.Model):
    """Pending shares that nobody can take back any more, moved to available, a part of them to the reserve."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    owner_ref = models.CharField(max_length=64)
    currency = models.CharField(max_length=3)
    available_micros = models.BigIntegerField()
    reserve_micros = models.BigIntegerField()
    journal = models.OneToOneField(Journal, on_delete=models.PROTECT, related_name="+")
    released_at = models.DateTimeField(default=now)
    reserve_until = models.DateTimeField()
    reserve_released_at = models.DateTimeField(null=True, blank=True)
    reserve_released_micros = models.BigIntegerField(
        default=0, help_text="less than was kept where it was taken back meanwhile"
    )

    class Meta:
        indexes = [
            models.Index(fields=["owner_ref", "-id"], name="release_by_owner"),
            models.Index(
                fields=["reserve_until"], condition=Q(reserve_released_at__isnull=True), name="reserve_due"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.available_micros} + {self.reserve_micros} of {self.owner_ref}"


class PayoutAccount(models.Model):
    """An owner's account at the processor, as the processor last described it."""

    owner_ref = models.CharField(primary_key=True, max_length=64)
    processor_ref = models.CharField(max_length=255, blank=True)
    country = models.CharField(max_length=2)
    ready = models.BooleanField(default=False, help_text="money can be sent to it and from it to a bank")
    missing = models.JSONField(default=list, help_text="what the processor still asks for")
    reason = models.CharField(max_length=80, blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["processor_ref"], condition=~Q(processor_ref=""), name="one_owner_an_account"
            )
        ]

    def __str__(self) -> str:
        return self.processor_ref or self.owner_ref

    @property
    def missing_words(self) -> str:
        """What the processor still asks for, for people."""
        return ", ".join(str(item).replace("_", " ").replace(".", ": ") for item in self.missing)


class PayoutHold(models.Model):
    """Nothing is paid out to an owner while it has one: who placed it and why, who lifted it."""

    owner_ref = models.CharField(max_length=64)
    reason = models.CharField(max_length=200)
    placed_by = models.CharField(max_length=64)
    placed_at = models.DateTimeField(default=now)
    lifted_by = models.CharField(max_length=64, blank=True)
    lifted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["owner_ref"], condition=Q(lifted_at=None), name="payout_holds")]

    def __str__(self) -> str:
        return f"{self.owner_ref}: {self.reason}"


class Payout(models.Model):
    """Available money on its way to an owner's bank: taken from the books first, then sent in two steps."""

    class Status(models.TextChoices):
        PREPARED = "prepared", "Being sent"
        SENT = "sent", "On its way"
        PAID = "paid", "Paid"
        FAILED = "failed", "Failed, coming back"
        RETURNED = "returned", "Returned"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    owner_ref = models.CharField(max_length=64)
    currency = models.CharField(max_length=3)
    month = models.CharField(max_length=7)
    amount_minor = models.BigIntegerField()
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PREPARED)
    processor_account = models.CharField(max_length=255)
    transfer_ref = models.CharField(max_length=255, blank=True)
    processor_ref = models.CharField(max_length=255, blank=True)
    journal = models.OneToOneField(Journal, on_delete=models.PROTECT, related_name="payout")
    made_at = models.DateTimeField(default=now)
    arrives_at = models.DateTimeField(null=True, blank=True)
    failure = models.CharField(max_length=200, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["owner_ref", "currency", "month"],
                condition=~Q(status__in=["failed", "returned"]),
                name="one_payout_a_month",
            ),
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="payout_pays_something"),
        ]
        indexes = [
            models.Index(fields=["owner_ref", "-id"], name="payout_by_owner"),
            models.Index(fields=["currency", "status", "made_at"], name="payout_by_status"),
        ]

    def __str__(self) -> str:
        return f"{self.amount} to {self.owner_ref}"

    @property
    def amount(self) -> Money:
        """What is sent."""
        return Money.from_minor(self.amount_minor, self.currency)


class PayoutChange(Change):
    """A payout's status changed: who, when, why."""

    payout = models.ForeignKey(Payout, on_delete=models.PROTECT, related_name="changes")
    status = models.CharField(max_length=10, choices=Payout.Status.choices)

    def __str__(self) -> str:
        return f"{self.payout_id} {self.status}"
