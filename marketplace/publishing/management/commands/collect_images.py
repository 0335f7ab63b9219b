"""`manage.py collect_images`: free the space of images that nobody needs."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.template.defaultfilters import filesizeformat


class Command(BaseCommand):
    """What the beat does once a day, at once."""

    help = "Remove images that no version, submission or sandbox needs, and layers that no image has."

    def add_arguments(self, parser: CommandParser) -> None:
        """The options."""
        parser.add_argument("--dry-run", action="store_true", help="say what would go, remove nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        from marketplace.publishing.retention import collect_images
        from sandbox.images.garbage import store_usage

        done = collect_images(dry_run=options["dry_run"])
        for image_id in done.images:
            self.stdout.write(f"image {image_id}")
        verb = "would free" if options["dry_run"] else "freed"
        self.stdout.write(
            f"{len(done.images)} images, {len(done.layers)} layers: {verb} {filesizeformat(done.size)}"
        )
        left = store_usage()
        self.stdout.write(
            f"in the store: {left.images} images, {left.layers} layers, {filesizeformat(left.size)}"
        )
