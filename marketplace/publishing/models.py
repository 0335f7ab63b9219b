"""Agents, their versions, and the way a version takes from upload to live."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from agentstore.identity.models import Organization
from agentstore.kit.clock import now
from agentstore.kit.ids import new_id


class Agent(models.Model):
    """A listing in the store, owned by a developer studio."""

    class Status(models.TextChoices):
        DRAFT = "draft", "Not yet live"
        LISTED = "listed", "Live"
        SUSPENDED = "suspended", "Suspended"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    developer = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="agents")
    slug = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=80)
    tagline = models.CharField(max_length=160)
    description = models.TextField(blank=True)
    categories = ArrayField(models.SlugField(max_length=60), default=list, blank=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.DRAFT)
    live_version = models.ForeignKey(
        "Version", on_delete=models.SET_NULL, null=True, blank=True, related_name="live_for"
    )
    created_at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                name="listed_agent_has_live_version",
                condition=~models.Q(status="listed") | models.Q(live_version__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def ref(self) -> str:
        """How rooms below name it: `agent:<uuid>`."""
        return f"agent:{self.pk}"


class Version(models.Model):
    """One immutable build of an agent: a semantic version and an image by digest."""

    class Status(models.TextChoices):
        CANDIDATE = "candidate", "In review"
        LIVE = "live", "Live"
        RETIRED = "retired", "Retired"
        FAILED = "failed", "Checks failed"
        REJECTED = "rejected", "Rejected"

    # An operator has said yes to these once; the others never served a shopper.
    REVIEWED: ClassVar[frozenset[str]] = frozenset({"live", "retired"})
    DISCARDED: ClassVar[frozenset[str]] = frozenset({"failed", "rejected"})

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="versions")
    semver = models.CharField(max_length=40, help_text="semver.org 2.0.0")
    manifest = models.JSONField(help_text="agent.toml as validated")
    image_id = models.CharField(max_length=80, help_text="the engine's content id, sha256:…")
    bundle_sha256 = models.CharField(max_length=64)
    notes = models.TextField(blank=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.CANDIDATE)
    created_at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            # A build that failed or was rejected gives its number back.
            models.UniqueConstraint(
                fields=["agent", "semver"],
                condition=~models.Q(status__in=["failed", "rejected"]),
                name="one_build_per_semver",
            ),
            models.UniqueConstraint(
                fields=["agent"], condition=models.Q(status="live"), name="one_live_version_per_agent"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.agent} {self.semver}"

    @property
    def tenant(self) -> str:
        """The name by which the sandbox room knows this version."""
        return f"version:{self.id}"

    @property
    def is_reviewed(self) -> bool:
        """Whether an operator approved it, so that its code is trusted a little further."""
        return self.status in self.REVIEWED


class StatusChange(models.Model):
    """Who moved an agent, version or submission from which status to which, when and why."""

    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, null=True, related_name="status_changes")
    version = models.ForeignKey(Version, on_delete=models.CASCADE, null=True, related_name="status_changes")
    submission = models.ForeignKey(
        "Submission", on_delete=models.CASCADE, null=True, related_name="status_changes"
    )
    from_status = models.CharField(max_length=12, blank=True)
    to_status = models.CharField(max_length=12)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+",
        help_text="empty: the platform itself",
    )  # fmt: skip
    reason = models.TextField(blank=True)
    at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["at", "id"]
        constraints = [
            models.CheckConstraint(
                name="status_change_has_one_subject",
                condition=(
                    models.Q(agent__isnull=False, version__isnull=True, submission__isnull=True)
                    | models.Q(agent__isnull=True, version__isnull=False, submission__isnull=True)
                    | models.Q(agent__isnull=True, version__isnull=True, submission__isnull=False)
                ),
            )
        ]

    def __str__(self) -> str:
        return f"{self.from_status} → {self.to_status}"


class Submission(models.Model):
    """A version going in: a bundle on its way through the checks and the review."""

    class Status(models.TextChoices):
        RECEIVED = "received", "Unpacking"
        BUILDING = "building", "Building the image"
        CHECKING = "checking", "Starting it in a sandbox"
        REHEARSING = "rehearsing", "Rehearsing a conversation"
        IN_REVIEW = "in_review", "Waiting for an operator"
        FAILED = "failed", "Checks failed"
        APPROVED = "approved", "Approved"
        REJECTED = "rejected", "Rejected"

    OPEN: ClassVar[frozenset[str]] = frozenset({"received", "building", "checking", "rehearsing"})

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="submissions")
    submitted_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    filename = models.CharField(max_length=200)
    bundle_sha256 = models.CharField(max_length=64, help_text="names the stored bundle by its content")
    size = models.BigIntegerField(help_text="bytes")
    notes = models.TextField(blank=True)
    kind = models.CharField(max_length=6, blank=True, help_text="source or image, once it was unpacked")
    version = models.OneToOneField(
        Version, on_delete=models.SET_NULL, null=True, blank=True, related_name="submission"
    )
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.RECEIVED)
    created_at = models.DateTimeField(default=now)
    due_at = models.DateTimeField(
        default=now, help_text="not to be taken up before; a worker that takes it moves this on as its lease"
    )
    attempts = models.PositiveSmallIntegerField(default=0, help_text="of the present step")
    trouble = models.TextField(blank=True, help_text="what on our side keeps it waiting, in words")

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(
                fields=["due_at"],
                condition=models.Q(status__in=["received", "building", "checking", "rehearsing"]),
                name="submission_open_due",
            )
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "bundle_sha256"],
                condition=models.Q(status__in=["received", "building", "checking", "rehearsing"]),
                name="one_open_submission_per_bundle",
            )
        ]

    def __str__(self) -> str:
        return self.filename

    @property
    def is_open(self) -> bool:
        """Whether the platform is still working on it."""
        return self.status in self.OPEN


class Check(models.Model):
    """One named test of a submission and its result in words."""

    submission = models.ForeignKey(Submission, on_delete=models.CASCADE, related_name="checks")
    name = models.SlugField(max_length=60)
    passed = models.BooleanField()
    detail = models.TextField(help_text="what was found, for the developer")
    evidence = models.JSONField(default=dict, blank=True)
    duration_ms = models.PositiveIntegerField(null=True)
    at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["submission", "name"], name="one_result_per_check")]

    def __str__(self) -> str:
        return f"{self.name}: {'passed' if self.passed else 'failed'}"


class Verdict(models.Model):
    """The outcome of all checks of a submission."""

    submission = models.OneToOneField(Submission, on_delete=models.CASCADE, related_name="verdict")
    passed = models.BooleanField()
    summary = models.TextField()
    at = models.DateTimeField(default=now)

    def __str__(self) -> str:
        return "passed" if self.passed else "failed"


class ReviewItem(models.Model):
    """A submission's place in the operators' queue: why it is there, until when, and how it left."""

    class Decision(models.TextChoices):
        APPROVED = "approved", "Approved"
        REJECTED = "rejected", "Rejected"

    submission = models.OneToOneField(Submission, on_delete=models.CASCADE, related_name="review_item")
    reason = models.CharField(max_length=200)
    entered_at = models.DateTimeField(default=now)
    due_at = models.DateTimeField()
    exited_at = models.DateTimeField(null=True, blank=True)
    decision = models.CharField(max_length=10, choices=Decision.choices, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    note = models.TextField(blank=True)

    class Meta:
        ordering = ["due_at"]
        constraints = [
            models.CheckConstraint(
                name="review_exit_is_a_decision",
                condition=models.Q(exited_at__isnull=True, decision="")
                | (models.Q(exited_at__isnull=False, decided_by__isnull=False) & ~models.Q(decision="")),
            )
        ]

    def __str__(self) -> str:
        return self.reason


class Notice(models.Model):
    """A mail to the developer, written down before it is sent, so that it goes out at most once."""

    class Kind(models.TextChoices):
        VERDICT = "verdict", "Verdict"
        DECISION = "decision", "Decision"

    submission = models.ForeignKey(Submission, on_delete=models.CASCADE, related_name="notices")
    kind = models.CharField(max_length=8, choices=Kind.choices)
    at = models.DateTimeField(default=now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["submission", "kind"], name="one_mail_of_each_kind")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.submission_id}"


class Advisory(models.Model):
    """A known vulnerability of one package, from the database that the operator provides (OSV's format)."""

    ref = models.CharField(max_length=80, help_text="for example GHSA-… or CVE-…")
    ecosystem = models.CharField(max_length=60, help_text="PyPI, npm, Debian:12 …")
    package = models.CharField(max_length=214)
    severity = models.CharField(max_length=8)
    summary = models.CharField(max_length=300, blank=True)
    affected = models.JSONField(help_text="OSV's ranges and versions")
    loaded_at = models.DateTimeField(default=now)

    class Meta:
        indexes = [models.Index(fields=["ecosystem", "package"], name="advisory_by_package")]
        constraints = [
            models.UniqueConstraint(fields=["ref", "ecosystem", "package"], name="one_advisory_per_package")
        ]

    def __str__(self) -> str:
        return f"{self.ref} of {self.package}"
