"""Monthly statements: what moved on an owner's accounts, in lines that never change once they are made."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from agentstore.kit.clock import now
from agentstore.kit.ids import new_id
from agentstore.kit.money import Money
from billing.models.fields import TransactionIdField
from billing.models.ledger import Account
from billing.models.pricing import PriceVersion


class StatementPeriod(models.Model):
    """A closed month: entries of transactions below `mark` that happened before `ends_at` are on statements."""

    month = models.CharField(primary_key=True, max_length=7, help_text="ISO 8601, in UTC")
    ends_at = models.DateTimeField()
    mark = TransactionIdField()
    closed_at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["month"]

    def __str__(self) -> str:
        return self.month


class Statement(models.Model):
    """What a month brought to one owner in one currency. `charges_minor` is what of it is to be invoiced."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    period = models.ForeignKey(StatementPeriod, on_delete=models.PROTECT, related_name="statements")
    owner_ref = models.CharField(max_length=64)
    currency = models.CharField(max_length=3)
    made_at = models.DateTimeField(default=now)
    charges_minor = models.BigIntegerField(default=0, help_text="whole minor units, lines rounded once each")
    rounding_micros = models.BigIntegerField(default=0, help_text="charges as rounded less as metered")
    carried_in_minor = models.BigIntegerField(
        default=0, help_text="not invoiced before: too small, or a credit"
    )
    invoice = models.ForeignKey(
        "billing.Invoice", null=True, blank=True, on_delete=models.PROTECT, related_name="statements"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner_ref", "currency", "period"], name="one_statement_a_month"),
        ]

    def __str__(self) -> str:
        return f"{self.period_id} of {self.owner_ref}"

    @property
    def carried_in(self) -> Money:
        """What earlier statements left to this one."""
        return Money.from_minor(self.carried_in_minor, self.currency)

    @property
    def due(self) -> Money:
        """What is to be paid for this month and what was carried into it."""
        return Money.from_minor(self.charges_minor + self.carried_in_minor, self.currency)


class StatementBalance(models.Model):
    """An account at a statement's beginning and end, positive where it is as usual (a debt, or money to come)."""

    statement = models.ForeignKey(Statement, on_delete=models.PROTECT, related_name="balances")
    account_kind = models.CharField(max_length=24, choices=Account.Kind.choices)
    opening_micros = models.BigIntegerField()
    closing_micros = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["statement", "account_kind"], name="one_balance_of_a_kind"),
        ]

    def __str__(self) -> str:
        return f"{self.account_kind}: {self.closing_micros}"


class StatementLine(models.Model):
    """Movements of one kind, category and price version, added up exactly and rounded once."""

    statement = models.ForeignKey(Statement, on_delete=models.PROTECT, related_name="lines")
    number = models.PositiveSmallIntegerField()
    account_kind = models.CharField(max_length=24, choices=Account.Kind.choices)
    kind = models.CharField(max_length=32, help_text="the journals' kind")
    category = models.CharField(max_length=160, blank=True)
    price_version = models.ForeignKey(
        PriceVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    late_from = models.CharField(max_length=7, blank=True, help_text="the closed month that it happened in")
    charge = models.BooleanField(default=False, help_text="part of what is invoiced")
    quantity = models.PositiveBigIntegerField()
    exact_micros = models.BigIntegerField()
    amount_minor = models.BigIntegerField()

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["statement", "number"], name="statement_lines_are_numbered"),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="statement_line_has_movements"),
        ]

    def __str__(self) -> str:
        return f"{self.number}. {self.kind} {self.category}"
