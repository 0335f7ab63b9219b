"""What a day was compared with, and what did not agree. docs/algorithms/reconciliation.md."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from agentstore.kit.changes import Change
from agentstore.kit.clock import now
from agentstore.kit.ids import new_id
from agentstore.kit.money import Money
from billing.models.ledger import Journal
from billing.models.usage import UsageEvent


class ProcessorMovement(models.Model):
    """A balance transaction, as the processor told of it: kept once, never changed. Amounts are minor units."""

    id = models.CharField(primary_key=True, max_length=255)
    type = models.CharField(max_length=60)
    source_ref = models.CharField(max_length=255, blank=True, help_text="the object that moved the money")
    payment_ref = models.CharField(max_length=255, blank=True, help_text="the payment intent of a charge")
    reference = models.CharField(max_length=200, blank=True, help_text="our own on that object")
    match_key = models.CharField(max_length=300, help_text="names what the books must have for it")
    currency = models.CharField(max_length=3)
    amount_minor = models.BigIntegerField(help_text="before the fee; negative where it left")
    fee_minor = models.BigIntegerField(default=0)
    created_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["created_at"], name="movement_by_time"),
            models.Index(fields=["match_key"], name="movement_by_key"),
            models.Index(fields=["payment_ref"], condition=~Q(payment_ref=""), name="movement_by_payment"),
            models.Index(fields=["source_ref"], name="movement_by_source"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.id}"


class MovementMark(models.Model):
    """The one row that says until when every movement has been read."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    read_until = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="only_one_movement_mark")]

    def __str__(self) -> str:
        return f"read until {self.read_until:%Y-%m-%d %H:%M}"


class ProcessorLink(models.Model):
    """The processor's payment that a journal stands for, where its key does not say so."""

    journal = models.OneToOneField(
        Journal, primary_key=True, on_delete=models.PROTECT, related_name="processor_link"
    )
    payment_ref = models.CharField(max_length=255, db_index=True)

    def __str__(self) -> str:
        return self.payment_ref


class Reconciliation(models.Model):
    """How a day stands. `counts` has for each check what was compared, under way and different."""

    class Status(models.TextChoices):
        WAITING = "waiting", "Not reconciled"
        MATCHED = "matched", "Matched"
        DIFFERENCES = "differences", "Differences"

    day = models.DateField(primary_key=True, help_text="in UTC")
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.WAITING)
    started_at = models.DateTimeField(default=now)
    finished_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True)
    counts = models.JSONField(default=dict)
    retry_at = models.DateTimeField(
        null=True, blank=True, help_text="when it is made again by itself; none: nothing is open"
    )

    class Meta:
        ordering = ["-day"]
        indexes = [
            models.Index(fields=["retry_at"], condition=Q(retry_at__isnull=False), name="reconcile_again")
        ]

    def __str__(self) -> str:
        return f"{self.day:%Y-%m-%d}"

    @property
    def in_flight(self) -> int:
        """How many things were under way when it was made."""
        return sum(int(count.get("in_flight", 0)) for count in self.counts.values())

    @property
    def compared(self) -> int:
        """How many things were compared."""
        return sum(int(count.get("compared", 0)) for count in self.counts.values())


class ReconciliationChange(Change):
    """A day's status changed: who, when, why."""

    reconciliation = models.ForeignKey(Reconciliation, on_delete=models.CASCADE, related_name="changes")
    status = models.CharField(max_length=12, choices=Reconciliation.Status.choices)

    def __str__(self) -> str:
        return f"{self.reconciliation_id} {self.status}"


class ReconciledBalance(models.Model):
    """What the processor had and what the books said at a day's end, in one currency. Micro-units."""

    reconciliation = models.ForeignKey(Reconciliation, on_delete=models.CASCADE, related_name="balances")
    currency = models.CharField(max_length=3)
    processor_micros = models.BigIntegerField()
    books_micros = models.BigIntegerField(help_text="processor_clearing")
    in_flight_micros = models.BigIntegerField(
        default=0, help_text="of the day: at the processor, not in the books"
    )

    class Meta:
        ordering = ["currency"]
        constraints = [
            models.UniqueConstraint(fields=["reconciliation", "currency"], name="one_balance_a_currency")
        ]

    def __str__(self) -> str:
        return f"{self.reconciliation_id} {self.currency}"

    @property
    def apart(self) -> Money:
        """What the processor has more than the books say."""
        return Money(self.processor_micros - self.books_micros, self.currency)


class Incident(models.Model):
    """What one check found on one day that does not agree."""

    class Kind(models.TextChoices):
        PROCESSOR = "processor", "Processor against ledger"
        BALANCE = "balance", "Processor's balance"
        EVENTS = "events", "Ledger against events"
        STATEMENTS = "statements", "Statements against events"
        CONVERSATIONS = "conversations", "Events against conversations"

    class Status(models.TextChoices):
        OPEN = "open", "Open"
        RESOLVED = "resolved", "Resolved"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    day = models.DateField(help_text="in UTC")
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.OPEN)
    title = models.CharField(max_length=200)
    opened_at = models.DateTimeField(default=now)
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.CharField(max_length=64, blank=True)
    reason = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-day", "kind"]
        constraints = [models.UniqueConstraint(fields=["day", "kind"], name="one_incident_a_day_and_kind")]
        indexes = [models.Index(fields=["-day"], condition=Q(status="open"), name="incidents_open")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}, {self.day:%Y-%m-%d}"


class IncidentChange(Change):
    """An incident was opened, resolved or opened again: who, when, why."""

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="changes")
    status = models.CharField(max_length=8, choices=Incident.Status.choices)

    def __str__(self) -> str:
        return f"{self.incident_id} {self.status}"


class IncidentLine(models.Model):
    """One thing that does not agree: what should be, what is. `gone_at` is when a later run found it gone."""

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="lines")
    problem = models.CharField(max_length=40, help_text="a key of billing.reconciliation.words")
    reference = models.CharField(
        max_length=300, help_text="what it is about, in our words or the processor's"
    )
    detail = models.CharField(max_length=300, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    expected_micros = models.BigIntegerField(null=True, blank=True)
    found_micros = models.BigIntegerField(null=True, blank=True)
    journal = models.ForeignKey(
        Journal, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False,
        db_constraint=False,
    )  # fmt: skip
    event = models.ForeignKey(
        UsageEvent, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False,
        db_constraint=False,
    )  # fmt: skip
    processor_ref = models.CharField(max_length=255, blank=True)
    found_at = models.DateTimeField(default=now)
    gone_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["incident", "problem", "reference", "currency"], name="one_line_a_thing_and_problem"
            )
        ]

    def __str__(self) -> str:
        return f"{self.problem}: {self.reference}"

    @property
    def expected(self) -> Money | None:
        """What should be."""
        return None if self.expected_micros is None else Money(self.expected_micros, self.currency)

    @property
    def found(self) -> Money | None:
        """What is."""
        return None if self.found_micros is None else Money(self.found_micros, self.currency)
