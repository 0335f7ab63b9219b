"""Rows for images, and the engine's own word on them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from docker.errors import ImageNotFound

from sandbox.driver import ImageMissing
from sandbox.engine.client import engine_client, engine_errors
from sandbox.models import Image


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """An image that the engine has. `size` is in bytes, all layers; `command` is what a sandbox would run."""

    image_id: str
    size: int
    source: str
    digest: str
    command: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What the engine says of an image, before anything of it runs. `size` in bytes."""

    image_id: str
    size: int
    layers: int
    architecture: str
    user: str
    command: tuple[str, ...]
    volumes: tuple[str, ...]
    exposed_ports: tuple[str, ...]
    labels: dict[str, str]
    created_at: str


def inspect_image(image_id: str) -> ImageFacts:
    """The facts of an image. Raises ImageMissing, DriverError."""
    with engine_errors():
        try:
            api: Any = engine_client().api  # its stubs leave this method untyped
            found = api.inspect_image(image_id)
        except ImageNotFound as missing:
            raise ImageMissing("The engine does not have this image.", image_id=image_id) from missing
    config = found.get("Config") or {}
    return ImageFacts(
        image_id=found["Id"],
        size=found["Size"],
        layers=len((found.get("RootFS") or {}).get("Layers") or []),
        architecture=found.get("Architecture", ""),
        user=config.get("User") or "",
        command=(*(config.get("Entrypoint") or []), *(config.get("Cmd") or [])),
        volumes=tuple(config.get("Volumes") or {}),
        exposed_ports=tuple(config.get("ExposedPorts") or {}),
        labels=config.get("Labels") or {},
        created_at=found.get("Created", ""),
    )


def find_image(*, digest: str, source: str) -> BuiltImage | None:
    """The image of that content, if the engine still has it."""
    label = [f"agentstore.digest={digest}", f"agentstore.source={source}"]
    with engine_errors():
        found = engine_client().api.images(filters={"label": label})
    if not found:
        return None
    return record_image(image_id=found[0]["Id"], source=source, digest=digest)


def record_image(
    *, image_id: str, source: str, digest: str, facts: dict[str, Any] | None = None
) -> BuiltImage:
    """Write (or complete) the row of an image that the engine has."""
    seen = inspect_image(image_id)
    row, created = Image.objects.get_or_create(
        image_id=seen.image_id,
        defaults={
            "source": source, "digest": digest, "size": seen.size, "labels": seen.labels,
            "facts": facts or {},
        },
    )  # fmt: skip
    if not created and facts:
        row.facts = facts
        row.save(update_fields=["facts"])
    return BuiltImage(
        image_id=seen.image_id, size=seen.size, source=source, digest=digest, command=seen.command,
        facts=row.facts,
    )  # fmt: skip
