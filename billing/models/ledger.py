"""The double-entry ledger. Only `billing.ledger` writes here; PostgreSQL refuses every edit.

The refusals (unbalanced, edited, deleted, added to later) are triggers: migration 0002.
"""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.indexes import BrinIndex
from django.db import models

from agentstore.kit.clock import now
from agentstore.kit.ids import new_id
from billing.models.fields import CurrentTransactionId, TransactionIdField

PLATFORM = "platform"


class Account(models.Model):
    """What one owner has or owes, of one kind, in one currency; `owner_ref` is `org:<uuid>` or `platform`."""

    class Kind(models.TextChoices):
        MERCHANT_WALLET = "merchant_wallet", "Merchant wallet"
        MERCHANT_RECEIVABLE = "merchant_receivable", "Merchant receivable"
        MERCHANT_PREPAID = "merchant_prepaid", "Merchant prepaid balance"
        PLATFORM_REVENUE = "platform_revenue", "Platform revenue"
        DEVELOPER_PENDING = "developer_pending", "Developer share, pending"
        DEVELOPER_AVAILABLE = "developer_available", "Developer share, available"
        DEVELOPER_RESERVE = "developer_reserve", "Developer share, in reserve"
        PROCESSOR_CLEARING = "processor_clearing", "Processor clearing"
        PROCESSOR_FEES = "processor_fees", "Processor fees"
        OPERATOR_BANK = "operator_bank", "Operator's bank account"
        DISPUTE_LOSS = "dispute_loss", "Dispute loss"
        SALES_TAX = "sales_tax", "Sales tax"
        ROUNDING = "rounding", "Rounding"

    # What we have or spend grows by debit; what we owe or earn grows by credit.
    DEBIT_NORMAL: ClassVar[frozenset[str]] = frozenset(
        {
            Kind.MERCHANT_RECEIVABLE,
            Kind.PROCESSOR_CLEARING,
            Kind.PROCESSOR_FEES,
            Kind.OPERATOR_BANK,
            Kind.DISPUTE_LOSS,
        }
    )

    owner_ref = models.CharField(max_length=64)
    kind = models.CharField(max_length=24, choices=Kind.choices)
    currency = models.CharField(max_length=3)
    opened_at = models.DateTimeField(default=now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner_ref", "kind", "currency"], name="one_account_of_a_kind"),
        ]
        indexes = [models.Index(fields=["kind", "currency"])]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.owner_ref} in {self.currency}"

    @property
    def sign(self) -> int:
        """+1 where a debit balance is the ordinary one, −1 where a credit balance is."""
        return 1 if self.kind in self.DEBIT_NORMAL else -1


class Journal(models.Model):
    """One movement of money: entries that sum to zero in each currency, under one idempotency key."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    idempotency_key = models.CharField(max_length=200)
    kind = models.CharField(max_length=32)
    occurred_at = models.DateTimeField(help_text="when it happened in the world")
    posted_at = models.DateTimeField(default=now, help_text="when the books learned of it")
    # Checked once per statement, as entries are: that it exists and is no draft, so that it can't be deleted.
    price_version = models.ForeignKey(
        "billing.PriceVersion",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="journals",
        db_index=False,
        db_constraint=False,
    )
    reverses = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="reversals", db_index=False
    )
    memo = models.CharField(max_length=200, blank=True)
    content_sha256 = models.BinaryField(
        max_length=32, help_text="of kind, price version, reverses and entries: same key, same content"
    )
    xid = TransactionIdField(db_default=CurrentTransactionId(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["idempotency_key"], name="one_journal_per_key"),
        ]
        indexes = [
            models.Index(fields=["kind", "-id"], name="journal_by_kind"),
            models.Index(
                fields=["reverses"], condition=models.Q(reverses__isnull=False), name="journal_reversals"
            ),
            # Journals lie in the order of their posting: a few kilobytes find a day among millions.
            BrinIndex(fields=["posted_at"], autosummarize=True, name="journal_by_day"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class Entry(models.Model):
    """One leg of a journal: micro-units on one account, debit positive, credit negative."""

    id = models.BigAutoField(primary_key=True)
    # That journal and account exist is checked once per statement, by the trigger that checks the balance
    # (and neither can be deleted): one query for a batch instead of two checks for each of its rows.
    journal = models.ForeignKey(
        Journal, on_delete=models.PROTECT, related_name="entries", db_index=False, db_constraint=False
    )
    leg = models.SmallIntegerField()
    account = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="entries", db_index=False, db_constraint=False
    )
    amount = models.BigIntegerField(help_text="micro-units; debit positive, credit negative")
    xid = TransactionIdField(db_default=CurrentTransactionId(), editable=False)

    class Meta:
        ordering = ["journal_id", "leg"]
        constraints = [
            models.UniqueConstraint(fields=["journal", "leg"], name="one_entry_per_leg"),
            models.CheckConstraint(condition=~models.Q(amount=0), name="entry_moves_something"),
        ]
        indexes = [
            models.Index(fields=["account", "xid"], name="entry_of_account"),
            models.Index(fields=["xid"], name="entry_tail"),
        ]

    def __str__(self) -> str:
        return f"{self.amount} on account {self.account_id}"

    @property
    def credit(self) -> int:
        """A credit as a positive number of micro-units; 0 for a debit."""
        return max(0, -self.amount)


class BalanceRollup(models.Model):
    """The sum of an account's entries of every transaction before the mark."""

    account = models.OneToOneField(Account, primary_key=True, on_delete=models.PROTECT, related_name="rollup")
    debit_micros = models.BigIntegerField(default=0)
    credit_micros = models.BigIntegerField(default=0, help_text="as a positive number")
    entries = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"rollup of account {self.account_id}"


class RollupMark(models.Model):
    """The one row that says how far the rollup has read: entries of transactions below `xid` are in it."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    xid = TransactionIdField()
    moved_at = models.DateTimeField(default=now)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="only_one_mark")]

    def __str__(self) -> str:
        return f"rolled up below {self.xid}"
