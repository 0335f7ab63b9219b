"""The administration's view of sandboxes: to read. What changes them are the services."""

from __future__ import annotations

from django.contrib import admin

from agentstore.kit.administration import ReadOnlyAdmin, ReadOnlyInline
from sandbox.models import Image, PoolTarget, Sandbox, SandboxStatusChange


class _Changes(ReadOnlyInline):
    model = SandboxStatusChange
    fields = ("at", "from_status", "to_status", "by", "reason")


@admin.register(Sandbox)
class SandboxAdmin(ReadOnlyAdmin):
    """Sandboxes, with their history. The token's hash is nobody's business."""

    list_display = ("id", "tenant", "status", "runtime", "fault", "failure_code", "created_at")
    list_filter = ("status", "fault", "runtime", "failure_code")
    search_fields = ("tenant", "claim_key", "handle")
    exclude = ("token_hash",)
    inlines = (_Changes,)


@admin.register(Image)
class ImageAdmin(ReadOnlyAdmin):
    """Images that were built or loaded."""

    list_display = ("image_id", "source", "size", "built_at")
    list_filter = ("source",)
    search_fields = ("image_id", "digest")


@admin.register(PoolTarget)
class PoolTargetAdmin(ReadOnlyAdmin):
    """Who is kept warm."""

    list_display = ("tenant", "floor", "updated_at")
