"""What is running, what ran, and why it ended."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar

from django.db import models
from django.db.models import Q

from agentstore.kit.clock import now
from agentstore.kit.ids import new_id
from sandbox.failures import Fault
from sandbox.spec import RunSpec

# How long a start may stand in its host's queue.
QUEUE_SECONDS = 300


class Image(models.Model):
    """An image that we built or inspected, named by the digest of its content."""

    class Source(models.TextChoices):
        BASE = "base", "Base image"
        BUNDLE = "source", "Source bundle"
        ARCHIVE = "archive", "Image archive"

    image_id = models.CharField(primary_key=True, max_length=71)
    source = models.CharField(max_length=8, choices=Source.choices)
    digest = models.CharField(max_length=64, db_index=True, help_text="SHA-256 of what it was made from")
    size = models.BigIntegerField(help_text="bytes, all layers")
    labels = models.JSONField(default=dict, blank=True)
    layers = models.JSONField(default=list, blank=True, help_text="diff ids, the lowest first")
    facts = models.JSONField(default=dict, blank=True, help_text="what the inspection found")
    built_at = models.DateTimeField(default=now)
    used_at = models.DateTimeField(default=now, help_text="when a build last gave it out")

    class Meta:
        ordering = ["-built_at"]

    def __str__(self) -> str:
        return f"{self.source} image {self.image_id[7:19]}"


class Layer(models.Model):
    """A layer in the store. The row is the lock between a build that uses it and the collection of garbage."""

    diff_id = models.CharField(primary_key=True, max_length=71)
    size = models.BigIntegerField(help_text="bytes of its tar")
    used_at = models.DateTimeField(default=now, help_text="when a build last put it or referred to it")

    class Meta:
        ordering = ["-used_at"]

    def __str__(self) -> str:
        return f"layer {self.diff_id[7:19]}"


class Host(models.Model):
    """A machine that runs sandboxes: what it can take, and how it is. It writes its own row (`sandbox.hosts`)."""

    class Status(models.TextChoices):
        UP = "up", "Up"
        DRAINING = "draining", "Draining"
        LOST = "lost", "Lost"

    name = models.CharField(primary_key=True, max_length=120)
    address = models.CharField(
        max_length=200, blank=True, help_text="host:port of its door server; empty: nobody else reaches it"
    )
    driver = models.CharField(max_length=20, blank=True)
    driver_reason = models.CharField(max_length=500, blank=True, help_text="why this driver was chosen")
    runtimes = models.JSONField(default=dict, blank=True, help_text="the runtime of each level of trust")
    places = models.PositiveIntegerField(default=0)
    memory_bytes = models.BigIntegerField(default=0, help_text="what all its sandboxes' limits may add up to")
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.UP)
    draining = models.BooleanField(default=False, help_text="the operator's wish, which outlives a loss")
    refusal = models.CharField(max_length=500, blank=True, help_text="why nothing is started here")
    findings = models.JSONField(default=list, blank=True)
    proven_at = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(default=now)
    since = models.DateTimeField(default=now, help_text="when its present status began")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return f"{self.name} ({self.status})"

    @property
    def broken(self) -> list[dict[str, str]]:
        """The properties that do not hold here: name, detail, fix."""
        return [found for found in self.findings if not found["kept"]]


class HostStatusChange(models.Model):
    """Who changed a host's status, when and why."""

    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="changes")
    to_status = models.CharField(max_length=8, choices=Host.Status.choices)
    by = models.CharField(max_length=60)
    reason = models.CharField(max_length=500, blank=True)
    at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return f"{self.host_id} → {self.to_status}"


class SandboxQuerySet(models.QuerySet["Sandbox"]):
    """Sandboxes by what they are good for."""

    def live(self) -> SandboxQuerySet:
        """Those that hold, or are about to hold, a place on a host."""
        return self.filter(status__in=Sandbox.LIVE)

    def warm(self, *, tenant: str, spec: RunSpec, here: str) -> SandboxQuerySet:
        """Those that a process on the host `here` may claim for this tenant and spec."""
        usable = Host.objects.filter(Q(name=here) | ~Q(address=""), status=Host.Status.UP)
        return self.filter(
            Q(host="") | Q(host__in=usable.values("name")), status=Sandbox.Status.WARM, tenant=tenant,
            spec_key=spec.fingerprint,
        )  # fmt: skip


