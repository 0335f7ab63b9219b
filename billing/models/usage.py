"""What is metered, under which cap, and why it stands where it stands."""

from __future__ import annotations

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Q

from agentstore.kit.changes import Change
from agentstore.kit.clock import now
from agentstore.kit.ids import new_id
from billing.models.ledger import Journal
from billing.models.pricing import PriceVersion
from billing.models.wallet import MerchantFunding


class MerchantBudget(models.Model):
    """What a merchant allows for PPCv in a period (`2026-11`), and how much of it is taken."""

    class AtCap(models.TextChoices):
        PAUSE = "pause", "Pause my offers"
        ORGANIC = "organic", "Show them unbilled and unlabelled"

    merchant_ref = models.CharField(max_length=64)
    currency = models.CharField(max_length=3)
    period = models.CharField(max_length=10, help_text="ISO 8601 month, in UTC")
    cap_micros = models.BigIntegerField()
    day_cap_micros = models.BigIntegerField(
        null=True, blank=True, help_text="of each day; none: the month's alone"
    )
    spent_micros = models.BigIntegerField(default=0, help_text="held and posted; released holds come off")
    at_cap = models.CharField(max_length=8, choices=AtCap.choices, default=AtCap.ORGANIC)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["merchant_ref", "currency", "period"], name="one_budget_a_period"
            ),
            models.CheckConstraint(condition=Q(cap_micros__gte=0), name="cap_is_not_negative"),
            models.CheckConstraint(condition=Q(spent_micros__gte=0), name="spent_is_not_negative"),
            models.CheckConstraint(
                condition=Q(day_cap_micros__isnull=True) | Q(day_cap_micros__gte=0),
                name="day_cap_is_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.merchant_ref} {self.period}"


class BudgetDay(models.Model):
    """How much of a month's budget is taken for what happened on one day. The days sum to the month."""

    budget = models.ForeignKey(MerchantBudget, on_delete=models.PROTECT, related_name="days")
    day = models.DateField()
    spent_micros = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["budget", "day"], name="one_row_a_day"),
            models.CheckConstraint(condition=Q(spent_micros__gte=0), name="day_spent_is_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.budget_id} {self.day:%Y-%m-%d}"


class BudgetChange(Change):
    """A merchant's cap or its behaviour at the cap changed: who, when, to what."""

    budget = models.ForeignKey(MerchantBudget, on_delete=models.PROTECT, related_name="changes")
    cap_micros = models.BigIntegerField()
    day_cap_micros = models.BigIntegerField(null=True, blank=True)
    at_cap = models.CharField(max_length=8, choices=MerchantBudget.AtCap.choices)

    def __str__(self) -> str:
        return f"{self.budget_id} to {self.cap_micros}"


class UsageEvent(models.Model):
    """Something that earns a fee, once per idempotency key. Amounts are the platform's own."""

    class Kind(models.TextChoices):
        PPCV = "ppcv", "Pay per conversation"
        AGENT_TAX = "agent_tax", "Agent tax"
        TAX_REVERSAL = "tax_reversal", "Agent tax returned"

    class Status(models.TextChoices):
        HELD = "held", "Held"
        QUARANTINED = "quarantined", "In quarantine"
        REVIEW = "review", "Waits for review"
        RATED = "rated", "Rated"
        POSTED = "posted", "Posted"
        REJECTED = "rejected", "Rejected"
        REVERSED = "reversed", "Reversed"

    OPEN = (Status.HELD, Status.QUARANTINED, Status.REVIEW, Status.RATED)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    idempotency_key = models.CharField(max_length=200)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    conversation_ref = models.CharField(max_length=64, blank=True)
    merchant_ref = models.CharField(max_length=64)
    developer_ref = models.CharField(max_length=64)
    agent_ref = models.CharField(
        max_length=64,
        blank=True,
        default="",
        db_default="",
        help_text="what brought it about, as the caller names it",
    )
    buyer_ref = models.CharField(max_length=64, blank=True, help_text="who talked, as the caller names them")
    line_ref = models.CharField(max_length=64, blank=True)
    category = models.CharField(max_length=160, blank=True)
    price_version = models.ForeignKey(
        PriceVersion, on_delete=models.PROTECT, related_name="events", db_index=False
    )
    currency = models.CharField(max_length=3)
    base_micros = models.BigIntegerField(default=0, help_text="the sale or the part refunded; 0 for PPCv")
    amount_micros = models.BigIntegerField(help_text="the fee; negative when returned")
    developer_share_micros = models.BigIntegerField(help_text="the developer's part of it")
    funding = models.CharField(
        max_length=8,
        choices=MerchantFunding.Mode.choices,
        default=MerchantFunding.Mode.POSTPAID,
        help_text="a prepaid fee is paid when it is posted and never invoiced",
    )
    status = models.CharField(max_length=12, choices=Status.choices)
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField(default=now)
    due_at = models.DateTimeField(help_text="when its quarantine ends")
    journal = models.OneToOneField(
        Journal, null=True, blank=True, on_delete=models.PROTECT, related_name="usage_event"
    )
    reverses = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="reversals", db_index=False
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["idempotency_key"], name="one_usage_event_per_key"),
        ]
        indexes = [
            models.Index(fields=["due_at", "id"], condition=Q(status="quarantined"), name="usage_due"),
            models.Index(fields=["id"], condition=Q(status="rated"), name="usage_rated"),
            models.Index(fields=["reverses"], condition=Q(reverses__isnull=False), name="usage_reversals"),
            models.Index(
                fields=["conversation_ref"],
                condition=Q(status__in=["quarantined", "review"]),
                name="usage_of_conversation",
            ),
            # What pages filter by is rare among millions of posted events.
            models.Index(fields=["status", "id"], condition=~Q(status="posted"), name="usage_not_posted"),
            models.Index(fields=["merchant_ref", "-occurred_at"], name="usage_by_merchant"),
            models.Index(fields=["developer_ref", "-occurred_at"], name="usage_by_developer"),
            # Lists of tax alone would look through a merchant's, or everybody's, conversations for it.
            models.Index(
                fields=["merchant_ref", "-occurred_at"],
                condition=~Q(kind="ppcv"),
                name="usage_tax_by_merchant",
            ),
            models.Index(fields=["kind", "-id"], condition=~Q(kind="ppcv"), name="usage_of_rare_kinds"),
            # Events lie in the order of their recording: a few kilobytes find a day among millions.
            BrinIndex(fields=["recorded_at"], autosummarize=True, name="usage_by_day"),
        ]

    def __str__(self) -> str:
        return self.idempotency_key

    @property
    def platform_micros(self) -> int:
        """What the platform keeps: the fee less the developer's share."""
        return self.amount_micros - self.developer_share_micros


