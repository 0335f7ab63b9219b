"""What merchants owe and are credited: invoices, reminders, disputed charges, credit notes."""

from __future__ import annotations

from typing import Final

from django.db import models
from django.db.models import F, Q
from django.db.models.lookups import LessThan

from agentstore.kit.changes import Change
from agentstore.kit.clock import now
from agentstore.kit.ids import new_id
from agentstore.kit.money import Money
from billing.models.statements import StatementLine
from billing.models.usage import UsageEvent


class BillingParty(models.Model):
    """Who an owner's invoices are for and where it is taxed, and the processor's customer for it."""

    class TaxExempt(models.TextChoices):
        NONE = "none", "Taxed"
        REVERSE = "reverse", "Pays the tax itself (reverse charge)"
        EXEMPT = "exempt", "Exempt"

    owner_ref = models.CharField(primary_key=True, max_length=64)
    processor_ref = models.CharField(max_length=255, blank=True)
    name = models.CharField(max_length=200)
    email = models.EmailField()
    country = models.CharField(max_length=2, help_text="ISO 3166")
    state = models.CharField(max_length=40, blank=True)
    postal_code = models.CharField(max_length=20, blank=True)
    city = models.CharField(max_length=100, blank=True)
    line1 = models.CharField("address", max_length=200, blank=True)
    tax_exempt = models.CharField(max_length=8, choices=TaxExempt.choices, default=TaxExempt.NONE)
    changed_at = models.DateTimeField(default=now)

    def __str__(self) -> str:
        return self.name


# `Invoice.remaining` of a query, in minor units.
REMAINING_MINOR: Final = (
    F("net_minor")
    + F("tax_minor")
    + F("returned_minor")
    - F("credit_used_minor")
    - F("credited_minor")
    - F("paid_minor")
    - F("written_off_minor")
)


class Invoice(models.Model):
    """The charges of one or more statements, to be paid. Amounts are whole minor units."""

    class Status(models.TextChoices):
        PREPARED = "prepared", "Being issued"
        OPEN = "open", "Open"
        PAID = "paid", "Paid"
        UNCOLLECTIBLE = "uncollectible", "Written off"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    owner_ref = models.CharField(max_length=64)
    currency = models.CharField(max_length=3)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.PREPARED)
    net_minor = models.BigIntegerField()
    tax_minor = models.BigIntegerField(default=0)
    credit_used_minor = models.BigIntegerField(
        default=0,
        db_default=0,
        help_text="paid from the merchant's credit at the processor when it was issued",
    )
    credited_minor = models.BigIntegerField(
        default=0, help_text="what credit notes took off it, tax included; not what they put to the credit"
    )
    paid_minor = models.BigIntegerField(default=0)
    returned_minor = models.BigIntegerField(
        default=0, db_default=0, help_text="paid or credited twice, and put to the merchant's credit"
    )
    written_off_minor = models.BigIntegerField(default=0, db_default=0)
    number = models.CharField(max_length=60, blank=True, help_text="the processor's")
    processor_ref = models.CharField(max_length=255, blank=True)
    url = models.URLField(max_length=500, blank=True)
    pdf_url = models.URLField(max_length=500, blank=True)
    made_at = models.DateTimeField(default=now)
    issued_at = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField(null=True, blank=True)
    paid_at = models.DateTimeField(null=True, blank=True)
    dispute_ref = models.CharField(
        max_length=255, blank=True, help_text="the processor's dispute that took its payment back"
    )
    attempts = models.PositiveIntegerField(default=0, help_text="times its issuing was tried")
    last_error = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(net_minor__gt=0), name="invoice_asks_for_something")
        ]
        indexes = [
            models.Index(fields=["owner_ref", "-id"], name="invoice_by_owner"),
            # What is not settled is few among all that ever were.
            models.Index(
                fields=["currency", "due_at"],
                condition=Q(status__in=["prepared", "open"]),
                name="invoice_open",
            ),
            models.Index(
                fields=["id"],
                condition=Q(LessThan(REMAINING_MINOR, 0), status="paid"),
                name="invoice_overpaid",
            ),
        ]

    def __str__(self) -> str:
        return self.number or f"invoice {self.id}"

    @property
    def total(self) -> Money:
        """With tax, before credit notes."""
        return Money.from_minor(self.net_minor + self.tax_minor, self.currency)

    @property
    def remaining(self) -> Money:
        """What is still to be paid of it; negative where more came than was owed. In queries: REMAINING_MINOR."""
        settled = self.credit_used_minor + self.credited_minor + self.paid_minor + self.written_off_minor
        return self.total + Money.from_minor(self.returned_minor - settled, self.currency)

    @property
    def parts(self) -> list[tuple[str, Money]]:
        """What became of the rest of it, in words; nothing for what is whole."""
        found = (
            ("from the credit", self.credit_used_minor),
            ("credited", self.credited_minor),
            ("paid", self.paid_minor),
            ("put to the credit", self.returned_minor),
            ("written off", self.written_off_minor),
        )
        return [(words, Money.from_minor(minor, self.currency)) for words, minor in found if minor]