class Sandbox(models.Model):
    """One container, bound to at most one claim in its life.

    `tenant` (an agent's version) and `claim_key` (a conversation) are opaque here. The token itself is
    nowhere: only its SHA-256 is stored.
    """

    class Status(models.TextChoices):
        STARTING = "starting", "Starting"
        WARM = "warm", "Warm"
        CLAIMED = "claimed", "Claimed"
        STOPPED = "stopped", "Stopped"
        FAILED = "failed", "Failed"

    LIVE: ClassVar = (Status.STARTING, Status.WARM, Status.CLAIMED)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    image_id = models.CharField(max_length=71)
    tenant = models.CharField(max_length=100)
    claim_key = models.CharField(max_length=100, blank=True)
    spec = models.JSONField()
    spec_key = models.CharField(max_length=32)
    driver = models.CharField(max_length=20, blank=True)
    runtime = models.CharField(max_length=20, blank=True)
    host = models.CharField(max_length=120, blank=True, help_text="the name of the host it was placed on")
    memory_bytes = models.BigIntegerField(default=0, help_text="its limit, which its host sets aside")
    handle = models.CharField(max_length=120, blank=True)
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.STARTING)
    token_hash = models.CharField(max_length=64, blank=True)
    fault = models.CharField(max_length=8, choices=Fault.choices, blank=True)
    failure_code = models.CharField(max_length=40, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    log_tail = models.TextField(blank=True)
    created_at = models.DateTimeField(default=now)
    begun_at = models.DateTimeField(null=True, blank=True, help_text="when its host took its start up")
    ready_at = models.DateTimeField(null=True, blank=True)
    claimed_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    busy_until = models.DateTimeField(
        null=True,
        blank=True,
        help_text="until when a turn may be using it; empty: it rests and may be evicted",
    )
    ended_at = models.DateTimeField(null=True, blank=True)
    removed_at = models.DateTimeField(
        null=True, blank=True, help_text="when nothing of it was left on its host"
    )

    objects = SandboxQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(
                fields=["tenant", "spec_key", "ready_at"], condition=Q(status="warm"), name="sandbox_warm"
            ),
            models.Index(
                fields=["status", "created_at"], condition=Q(status__in=["starting", "warm", "claimed"]),
                name="sandbox_live",
            ),
            models.Index(fields=["ended_at"], condition=Q(removed_at=None), name="sandbox_unremoved"),
            models.Index(fields=["claimed_at", "tenant"], name="sandbox_demand"),
            models.Index(fields=["ended_at", "fault"], condition=~Q(fault=""), name="sandbox_failed"),
            models.Index(fields=["tenant", "ended_at"], condition=Q(status="failed"), name="sandbox_tenant_failed"),
        ]  # fmt: skip
        constraints = [
            models.UniqueConstraint(
                fields=["claim_key"],
                condition=~Q(claim_key="") & Q(status__in=["starting", "warm", "claimed"]),
                name="one_live_sandbox_per_claim",
            ),
            models.UniqueConstraint(
                fields=["token_hash"], condition=~Q(token_hash=""), name="one_sandbox_per_token"
            ),
        ]

    def __str__(self) -> str:
        return f"sandbox {self.id} ({self.status})"

    @property
    def run_spec(self) -> RunSpec:
        """The spec that it was made by."""
        return RunSpec.from_json(self.spec)

    @property
    def start_deadline(self) -> datetime:
        """When a start that has not come to an end is given up: from its beginning, or from its being asked
        for where its host has not come to it.
        """
        seconds = self.run_spec.patience_seconds
        if self.begun_at is None:
            return self.created_at + timedelta(seconds=seconds + QUEUE_SECONDS)
        return self.begun_at + timedelta(seconds=seconds)


class SandboxStatusChange(models.Model):
    """Who changed a sandbox's status, when and why."""

    sandbox = models.ForeignKey(Sandbox, on_delete=models.CASCADE, related_name="changes")
    from_status = models.CharField(max_length=8, blank=True)
    to_status = models.CharField(max_length=8, choices=Sandbox.Status.choices)
    by = models.CharField(max_length=60)
    reason = models.CharField(max_length=500, blank=True)
    at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return f"{self.from_status or 'new'} → {self.to_status}"


class WaitingClaim(models.Model):
    """A claim that found no free place: its turn comes in the order of `since`. One that is no longer looked after
    (`seen_at`) has given up.
    """

    claim_key = models.CharField(primary_key=True, max_length=100)
    tenant = models.CharField(max_length=100)
    trust = models.CharField(max_length=10)
    since = models.DateTimeField(default=now)
    seen_at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["since", "claim_key"]

    def __str__(self) -> str:
        return f"{self.claim_key} waits for a place"


class PoolTarget(models.Model):
    """How many warm sandboxes to keep for a tenant that is in demand."""

    tenant = models.CharField(max_length=100)
    spec = models.JSONField()
    spec_key = models.CharField(max_length=32)
    floor = models.PositiveSmallIntegerField()
    wanted = models.PositiveSmallIntegerField(default=0, help_text="how many its recent demand asks for")
    updated_at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["tenant"]
        constraints = [models.UniqueConstraint(fields=["tenant"], name="one_pool_target_per_tenant")]

    def __str__(self) -> str:
        return f"{self.floor} warm for {self.tenant}"

    @property
    def run_spec(self) -> RunSpec:
        """The spec that its sandboxes are made by."""
        return RunSpec.from_json(self.spec)
