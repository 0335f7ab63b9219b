"""Imports of merchants' feeds: a job, its report, and every status it went through."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from agentstore.identity.models import Organization
from agentstore.kit.changes import ChangeByUser
from agentstore.kit.clock import now
from agentstore.kit.ids import new_id


class FeedImport(models.Model):
    """One uploaded feed and how far it has been read."""

    class Format(models.TextChoices):
        CSV = "csv", "CSV"
        TSV = "tsv", "TSV"
        JSONL = "jsonl", "JSON Lines"

    class Status(models.TextChoices):
        WAITING = "waiting", "Waiting"
        RUNNING = "running", "Importing"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        UNDOING = "undoing", "Being rolled back"
        UNDONE = "undone", "Rolled back"

    OPEN = (Status.WAITING, Status.RUNNING, Status.UNDOING)

    class Via(models.TextChoices):
        UPLOAD = "upload", "Uploaded"
        PULL = "pull", "Fetched"
        PUSH = "push", "Pushed"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    merchant = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="imports")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    filename = models.CharField(max_length=200)
    file = models.FileField(upload_to="feeds/", max_length=200)
    format = models.CharField(max_length=5, choices=Format.choices)
    via = models.CharField(max_length=6, choices=Via.choices, default=Via.UPLOAD)
    dry_run = models.BooleanField(default=False, help_text="says what would change and changes nothing")
    size = models.BigIntegerField(help_text="bytes as uploaded")
    status = models.CharField(max_length=7, choices=Status.choices, default=Status.WAITING)
    lines_read = models.PositiveBigIntegerField(default=0, help_text="where a restart goes on")
    bytes_read = models.BigIntegerField(default=0, help_text="of the file as uploaded, for the progress bar")
    attempts = models.PositiveSmallIntegerField(default=0, help_text="runs since it last came further")
    accepted = models.PositiveIntegerField(default=0, help_text="new items")
    changed = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)
    undone_to = models.BigIntegerField(null=True, blank=True, help_text="where a roll back goes on")
    restored = models.PositiveIntegerField(default=0, help_text="changes that a roll back took back")
    kept = models.PositiveIntegerField(default=0, help_text="changes that could not be taken back whole")
    error = models.TextField(blank=True, help_text="why the whole import failed")
    created_at = models.DateTimeField(default=now)
    touched_at = models.DateTimeField(default=now, help_text="when work on it last went on")
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["merchant", "-created_at"], name="feed_import_by_merchant")]

    def __str__(self) -> str:
        return self.filename

    @property
    def items(self) -> int:
        """Lines dealt with, refused ones included."""
        return self.accepted + self.changed + self.unchanged + self.refused

    @property
    def is_open(self) -> bool:
        """Whether it is waiting, being read or being rolled back."""
        return self.status in self.OPEN

    @property
    def progress(self) -> int:
        """Per cent of the uploaded bytes read."""
        if self.status == self.Status.DONE or not self.size:
            return 100
        if self.status == self.Status.UNDOING:
            return min(99, (self.restored + self.kept) * 100 // max(1, self.accepted + self.changed))
        return min(99, self.bytes_read * 100 // self.size)

    @property
    def failed_rolling_back(self) -> bool:
        """Whether it failed while it was rolled back, not while it was read."""
        last = self.status_changes.order_by("pk").last()
        return last is not None and (last.from_status, last.to_status) == (
            self.Status.UNDOING,
            self.Status.FAILED,
        )


class FeedImportStatusChange(ChangeByUser):
    """Which status an import left, which it entered, when, who did it and why."""

    feed_import = models.ForeignKey(FeedImport, on_delete=models.CASCADE, related_name="status_changes")
    from_status = models.CharField(max_length=7, blank=True)
    to_status = models.CharField(max_length=7)
    reason = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"{self.from_status} → {self.to_status}"


class FeedRefusal(models.Model):
    """A line of a feed that was not taken, and why."""

    feed_import = models.ForeignKey(FeedImport, on_delete=models.CASCADE, related_name="refusals")
    line = models.PositiveBigIntegerField(help_text="1 is the file's first line, the header included")
    item_id = models.CharField(max_length=120, blank=True)
    code = models.CharField(max_length=40)
    message = models.TextField()

    class Meta:
        ordering = ["line", "id"]
        constraints = [models.UniqueConstraint(fields=["feed_import", "line"], name="one_refusal_per_line")]

    def __str__(self) -> str:
        return f"line {self.line}: {self.code}"


class FeedItemChange(models.Model):
    """What an import made of one item, or a dry run would: fields as `offer.price_micros`, before and after.

    `before` is empty for a new item. Only what changed is kept, so that a roll back touches nothing else.
    """

    class Kind(models.TextChoices):
        NEW = "new", "New"
        CHANGED = "changed", "Changed"

    class Undone(models.TextChoices):
        RESTORED = "restored", "Taken back"
        KEPT = "kept", "Kept in part"

    feed_import = models.ForeignKey(
        FeedImport, on_delete=models.CASCADE, related_name="changes", db_index=False
    )
    line = models.PositiveBigIntegerField()
    item_id = models.CharField(max_length=120)
    group_id = models.CharField(max_length=120)
    title = models.CharField(max_length=300)
    kind = models.CharField(max_length=7, choices=Kind.choices)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    undone = models.CharField(max_length=8, choices=Undone.choices, blank=True)
    note = models.CharField(max_length=200, blank=True, help_text="why a roll back left something")

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["feed_import", "id"], name="feed_change_in_order"),
            models.Index(fields=["feed_import", "group_id"], name="feed_change_by_group"),
        ]

    def __str__(self) -> str:
        return f"line {self.line}: {self.kind} {self.item_id}"
