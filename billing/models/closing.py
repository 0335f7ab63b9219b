"""Closed days, chained by their digests, and what moved on each day. PostgreSQL refuses edits of a close."""

from __future__ import annotations

from django.db import models

from agentstore.kit.clock import now
from billing.models.fields import TransactionIdField


class DailyClose(models.Model):
    """One day of the books, hashed together with the close before it (docs/algorithms/closing.md).

    It covers the journals posted before the day's end by transactions below `horizon`, without those that
    earlier closes cover. All transactions below the horizon had ended, so nothing can be added to it.
    """

    day = models.DateField(primary_key=True, help_text="in UTC")
    previous = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="following"
    )
    horizon = TransactionIdField()
    journals = models.BigIntegerField()
    digest = models.BinaryField(max_length=32, help_text="SHA-256")
    closed_at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["-day"]

    def __str__(self) -> str:
        return f"{self.day:%Y-%m-%d}"

    @property
    def hex(self) -> str:
        """The digest as people write it down."""
        return bytes(self.digest).hex()


class DayTotal(models.Model):
    """What the journals of one kind moved on the accounts of one kind on one day (by `posted_at`, UTC).

    Kept by the roll-up, below the same mark as the balances.
    """

    day = models.DateField()
    account_kind = models.CharField(max_length=24, help_text="a value of Account.Kind")
    journal_kind = models.CharField(max_length=32)
    currency = models.CharField(max_length=3)
    debit_micros = models.BigIntegerField(default=0)
    credit_micros = models.BigIntegerField(default=0, help_text="as a positive number")
    entries = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["day", "account_kind", "journal_kind", "currency"], name="one_total_a_day"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.day:%Y-%m-%d} {self.account_kind} by {self.journal_kind}"
