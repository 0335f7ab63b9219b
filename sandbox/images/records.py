"""Rows for images: what they were made from, and when they were last wanted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from agentstore.kit.clock import now
from sandbox.images.store import StoredImage
from sandbox.models import Image


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """An image that the store has. `size` is in bytes, all layers; `command` is what a sandbox would run."""

    image_id: str
    size: int
    source: str
    digest: str
    command: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)


def record_image(
    *, image: StoredImage, source: str, digest: str, facts: dict[str, Any] | None = None
) -> BuiltImage:
    """Write (or complete) the row of an image that the store has, as used now."""
    row, created = Image.objects.get_or_create(
        image_id=image.image_id,
        defaults={
            "source": source, "digest": digest, "size": image.size, "labels": image.labels,
            "layers": list(image.layers), "facts": facts or {},
        },
    )  # fmt: skip
    if not created:
        row.used_at = now()
        row.facts = facts or row.facts
        row.save(update_fields=["used_at", "facts"])
    return BuiltImage(
        image_id=image.image_id, size=image.size, source=source, digest=digest, command=image.command,
        facts=row.facts,
    )  # fmt: skip
