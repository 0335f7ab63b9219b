"""Removes images that nobody needs, and layers that no image has.

What is in use is said by those who use it: `keep` by the rooms above, live sandboxes and warm pools by their rows.
Whatever a build has put, found or referred to within the grace is spared: the build touches the row of a layer or an
image before it relies on the blob, and here the blob goes while that row is locked, so one of the two sees the
other. A blob without a row (the database was restored, say) gets one and its time.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Sum

from agentstore.kit.clock import now
from sandbox.driver import Driver, ImageMissing
from sandbox.images import blobs
from sandbox.images.base import current_base_id
from sandbox.images.bill import delete_bill
from sandbox.images.records import record_image
from sandbox.images.store import CONFIGS, LAYERS, NOTES, get_image, layer_size
from sandbox.images.unpack import forget_layers
from sandbox.models import Image, Layer, PoolTarget, Sandbox

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Collected:
    """What went, or would go: ids of images and layers, bytes of the layers, and half-written files."""

    images: list[str] = field(default_factory=list)
    layers: list[str] = field(default_factory=list)
    size: int = 0
    stale: int = 0


@dataclass(frozen=True, slots=True)
class StoreUsage:
    """What the store holds: numbers of images and layers, and bytes of the layers, each counted once."""

    images: int
    layers: int
    size: int


def store_usage() -> StoreUsage:
    """The store's size by its rows; one query each."""
    size = Layer.objects.aggregate(total=Sum("size"))["total"] or 0
    return StoreUsage(Image.objects.count(), Layer.objects.count(), size)


def collect_images(*, keep: Collection[str], dry_run: bool = False) -> Collected:
    """Remove what is neither in `keep` nor in use here and was not touched within SANDBOX_IMAGE_GRACE_HOURS."""
    before = now() - timedelta(hours=settings.SANDBOX_IMAGE_GRACE_HOURS)
    done = Collected()
    if not dry_run:
        done.stale = blobs.remove_stale()
        _adopt()
    wanted = {*keep, *_in_use()}
    rows = Image.objects.filter(used_at__lt=before).exclude(pk__in=wanted)
    for image_id in rows.values_list("pk", flat=True):
        if dry_run or _remove_image(image_id, before):
            done.images.append(image_id)
    held = {
        diff_id
        for layers in Image.objects.exclude(pk__in=done.images).values_list("layers", flat=True)
        for diff_id in layers
    }
    for layer in Layer.objects.filter(used_at__lt=before).exclude(pk__in=held):
        if dry_run or _remove_layer(layer.pk, before):
            done.layers.append(layer.pk)
            done.size += layer.size
    if not dry_run:
        _remove_leftovers(before)
        log.info(
            "images.collected", images=len(done.images), layers=len(done.layers), size=done.size,
            stale=done.stale,
        )  # fmt: skip
    return done


def forget_on_this_host(*, driver: Driver) -> int:
    """Let this host's driver and caches forget what the store no longer has; the number of images that went."""
    keep = {*(f"sha256:{digest}" for digest, _ in blobs.list_blobs(CONFIGS)), *_in_use()}
    gone = driver.keep_images(keep)
    forget_layers(keep)
    blobs.forget_copies({*(name[7:] for name in keep), *_hexes(Layer.objects.values_list("pk", flat=True))})
    return gone


def _hexes(digests: Collection[str]) -> Iterator[str]:
    return (digest.removeprefix("sha256:") for digest in digests)


def _in_use() -> set[str]:
    live = Sandbox.objects.filter(status__in=Sandbox.LIVE).values_list("image_id", flat=True)
    warm = {target.run_spec.image_id for target in PoolTarget.objects.all()}
    base = current_base_id()
    return {*live, *warm, *([base] if base else [])}


def _adopt() -> None:
    """Rows for blobs that have none. A layer's time is its blob's, an image gets a whole grace."""
    known = set(_hexes(Layer.objects.values_list("pk", flat=True)))
    for digest, written in blobs.list_blobs(LAYERS):
        if digest not in known:
            diff_id = f"sha256:{digest}"
            Layer.objects.get_or_create(
                diff_id=diff_id, defaults={"size": layer_size(diff_id), "used_at": written}
            )
    images = set(_hexes(Image.objects.values_list("pk", flat=True)))
    for digest, _ in blobs.list_blobs(CONFIGS):
        if digest in images:
            continue
        try:
            image = get_image(f"sha256:{digest}")
        except (ImageMissing, json.JSONDecodeError):
            continue
        source, made_of = image.labels.get("agentstore.source"), image.labels.get("agentstore.digest")
        if source in Image.Source.values and made_of:
            record_image(image=image, source=source, digest=made_of)


@transaction.atomic
def _remove_image(image_id: str, before: datetime) -> bool:
    rows = Image.objects.select_for_update(skip_locked=True)
    row = rows.filter(pk=image_id, used_at__lt=before).first()
    if row is None:
        return False
    blobs.delete_blob(CONFIGS, image_id.removeprefix("sha256:"))
    delete_bill(image_id)
    row.delete()
    return True


@transaction.atomic
def _remove_layer(diff_id: str, before: datetime) -> bool:
    rows = Layer.objects.select_for_update(skip_locked=True)
    row = rows.filter(pk=diff_id, used_at__lt=before).first()
    if row is None or Image.objects.filter(layers__contains=[diff_id]).exists():
        return False
    blobs.delete_blob(LAYERS, diff_id.removeprefix("sha256:"))
    row.delete()
    return True


def _remove_leftovers(before: datetime) -> None:
    """Configurations that were made for one run alone, and notes of what is gone."""
    images = set(_hexes(Image.objects.values_list("pk", flat=True)))
    for digest, written in list(blobs.list_blobs(CONFIGS)):
        if digest not in images and written < before:
            blobs.delete_blob(CONFIGS, digest)
    layers = set(_hexes(Layer.objects.values_list("pk", flat=True)))
    for name in blobs.list_notes(NOTES):
        told = blobs.read_note(f"{NOTES}/{name}") or ""
        if told and told.removeprefix("sha256:") not in images | layers:
            blobs.storage().delete(f"{NOTES}/{name}")