class InvoiceTax(models.Model):
    """One tax on an invoice, in Stripe Tax's words: on how much, and why it is what it is."""

    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="taxes")
    amount_minor = models.BigIntegerField()
    taxable_minor = models.BigIntegerField()
    reason = models.CharField(max_length=40, help_text="`taxability_reason`")

    def __str__(self) -> str:
        return f"{self.amount}, {self.reason.replace('_', ' ')}"

    @property
    def amount(self) -> Money:
        """What it comes to."""
        return Money.from_minor(self.amount_minor, self.invoice.currency)


class InvoiceChange(Change):
    """An invoice's status changed, or a reminder went out: who, when, why."""

    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="changes")
    status = models.CharField(max_length=16, choices=Invoice.Status.choices)

    def __str__(self) -> str:
        return f"{self.invoice_id} {self.status}"


class DunningStep(models.Model):
    """A reminder of an overdue invoice, each once."""

    class Step(models.TextChoices):
        REMINDER = "reminder", "Reminder"
        SECOND = "second", "Second reminder"
        FINAL = "final", "Last reminder"
        SUSPENDED = "suspended", "Fees stopped"

    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="dunning")
    step = models.CharField(max_length=12, choices=Step.choices)
    at = models.DateTimeField(default=now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["invoice", "step"], name="each_reminder_once")]

    def __str__(self) -> str:
        return f"{self.step} of {self.invoice_id}"


class ChargeDispute(models.Model):
    """A merchant says that a charge is wrong; an operator decides."""

    class Status(models.TextChoices):
        OPEN = "open", "Waits for a decision"
        UPHELD = "upheld", "Credited"
        DECLINED = "declined", "Declined"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    event = models.OneToOneField(UsageEvent, on_delete=models.PROTECT, related_name="dispute")
    owner_ref = models.CharField(max_length=64)
    reason = models.TextField(max_length=2000)
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.OPEN)
    opened_at = models.DateTimeField(default=now)
    opened_by = models.CharField(max_length=64)
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.CharField(max_length=64, blank=True)
    note = models.TextField(max_length=2000, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["opened_at"], condition=Q(status="open"), name="disputes_open"),
            models.Index(fields=["opened_at"], name="disputes_by_opening"),
            models.Index(
                fields=["decided_at"], condition=Q(decided_at__isnull=False), name="disputes_by_decision"
            ),
        ]

    def __str__(self) -> str:
        return f"dispute of {self.event_id}"


class CreditNote(models.Model):
    """A charge that was invoiced and is taken back. Issued at the processor after it is on our books."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="credit_notes")
    line = models.ForeignKey(StatementLine, on_delete=models.PROTECT, related_name="credit_notes")
    dispute = models.OneToOneField(ChargeDispute, on_delete=models.PROTECT, related_name="credit_note")
    net_minor = models.BigIntegerField()
    tax_minor = models.BigIntegerField(default=0)
    made_at = models.DateTimeField(default=now)
    issued_at = models.DateTimeField(null=True, blank=True)
    number = models.CharField(max_length=60, blank=True)
    processor_ref = models.CharField(max_length=255, blank=True)
    pdf_url = models.URLField(max_length=500, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(net_minor__gt=0), name="credit_note_credits")]

    def __str__(self) -> str:
        return self.number or f"credit note {self.id}"
