"""What was shown, what came of it, and the fitted numbers that order the store.

Agents, shoppers and order lines are opaque references here; no fee is, and none may be, stored in this room.
"""

from __future__ import annotations

from django.db import models

from agentstore.kit.clock import now
from agentstore.kit.ids import new_id


class Exposure(models.Model):
    """An agent was shown at a position; the propensity is the chance it had of that place."""

    class Slot(models.TextChoices):
        RANKED = "ranked", "By its results"
        NEW = "new", "New"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    agent_id = models.UUIDField()
    category = models.SlugField(max_length=60, blank=True, help_text="the intent; empty: the whole store")
    surface = models.CharField(max_length=20, help_text="which page: store, category, search, agent")
    position = models.PositiveSmallIntegerField(help_text="from 1")
    slot = models.CharField(max_length=8, choices=Slot.choices)
    propensity = models.FloatField()
    examination = models.FloatField(help_text="probability that a shopper looks at this position")
    swapped = models.BooleanField(
        default=False, help_text="one of an adjacent pair swapped to measure examination"
    )
    session_ref = models.CharField(max_length=64)
    shopper_ref = models.CharField(max_length=64, blank=True)
    excluded = models.CharField(max_length=40, blank=True, help_text="why it does not count; empty: it does")
    at = models.DateTimeField(default=now)

    class Meta:
        indexes = [
            models.Index(fields=["agent_id", "category", "at"], name="exposure_by_agent"),
            models.Index(fields=["at"], name="exposure_by_time"),
            models.Index(fields=["session_ref", "at"], name="exposure_by_session"),
        ]

    def __str__(self) -> str:
        return f"{self.agent_id} at {self.position}"


class Conversion(models.Model):
    """An attributed order line; it counts once matured, unless it was reversed or exceeds the buyer's cap."""

    class Status(models.TextChoices):
        PENDING = "pending", "Within the return window"
        MATURED = "matured", "Counts"
        REVERSED = "reversed", "Refunded"
        EXCLUDED = "excluded", "Does not count"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    line_ref = models.CharField(max_length=64, unique=True)
    agent_id = models.UUIDField()
    category = models.SlugField(max_length=60, blank=True)
    buyer_ref = models.CharField(max_length=64)
    exposure_id = models.UUIDField(null=True, blank=True)
    amount_micros = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    occurred_at = models.DateTimeField()
    matures_at = models.DateTimeField()
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.PENDING)
    reason = models.CharField(max_length=200, blank=True, help_text="why it was reversed or excluded")

    class Meta:
        indexes = [
            models.Index(fields=["agent_id", "category", "status"], name="conversion_by_agent"),
            models.Index(fields=["status", "matures_at"], name="conversion_due"),
            models.Index(fields=["agent_id", "buyer_ref", "occurred_at"], name="conversion_by_buyer"),
        ]

    def __str__(self) -> str:
        return f"{self.line_ref} ({self.status})"


class ConversionChange(models.Model):
    """When a conversion moved to which status and why; the store itself moves them, by its rules."""

    conversion = models.ForeignKey(Conversion, on_delete=models.CASCADE, related_name="changes")
    from_status = models.CharField(max_length=8, blank=True)
    to_status = models.CharField(max_length=8)
    reason = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return f"{self.from_status} → {self.to_status}"


class Fit(models.Model):
    """One fit of the model's parameters by marginal likelihood; the newest is in force."""

    fitted_at = models.DateTimeField(default=now)
    mu = models.FloatField(help_text="mean conversions per examined exposure")
    a = models.FloatField(help_text="strength of the prior across agents")
    k = models.FloatField(help_text="strength of an agent's other categories within one")
    category_means = models.JSONField(default=dict, help_text="m_c: category → multiple of the mean")
    agents = models.PositiveIntegerField(help_text="agents with exposures in the fit")
    log_likelihood = models.FloatField()

    class Meta:
        ordering = ["-fitted_at"]
        get_latest_by = "fitted_at"

    def __str__(self) -> str:
        return f"fit of {self.fitted_at:%Y-%m-%d}"


class Score(models.Model):
    """An agent's posterior in one category under the newest fit."""

    agent_id = models.UUIDField()
    category = models.SlugField(max_length=60, blank=True, help_text="empty: over all categories")
    fit = models.ForeignKey(Fit, on_delete=models.CASCADE, related_name="scores")
    mean = models.FloatField(help_text="conversions per examined exposure")
    low = models.FloatField(help_text="2.5 % quantile of the posterior")
    high = models.FloatField(help_text="97.5 % quantile of the posterior")
    conversions = models.FloatField(help_text="N, decayed with a half-life of 60 days")
    examined = models.FloatField(help_text="E, the decayed sum of examination probabilities")
    orders = models.PositiveIntegerField(default=0, help_text="conversions counted, undecayed")
    exposures = models.PositiveIntegerField(default=0, help_text="exposures counted, undecayed")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["agent_id", "category", "fit"], name="one_score_per_fit"),
        ]

    def __str__(self) -> str:
        return f"{self.agent_id}/{self.category or 'all'}: {self.mean:.4f}"