class UsageEventChange(Change):
    """A usage event's status changed: who, when, why."""

    # That the event exists is checked once per statement, and it can't be deleted: a trigger of migration 0015.
    event = models.ForeignKey(
        UsageEvent, on_delete=models.PROTECT, related_name="changes", db_constraint=False
    )
    status = models.CharField(max_length=12, choices=UsageEvent.Status.choices)

    class Meta(Change.Meta):
        indexes = [BrinIndex(fields=["at"], autosummarize=True, name="usage_change_by_day")]

    def __str__(self) -> str:
        return f"{self.event_id} {self.status}"


class Hold(models.Model):
    """A part of a budget taken for one event. Unreleased holds of a budget sum to what it has spent."""

    budget = models.ForeignKey(MerchantBudget, on_delete=models.PROTECT, related_name="holds")
    event = models.OneToOneField(UsageEvent, on_delete=models.PROTECT, related_name="hold")
    amount_micros = models.BigIntegerField()
    placed_at = models.DateTimeField(default=now)
    captured_at = models.DateTimeField(null=True, blank=True)
    released_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(amount_micros__gt=0), name="hold_takes_something"),
        ]
        indexes = [
            models.Index(
                fields=["budget"],
                include=["amount_micros"],
                condition=Q(captured_at__isnull=True, released_at__isnull=True),
                name="hold_open",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount_micros} for {self.event_id}"
