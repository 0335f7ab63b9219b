"""Which images publishing still needs, and the collection of all others."""

from __future__ import annotations

from marketplace.publishing.models import Submission, Version
from sandbox.images import garbage


def images_in_use() -> set[str]:
    """Images of versions that serve, served (and may be rolled back to), or are being judged."""
    needed = Version.objects.exclude(status__in=Version.DISCARDED).exclude(image_id="")
    judged = Submission.objects.filter(status__in=Submission.OPEN).exclude(version=None)
    return {
        *needed.values_list("image_id", flat=True),
        *judged.exclude(version__image_id="").values_list("version__image_id", flat=True),
    }


def collect_images(*, dry_run: bool = False) -> garbage.Collected:
    """Remove the images that no version, submission or sandbox needs, once their grace is over."""
    return garbage.collect_images(keep=images_in_use(), dry_run=dry_run)
