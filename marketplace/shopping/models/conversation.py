"""A shopper with one agent version, in turns."""

from __future__ import annotations

from django.db import models

from agentstore.kit.clock import now
from agentstore.kit.ids import new_id
from marketplace.publishing.models import Agent, Version
from marketplace.shopping.models.shopper import Shopper


class Conversation(models.Model):
    """Pins, when it is opened, all that later decides about it: version, fees, consent."""

    class Purpose(models.TextChoices):
        SHOPPING = "shopping", "With a shopper"
        REHEARSAL = "rehearsal", "A check of a submission; never shown or billed"

    class Status(models.TextChoices):
        OPEN = "open", "Open"
        CLOSED = "closed", "Closed"
        DELETED = "deleted", "Deleted by the shopper"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    purpose = models.CharField(max_length=10, choices=Purpose.choices, default=Purpose.SHOPPING)
    shopper = models.ForeignKey(
        Shopper,
        on_delete=models.CASCADE,
        null=True,
        related_name="conversations",
        help_text="none in a rehearsal",
    )
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="conversations")
    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="conversations")
    price_version_ref = models.CharField(
        max_length=40, help_text="the price version in force when it was opened"
    )
    exposure_id = models.UUIDField(null=True, blank=True, help_text="the exposure that led here")
    experiment_arm = models.CharField(max_length=40, blank=True)
    consents = models.JSONField(default=list, help_text="scopes in force when it was opened")
    limits = models.JSONField(
        default=dict, help_text="what the shopper stated and the platform checks: max_price_micros"
    )
    model_tokens = models.PositiveIntegerField(
        default=0, help_text="what the agent took from the model server's budget for this conversation"
    )
    locale = models.CharField(max_length=12, default="en-US")
    currency = models.CharField(max_length=3, default="USD")
    country = models.CharField(max_length=2, default="US")
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.OPEN)
    opened_at = models.DateTimeField(default=now)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-opened_at"]
        indexes = [models.Index(fields=["shopper", "-opened_at"], name="conversation_by_shopper")]
        constraints = [
            models.CheckConstraint(
                name="shopping_has_a_shopper",
                condition=models.Q(purpose="rehearsal")
                | models.Q(status="deleted")
                | models.Q(shopper__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return f"{self.agent} · {self.id}"


class Turn(models.Model):
    """One shopper message and all that the agent does until it is done. The lease says who runs it."""

    class Status(models.TextChoices):
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        STOPPED = "stopped", "Stopped by the shopper"
        FAILED = "failed", "Failed"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="turns")
    index = models.PositiveIntegerField(help_text="from 0 within the conversation")
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.RUNNING)
    lease_owner = models.CharField(max_length=64, blank=True, help_text="host and pid that run it")
    lease_until = models.DateTimeField(null=True, blank=True)
    fault = models.CharField(max_length=10, blank=True, help_text="agent or platform, when it failed")
    failure = models.CharField(max_length=60, blank=True, help_text="typed code, when it failed")
    failure_detail = models.CharField(
        max_length=300, blank=True, help_text="what exactly was seen, when it failed; for the developer"
    )
    log_tail = models.TextField(
        blank=True, help_text="the end of the agent's log when it failed, without the shopper's words"
    )
    strain = models.JSONField(default=dict, blank=True, help_text="what its sandbox ran into, when it failed")
    started_at = models.DateTimeField(default=now)
    first_event_ms = models.PositiveIntegerField(null=True, help_text="until the first event of the agent")
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["index"]
        constraints = [
            models.UniqueConstraint(fields=["conversation", "index"], name="one_turn_per_index"),
            models.UniqueConstraint(
                fields=["conversation"], condition=models.Q(status="running"), name="one_running_turn"
            ),
        ]
        indexes = [
            models.Index(fields=["lease_until"], condition=models.Q(status="running"), name="turn_leases"),
            models.Index(fields=["ended_at"], condition=models.Q(status="failed"), name="turn_failures"),
        ]

    def __str__(self) -> str:
        return f"turn {self.index} of {self.conversation_id}"


class ConversationStatusChange(models.Model):
    """Who moved a conversation, or one of its turns, to which status, when and why."""

    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="status_changes")
    turn = models.ForeignKey(
        Turn, on_delete=models.CASCADE, null=True, related_name="status_changes",
        help_text="empty: the conversation itself",
    )  # fmt: skip
    from_status = models.CharField(max_length=8, blank=True)
    to_status = models.CharField(max_length=8)
    by = models.CharField(max_length=20, help_text="shopper, runner, reaper or platform")
    reason = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return f"{self.from_status} → {self.to_status}"


class Message(models.Model):
    """One utterance. The shopper's is stored as the agent gets it: personal data masked."""

    class Role(models.TextChoices):
        SHOPPER = "shopper", "Shopper"
        AGENT = "agent", "Agent"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="messages")
    turn = models.ForeignKey(Turn, on_delete=models.CASCADE, related_name="messages")
    role = models.CharField(max_length=8, choices=Role.choices)
    text = models.TextField()
    masked = models.JSONField(default=list, blank=True, help_text="kinds of personal data that were masked")
    at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["at", "id"]
        constraints = [models.UniqueConstraint(fields=["turn", "role"], name="one_message_each_per_turn")]

    def __str__(self) -> str:
        return f"{self.role}: {self.text[:40]}"


class ToolCall(models.Model):
    """One call of the agent at the gateway: the trace that its developer sees."""

    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="tool_calls")
    turn = models.ForeignKey(Turn, on_delete=models.CASCADE, null=True, related_name="tool_calls")
    tool = models.CharField(max_length=40)
    transport = models.CharField(max_length=6, help_text="rest, mcp or model")
    arguments = models.JSONField(default=dict)
    outcome = models.CharField(max_length=60, help_text="ok, or the code of the refusal")
    result = models.JSONField(default=dict, help_text="what was answered, shortened")
    duration_ms = models.PositiveIntegerField()
    at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["conversation", "id"], name="tool_call_trace")]

    def __str__(self) -> str:
        return f"{self.tool}: {self.outcome}"
