"""Why a fee waits for an operator, and the counts that two of the rules read."""

from __future__ import annotations

from django.db import models

from agentstore.kit.clock import now
from billing.models.usage import UsageEvent


class UsageFlag(models.Model):
    """A fraud rule that an event broke. A flagged event is not posted before an operator has looked."""

    class Rule(models.TextChoices):
        OWN_ORGANIZATION = "own_organization", "Own organization"
        VELOCITY = "velocity", "Too many in a short time"
        MANY_CONVERSATIONS = "many_conversations", "One shopper, many conversations"
        NO_REAL_MESSAGE = "no_real_message", "No real message"
        INSTANT_CLOSE = "instant_close", "Closed at once"

    event = models.ForeignKey(UsageEvent, on_delete=models.PROTECT, related_name="flags")
    rule = models.CharField(max_length=20, choices=Rule.choices)
    detail = models.CharField(max_length=200, blank=True, help_text="the figures that broke it")
    at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["at", "id"]
        constraints = [models.UniqueConstraint(fields=["event", "rule"], name="each_rule_once")]

    def __str__(self) -> str:
        return f"{self.get_rule_display()}: {self.event_id}"


class UsageTally(models.Model):
    """How many fees a merchant was to pay for one shopper or one developer within a window of time."""

    merchant_ref = models.CharField(max_length=64)
    subject = models.CharField(max_length=80, help_text="buyer:<ref> or developer:<ref>")
    window = models.DateTimeField(help_text="its first instant")
    events = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["merchant_ref", "subject", "window"], name="one_tally_a_window"),
        ]
        indexes = [models.Index(fields=["window"], name="tally_by_age")]

    def __str__(self) -> str:
        return f"{self.subject} at {self.merchant_ref}: {self.events}"
