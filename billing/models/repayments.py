"""Payments of invoices that are owed again."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from agentstore.kit.changes import Change
from agentstore.kit.clock import now
from agentstore.kit.ids import new_id
from agentstore.kit.money import Money
from billing.models.invoices import Invoice


class Repayment(models.Model):
    """A payment of what is owed again of an invoice, on a page of the processor's; one at a time."""

    class Status(models.TextChoices):
        STARTED = "started", "Not paid yet"
        PAID = "paid", "Paid"
        FAILED = "failed", "Given up"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="repayments")
    amount_minor = models.BigIntegerField()
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.STARTED)
    page_ref = models.CharField(max_length=255, blank=True, help_text="the processor's page")
    payment_ref = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(default=now)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="repayment_pays_something"),
            models.UniqueConstraint(
                fields=["invoice"], condition=Q(status="started"), name="one_repayment_at_a_time"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount} of {self.invoice_id}"

    @property
    def amount(self) -> Money:
        """What is to be paid."""
        return Money.from_minor(self.amount_minor, self.invoice.currency)


class RepaymentChange(Change):
    """A repayment's status changed: who, when, why."""

    repayment = models.ForeignKey(Repayment, on_delete=models.PROTECT, related_name="changes")
    status = models.CharField(max_length=8, choices=Repayment.Status.choices)

    def __str__(self) -> str:
        return f"{self.repayment_id} {self.status}"
