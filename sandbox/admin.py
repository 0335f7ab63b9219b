"""The administration's view of sandboxes: to read. What changes them are the services."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline

from sandbox.models import Image, PoolTarget, Sandbox, SandboxStatusChange


class _ReadOnly:
    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody: images are built and sandboxes started by services."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody: a row without its container would leave it running."""
        return False


class _Changes(_ReadOnly, TabularInline):  # type: ignore[misc]  # unfold is untyped
    model = SandboxStatusChange
    fields = ("at", "from_status", "to_status", "by", "reason")
    extra = 0


@admin.register(Sandbox)
class SandboxAdmin(_ReadOnly, ModelAdmin):  # type: ignore[misc]  # unfold is untyped
    """Sandboxes, with their history. The token's hash is nobody's business."""

    list_display = ("id", "tenant", "status", "runtime", "fault", "failure_code", "created_at")
    list_filter = ("status", "fault", "runtime", "failure_code")
    search_fields = ("tenant", "claim_key", "handle")
    exclude = ("token_hash",)
    inlines = (_Changes,)


@admin.register(Image)
class ImageAdmin(_ReadOnly, ModelAdmin):  # type: ignore[misc]  # unfold is untyped
    """Images that were built or loaded."""

    list_display = ("image_id", "source", "size", "built_at")
    list_filter = ("source",)
    search_fields = ("image_id", "digest")


@admin.register(PoolTarget)
class PoolTargetAdmin(_ReadOnly, ModelAdmin):  # type: ignore[misc]  # unfold is untyped
    """Who is kept warm."""

    list_display = ("tenant", "floor", "updated_at")
