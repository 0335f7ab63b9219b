"""What platforms are to be told of their orders."""

from __future__ import annotations

import uuid

from django.db import models

from agentstore.kit.changes import ChangeByUser
from agentstore.kit.clock import now
from marketplace.shopping.models.order import Order


class UcpOrderEvent(models.Model):
    """An order's change that its platform is to be told of; written in the change's own transaction.

    `body` is what is sent, fixed at the first attempt so that each repetition is the same, and emptied at the end.
    """

    class Kind(models.TextChoices):
        CREATED = "created", "Paid"
        REFUND = "refund", "Refund"
        DISPUTE = "dispute", "Dispute"

    class Status(models.TextChoices):
        PENDING = "pending", "To be sent"
        DELIVERED = "delivered", "Delivered"
        GIVEN_UP = "given_up", "Given up"
        UNWANTED = "unwanted", "Not asked for"

    event_id = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="ucp_events")
    platform = models.CharField(max_length=300)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    status = models.CharField(max_length=9, choices=Status.choices, default=Status.PENDING)
    at = models.DateTimeField(default=now)
    since = models.DateTimeField(default=now, help_text="when sending it began, or began anew")
    due_at = models.DateTimeField(default=now)
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.CharField(max_length=200, blank=True)
    body = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name = "UCP order event"
        indexes = [
            models.Index(
                fields=["platform", "due_at"], condition=models.Q(status="pending"), name="order_event_due"
            ),
            models.Index(fields=["order", "id"], name="order_event_order"),
        ]

    def __str__(self) -> str:
        return str(self.event_id)


class UcpOrderEventChange(ChangeByUser):
    """Which status an event went to, when, why and by whom."""

    event = models.ForeignKey(UcpOrderEvent, on_delete=models.CASCADE, related_name="changes")
    from_status = models.CharField(max_length=9)
    to_status = models.CharField(max_length=9)

    def __str__(self) -> str:
        return f"{self.from_status} → {self.to_status}"
